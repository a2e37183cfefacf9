package cache

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// retryAfter is how long a store that failed is left alone.
const retryAfter = time.Second

// breaker keeps calls from a store that is away: after a failure one call in a while tries it again, and may
// wait for its timeout; all others fail at once.
type breaker struct {
	now      func() time.Time
	onChange func(up bool, err error) // may be nil; it hears of each change once, one call at a time

	mu    sync.Mutex
	down  error // why the store is away; nil: it is not
	again time.Time
}

// try asks the store, unless it is known to be away.
func (b *breaker) try(ctx context.Context, ask func() error) error {
	if err := b.away(); err != nil {
		return err
	}
	err := ask()
	// Who was not waited for says nothing about the store.
	if ctx.Err() == nil {
		b.note(err)
	}
	return err
}

// away returns why the store need not be asked. Of those who come when it is time to ask again, the first is
// let through.
func (b *breaker) away() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down == nil {
		return nil
	}
	if now := b.now(); !now.Before(b.again) {
		b.again = now.Add(retryAfter)
		return nil
	}
	return fmt.Errorf("not asked again yet: %w", b.down)
}

// note remembers how it went, and tells of a change.
func (b *breaker) note(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	changed := (err == nil) != (b.down == nil)
	b.down = err
	if err != nil {
		b.again = b.now().Add(retryAfter)
	}
	if changed && b.onChange != nil {
		b.onChange(err == nil, err)
	}
}
