package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"
)

const (
	// A child that dies is started again after firstPause, then twice that, and so on up to
	// longestPause; after healthyAfter of life it begins anew.
	firstPause   = 100 * time.Millisecond
	longestPause = 5 * time.Second
	healthyAfter = 30 * time.Second

	// stopWithin is how long a child gets to stop by itself.
	stopWithin = drainWithin + closeWithin + 2*time.Second
)

// child is a process that must always run.
type child struct {
	name    string
	command func() (*exec.Cmd, error) // a new one each time
}

// supervise keeps the children running until ctx ends or one cannot be started, then stops them in
// order, each before the next. It returns when none is left.
func supervise(ctx context.Context, log *zap.Logger, children ...child) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var running sync.WaitGroup
	errs := make([]error, len(children))
	stop := ctx.Done() // of the first child; the next stops when this one has
	for i, c := range children {
		mine, done := stop, make(chan struct{})
		running.Go(func() {
			defer close(done)
			if errs[i] = c.keep(log.With(zap.String("process", c.name)), mine); errs[i] != nil {
				cancel()
			}
		})
		stop = done
	}
	running.Wait()
	return errors.Join(errs...)
}

// keep starts the child, and starts it again whenever it dies, until stop is closed. Only a child
// that could never be started is given up.
func (c child) keep(log *zap.Logger, stop <-chan struct{}) error {
	process, err := c.start()
	if err != nil {
		return err
	}
	began, pause := time.Now(), firstPause
	for {
		if process != nil {
			select {
			case <-stop:
				process.stop(log)
				return nil
			case how := <-process.died:
				if time.Since(began) > healthyAfter {
					pause = firstPause
				}
				log.Error("a process died; starting it again", zap.String("how", how), zap.Duration("in", pause))
			}
		}
		select {
		case <-stop:
			return nil
		case <-time.After(pause):
			pause = min(2*pause, longestPause)
		}
		began = time.Now()
		if process, err = c.start(); err != nil {
			log.Error("a process could not be started; trying again", zap.Error(err), zap.Duration("in", pause))
		}
	}
}

// process is a running child.
type process struct {
	*os.Process

	died chan string // how it ended, once
}

// start starts the child. Whoever waits for it does so on a thread of its own: on Linux the child
// asks to be ended with the thread that started it (see dieWithParent), and Go's threads come and go.
func (c child) start() (*process, error) {
	cmd, err := c.command()
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", c.name, err)
	}
	cmd.SysProcAttr = dieWithParent()
	started, died := make(chan error), make(chan string, 1)
	go func() {
		lockThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is in ProcessState
			died <- cmd.ProcessState.String()
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", c.name, err)
	}
	return &process{Process: cmd.Process, died: died}, nil
}

// stop asks the process to end, and ends it if it does not.
func (p *process) stop(log *zap.Logger) {
	_ = p.Signal(syscall.SIGTERM) // gone already is as good
	select {
	case <-p.died:
	case <-time.After(stopWithin):
		log.Warn("a process did not stop; ending it")
		_ = p.Kill()
		<-p.died
	}
}

// self is this program, to be started as a child.
func self(args ...string) (*exec.Cmd, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	cmd := exec.Command(path, args...) //nolint:gosec // this program
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd, nil
}
