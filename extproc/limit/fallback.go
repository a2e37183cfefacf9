package limit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// OnError says what becomes of requests while the shared store is away.
type OnError string

// The choices.
const (
	Refuse   OnError = "refuse" // calls fail with ErrUnavailable
	UseLocal OnError = "local"  // the local store decides
)

// DefaultRetry is how long a Fallback leaves its primary store alone after a failure.
const DefaultRetry = time.Second

// Fallback is a store that can do without its primary one, or fails at once while that is away. After
// a failure one call in a while tries it again, and waits for its timeout; no other does.
//
// Local counters begin empty and know of one replica alone: while the primary store is away, each
// replica admits N for itself, and what it admitted is not carried over when the store is back. A
// reservation is settled where it was made. One of the primary store's that cannot be settled because
// that is away keeps its reserved cost until the window is over; Settle's error tells.
type Fallback struct {
	Primary  Store
	Local    Store
	OnError  OnError
	OnChange func(up bool, err error) // may be nil; told once of each change, one call at a time. It must not call the Fallback
	Retry    time.Duration            // 0: DefaultRetry
	Clock    func() time.Time         // nil: time.Now

	mu    sync.Mutex
	down  error // why the primary store is away; nil: it is not
	again time.Time
}

// Reserve implements [Store].
func (f *Fallback) Reserve(ctx context.Context, charges []Charge) (Outcome, error) {
	return f.judge(func(s Store) (Outcome, error) { return s.Reserve(ctx, charges) })
}

// Check implements [Store].
func (f *Fallback) Check(ctx context.Context, charges []Charge) (Outcome, error) {
	return f.judge(func(s Store) (Outcome, error) { return s.Check(ctx, charges) })
}

func (f *Fallback) judge(ask func(Store) (Outcome, error)) (Outcome, error) {
	var out Outcome
	err := f.try(func() (err error) {
		out, err = ask(f.Primary)
		return err
	})
	if f.OnError != UseLocal || !errors.Is(err, ErrUnavailable) {
		return out, err
	}
	out, err = ask(f.Local)
	out.Local = true
	return out, err
}

// Settle implements [Store].
func (f *Fallback) Settle(ctx context.Context, adjustments []Adjustment) error {
	var primary, local []Adjustment
	for _, a := range adjustments {
		if a.Local {
			local = append(local, a)
		} else {
			primary = append(primary, a)
		}
	}
	var err error
	if len(primary) > 0 {
		err = f.try(func() error { return f.Primary.Settle(ctx, primary) })
	}
	if len(local) > 0 {
		err = errors.Join(err, f.Local.Settle(ctx, local))
	}
	return err
}

// try asks the primary store, unless it is known to be away.
func (f *Fallback) try(ask func() error) error {
	if err := f.away(); err != nil {
		return err
	}
	err := ask()
	if err == nil || errors.Is(err, ErrUnavailable) {
		f.note(err)
	}
	return err
}

// away returns why the primary store need not be asked. Of those who come when it is time to ask
// again, the first is let through.
func (f *Fallback) away() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down == nil {
		return nil
	}
	if now := f.now(); !now.Before(f.again) {
		f.again = now.Add(f.retry())
		return nil
	}
	return fmt.Errorf("not asked again yet: %w", f.down)
}

// note remembers how it went, and tells of a change.
func (f *Fallback) note(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	changed := (err == nil) != (f.down == nil)
	f.down = err
	if err != nil {
		f.again = f.now().Add(f.retry())
	}
	if changed && f.OnChange != nil {
		f.OnChange(err == nil, err)
	}
}

func (f *Fallback) retry() time.Duration {
	if f.Retry > 0 {
		return f.Retry
	}
	return DefaultRetry
}

func (f *Fallback) now() time.Time {
	if f.Clock != nil {
		return f.Clock()
	}
	return time.Now()
}
