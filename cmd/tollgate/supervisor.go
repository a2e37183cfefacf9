package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
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

	// stopWithin is how long a child gets to stop by itself, after it was drained.
	stopWithin = 2*closeWithin + 2*time.Second
)

// child is a process that must always run.
type child struct {
	name    string
	command func() (*exec.Cmd, error) // a new one each time
	drain   func(ctx context.Context) // before it is asked to end, until ctx ends; nil: nothing is
}

// supervise keeps the children running until ctx ends or one cannot be started, then stops them in
// order, each before the next. It returns when none is left.
func supervise(ctx context.Context, log *zap.Logger, children ...child) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var running sync.WaitGroup
	errs := make([]error, len(children))
	var failed atomic.Bool
	stop := ctx.Done() // of the first child; the next stops when this one has
	for i, c := range children {
		mine, done := stop, make(chan struct{})
		if drain := c.drain; drain != nil {
			c.drain = func(ctx context.Context) {
				if !failed.Load() { // nobody is served by half of them
					drain(ctx)
				}
			}
		}
		running.Go(func() {
			defer close(done)
			if errs[i] = c.keep(log.With(zap.String("process", c.name)), mine); errs[i] != nil {
				failed.Store(true)
				cancel()
			}
		})
		stop = done
	}
	running.Wait()
	return errors.Join(errs...)
}

// keep starts the child, and starts it again whenever it dies, until stop is closed. A child that could
// never be started is given up, and so is one whose first process says that it never will (see cannotServe).
func (c child) keep(log *zap.Logger, stop <-chan struct{}) error {
	process, err := c.start()
	if err != nil {
		return err
	}
	began, pause := time.Now(), firstPause
	for first := true; ; first = false {
		if process != nil {
			select {
			case <-stop:
				process.stop(log, c.drain)
				return nil
			case <-process.died:
			}
			if first && process.state.ExitCode() == cannotServe {
				return fmt.Errorf("%s cannot be run: what it said above is why", c.name)
			}
			if time.Since(began) > healthyAfter {
				pause = firstPause
			}
			log.Error("a process died; starting it again", zap.Stringer("how", process.state), zap.Duration("in", pause))
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

	died  chan struct{}    // closed when it has ended
	state *os.ProcessState // how, from then on
}

// start starts the child. Whoever waits for it does so on a thread of its own: on Linux the child
// asks to be ended with the thread that started it (see dieWithParent), and Go's threads come and go.
func (c child) start() (*process, error) {
	cmd, err := c.command()
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", c.name, err)
	}
	cmd.SysProcAttr = dieWithParent()
	p, started := &process{died: make(chan struct{})}, make(chan error)
	go func() {
		lockThread()
		err := cmd.Start()
		p.Process = cmd.Process
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is in ProcessState
			p.state = cmd.ProcessState
			close(p.died)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", c.name, err)
	}
	return p, nil
}

// stop drains the process, asks it to end, and ends it if it does not.
func (p *process) stop(log *zap.Logger, drain func(context.Context)) {
	if drain != nil {
		ctx, cancel := context.WithCancel(context.Background())
		go func() { <-p.died; cancel() }()
		drain(ctx)
	}
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
