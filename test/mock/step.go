package mock

import (
	"context"
	"fmt"
)

// Step lets the stream that was asked for with `mock-step: name` send its next event. It returns
// when the stream has taken it up, or ctx ends.
func (s *Server) Step(ctx context.Context, name string) error {
	select {
	case s.stepChannel(name) <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for the stream %q: %w", name, ctx.Err())
	}
}

func (s *Server) awaitStep(ctx context.Context, name string) bool {
	if name == "" {
		return true
	}
	select {
	case <-s.stepChannel(name):
		return true
	case <-ctx.Done():
		return false
	}
}

func (s *Server) stepChannel(name string) chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.steps[name] == nil {
		s.steps[name] = make(chan struct{})
	}
	return s.steps[name]
}

func (s *Server) endSteps(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.steps, name)
}

// AwaitIdle waits until no request is being answered, or ctx ends.
func (s *Server) AwaitIdle(ctx context.Context) error {
	for {
		s.mu.Lock()
		busy, changed := s.busy, s.ended
		s.mu.Unlock()
		if busy == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %d requests: %w", busy, ctx.Err())
		}
	}
}

// Busy is how many requests are being answered. One whose client has left is none of them.
func (s *Server) Busy() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.busy
}

// enter and leave count the requests that are being answered.
func (s *Server) enter() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy++
}

func (s *Server) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy--
	close(s.ended) // wakes all who wait; the next ones get a new channel
	s.ended = make(chan struct{})
}
