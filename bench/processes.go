package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/prometheus/procfs"
)

const (
	startWithin = 10 * time.Minute // with a million clients
	stopWithin  = 15 * time.Second
)

// process is one that was started.
type process struct {
	pid   int
	logs  string        // the file with its words
	ended chan struct{} // closed when it has
}

// start starts a program, whose words go to a file, and which is interrupted when ctx ends. Without an env it gets
// this program's.
func start(ctx context.Context, logs string, env []string, program string, args ...string) (*process, error) {
	words, err := os.Create(logs)
	if err != nil {
		return nil, fmt.Errorf("making the log of %s: %w", filepath.Base(program), err)
	}
	cmd := exec.CommandContext(ctx, program, args...) //nolint:gosec // what is to be measured
	cmd.Dir, cmd.Env = filepath.Dir(logs), env
	cmd.Stdout, cmd.Stderr = words, words
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = stopWithin
	if err := cmd.Start(); err != nil {
		_ = words.Close()
		return nil, fmt.Errorf("starting %s: %w", filepath.Base(program), err)
	}
	p := &process{pid: cmd.Process.Pid, logs: logs, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		_ = cmd.Wait() // it was told to end, or await says what it said
		_ = words.Close()
	}()
	return p, nil
}

// await asks a process until its answer is 200.
func (p *process) await(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	client := &http.Client{Timeout: time.Second}
	defer client.CloseIdleConnections()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return fmt.Errorf("asking %s: %w", url, err)
		}
		if response, err := client.Do(request); err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s did not get ready: %w; it said:\n%s", url, ctx.Err(), p.lastWords())
		case <-p.ended:
			return fmt.Errorf("what was to answer at %s has ended; it said:\n%s", url, p.lastWords())
		case <-again.C:
		}
	}
}

// lastWords is the end of what a process has said.
func (p *process) lastWords() []byte {
	const most = 2000
	words, err := os.ReadFile(p.logs)
	if err != nil {
		return []byte(err.Error())
	}
	return words[max(0, len(words)-most):]
}

// children are the processes that a process has started and that live: those that run a program, and others.
func children(of int, program string) (same, others []int, err error) {
	const mostOfAName = 15 // that the kernel keeps
	name := filepath.Base(program)
	name = name[:min(len(name), mostOfAName)]
	all, err := procfs.AllProcs()
	if err != nil {
		return nil, nil, fmt.Errorf("listing processes: %w", err)
	}
	for _, p := range all {
		stat, err := p.Stat()
		switch {
		case err != nil || stat.PPID != of: // one that has just ended cannot be read
		case stat.Comm == name:
			same = append(same, p.PID)
		default:
			others = append(others, p.PID)
		}
	}
	return same, others, nil
}

// family is a process and all that it and its children have started, as far as they live.
func family(of int) ([]int, error) {
	all, err := procfs.AllProcs()
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	parent := map[int]int{}
	for _, p := range all {
		if stat, err := p.Stat(); err == nil {
			parent[p.PID] = stat.PPID
		}
	}
	var members []int
	for pid := range parent {
		for at := pid; at != 0; at = parent[at] {
			if at == of {
				members = append(members, pid)
				break
			}
		}
	}
	return members, nil
}

// residentBytes is the memory that a process has in RAM.
func residentBytes(pid int) (int64, error) {
	p, err := procfs.NewProc(pid)
	if err != nil {
		return 0, fmt.Errorf("finding process %d: %w", pid, err)
	}
	stat, err := p.Stat()
	if err != nil {
		return 0, fmt.Errorf("reading the memory of process %d: %w", pid, err)
	}
	return int64(stat.ResidentMemory()), nil
}
