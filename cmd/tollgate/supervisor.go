package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
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
	renew   <-chan os.Signal          // asks for a new process, which takes over from the present one; nil: never
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
	present, err := c.start()
	if err != nil {
		return err
	}
	var before []*process // that were replaced, and may be ending still
	var from *process     // which the present one is to take over from; nil: it was started by itself
	began, pause, first := time.Now(), firstPause, true
	for {
		select {
		case <-stop:
			if c.drain != nil {
				present.drain(c.drain)
			}
			stopAll(log, append(before, present))
			return nil
		case <-c.renew:
			next, err := c.start()
			if err != nil {
				log.Error("a new process could not be started; the present one goes on", zap.Error(err))
				continue
			}
			log.Info("a new process is to take over", zap.Int("pid", next.Pid), zap.Int("from", present.Pid))
			before, from, present = append(living(before), present), present, next
			began, first = time.Now(), false
			continue
		case <-present.died:
		}
		before = living(before)
		cannot := present.state.ExitCode() == cannotServe
		if cannot && slices.Contains(before, from) {
			log.Error("the new process cannot take over; the one before goes on")
			before = slices.DeleteFunc(before, func(p *process) bool { return p == from })
			present, from = from, nil
			continue
		}
		if cannot && first {
			return fmt.Errorf("%s cannot be run: what it said above is why", c.name)
		}
		if time.Since(began) > healthyAfter {
			pause = firstPause
		}
		log.Error("a process died; starting it again", zap.Stringer("how", present.state), zap.Duration("in", pause))
		if present, pause = c.again(log, stop, pause); present == nil {
			stopAll(log, before)
			return nil
		}
		began, first, from = time.Now(), false, nil
	}
}

// again starts the child after a pause, and after longer ones where it cannot be started. It returns the process, or
// nil where stop was closed before, and the pause that would be next.
func (c child) again(log *zap.Logger, stop <-chan struct{}, pause time.Duration) (*process, time.Duration) {
	for {
		select {
		case <-stop:
			return nil, pause
		case <-time.After(pause):
			pause = min(2*pause, longestPause)
		}
		p, err := c.start()
		if err == nil {
			return p, pause
		}
		log.Error("a process could not be started; trying again", zap.Error(err), zap.Duration("in", pause))
	}
}

// living are those that have not ended.
func living(all []*process) []*process {
	return slices.DeleteFunc(all, func(p *process) bool {
		select {
		case <-p.died:
			return true
		default:
			return false
		}
	})
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

// stopAll stops processes, all at once.
func stopAll(log *zap.Logger, all []*process) {
	var stopping sync.WaitGroup
	for _, p := range all {
		stopping.Go(func() { p.stop(log) })
	}
	stopping.Wait()
}

// drain runs what is to be done before the process is asked to end, for as long as it lives.
func (p *process) drain(drain func(context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-p.died; cancel() }()
	drain(ctx)
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
