package limit

import (
	"context"
	"errors"
	"hash/maphash"
	"iter"
	"sync"
)

// A Counter is one counter of a [Memory], in a form that can travel to another process. Times are in
// microseconds.
type Counter struct {
	Key    string
	Window int64
	Kind   byte // of the strategy; upper case: shadow
	Used   uint64
	Opened int64      `json:",omitempty"`
	Last   int64      `json:",omitempty"`
	Log    []Admitted `json:",omitempty"`
}

// Admitted is what a moving window admitted at one time.
type Admitted struct {
	At   int64
	Cost uint64
}

// Export yields all counters, some at a time, or those alone that have changed since they were exported. Counting
// goes on meanwhile.
func (m *Memory) Export(all bool) iter.Seq[[]Counter] {
	return func(yield func([]Counter) bool) {
		for i := range m.shards {
			if some := m.shards[i].export(all); len(some) > 0 && !yield(some) {
				return
			}
		}
	}
}

func (s *shard) export(all bool) []Counter {
	s.mu.Lock()
	defer s.mu.Unlock()
	var some []Counter
	for id, c := range s.index {
		if all || !c.sent {
			some = append(some, exported(id, c.tally))
			c.sent = true
		}
	}
	return some
}

func exported(id ident, t tally) Counter {
	c := Counter{Key: id.key, Window: id.window, Kind: id.kind, Used: t.used, Opened: t.opened, Last: t.last}
	for _, e := range t.log {
		c.Log = append(c.Log, Admitted{e.at, e.cost})
	}
	return c
}

// Import adds counters of another Memory, in the place of those that have the same names.
func (m *Memory) Import(counters []Counter) {
	now := m.clock()
	for i := range counters {
		c := &counters[i]
		t := tally{used: c.Used, opened: c.Opened, last: c.Last}
		for _, a := range c.Log {
			t.log = append(t.log, entry{a.At, a.Cost})
		}
		s := &m.shards[maphash.String(m.seed, c.Key)%shards]
		s.mu.Lock()
		s.open(now, ident{key: c.Key, window: c.Window, kind: c.Kind}).tally = t
		s.mu.Unlock()
	}
}

// Ledger is a [Memory] that can move: what it counts goes to a store elsewhere, which is asked from then on.
// A request is judged here or there, so none passes that the two would have refused together.
type Ledger struct {
	Memory *Memory

	mu    sync.RWMutex
	there Store // nil: it is here
}

// Move has a store elsewhere asked from now on. It returns the counters that have changed since they were exported.
func (l *Ledger) Move(there Store) (changed []Counter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.there = there
	for some := range l.Memory.Export(false) {
		changed = append(changed, some...)
	}
	return changed
}

// Stay takes a move back.
func (l *Ledger) Stay() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.there = nil
}

// Reserve implements [Store]. What is admitted there counts here as well, for when the move is taken back, or the
// other place cannot be reached: then this one judges.
func (l *Ledger) Reserve(ctx context.Context, charges []Charge) (Outcome, error) {
	l.mu.RLock()
	there := l.there
	if there == nil {
		defer l.mu.RUnlock()
		return l.Memory.Reserve(ctx, charges)
	}
	l.mu.RUnlock()
	out, err := there.Reserve(ctx, charges)
	if errors.Is(err, ErrUnavailable) {
		return l.Memory.Reserve(ctx, charges)
	}
	if err == nil && out.Allowed {
		_, err = l.Memory.Reserve(ctx, charges)
	}
	return out, err
}

// Check implements [Store].
func (l *Ledger) Check(ctx context.Context, charges []Charge) (Outcome, error) {
	l.mu.RLock()
	there := l.there
	l.mu.RUnlock()
	if there != nil {
		if out, err := there.Check(ctx, charges); !errors.Is(err, ErrUnavailable) {
			return out, err //nolint:wrapcheck // a Store as well
		}
	}
	return l.Memory.Check(ctx, charges)
}

// Settle implements [Store].
func (l *Ledger) Settle(ctx context.Context, adjustments []Adjustment) error {
	l.mu.RLock()
	there, err := l.there, l.Memory.Settle(ctx, adjustments)
	l.mu.RUnlock()
	if there == nil || err != nil {
		return err
	}
	return there.Settle(ctx, adjustments) //nolint:wrapcheck // a Store as well
}
