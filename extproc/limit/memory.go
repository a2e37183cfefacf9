package limit

import (
	"context"
	"hash/maphash"
	"math"
	"runtime"
	"sync/atomic"
	"time"
)

// DefaultMaxKeys is how many counters a Memory holds unless it is told otherwise.
const DefaultMaxKeys = 1 << 20

// shards is how many locks share the counters; see shardSet.
const shards = 64

// MemoryOptions says how large a Memory can get, and what time it is.
type MemoryOptions struct {
	MaxKeys int              // 0: DefaultMaxKeys. It is divided among 64 shards
	Clock   func() time.Time // nil: the monotonic clock
}

// Memory holds counters in this process. A counter is forgotten when its window is over: every call
// looks for some that are; [Memory.Run] looks for all of them now and then.
// Only where MaxKeys counters are open is one forgotten that still counts, the one whose window ends
// first; [Memory.Evicted] tells how many those were.
type Memory struct {
	clock   func() int64
	seed    maphash.Seed
	evicted atomic.Uint64
	shards  [shards]shard
}

// NewMemory returns an empty Memory.
func NewMemory(o MemoryOptions) *Memory {
	if o.MaxKeys <= 0 {
		o.MaxKeys = DefaultMaxKeys
	}
	m := &Memory{clock: monotonic(), seed: maphash.MakeSeed()}
	if o.Clock != nil {
		m.clock = func() int64 { return o.Clock().UnixMicro() }
	}
	for i := range m.shards {
		m.shards[i].init((o.MaxKeys+shards-1)/shards, &m.evicted)
	}
	return m
}

// monotonic returns a clock that starts with the wall's time and does not jump when that is set.
func monotonic() func() int64 {
	start := time.Now()
	return func() int64 { return start.UnixMicro() + time.Since(start).Microseconds() }
}

// Reserve implements [Store].
func (m *Memory) Reserve(_ context.Context, charges []Charge) (Outcome, error) {
	return m.judge(charges, true)
}

// Check implements [Store].
func (m *Memory) Check(_ context.Context, charges []Charge) (Outcome, error) {
	return m.judge(charges, false)
}

func (m *Memory) judge(charges []Charge, taking bool) (Outcome, error) {
	var buffer [4]slot
	p, err := newPlan(charges, buffer[:])
	if err != nil {
		return Outcome{}, err
	}
	locked := m.lock(p.slots)
	defer m.unlock(locked)

	now := m.now(p.slots)
	for i := range p.slots {
		s := &p.slots[i]
		t := s.shard.load(now, s.ident)
		s.read = read(now, &t, s)
	}
	if taking && p.passes() {
		for i := range p.slots {
			if s := &p.slots[i]; s.read.fits && s.cost > 0 {
				s.shard.take(now, s)
			}
		}
	}
	return conclude(charges, p, now, taking), nil
}

// Settle implements [Store].
func (m *Memory) Settle(_ context.Context, adjustments []Adjustment) error {
	for i := range adjustments {
		if err := verify(&adjustments[i].Charge); err != nil {
			return err
		}
	}
	for i := range adjustments {
		m.settle(&adjustments[i])
	}
	return nil
}

func (m *Memory) settle(a *Adjustment) {
	one := [1]slot{{ident: identOf(&a.Charge)}}
	locked := m.lock(one[:])
	defer m.unlock(locked)

	id, now := one[0].ident, m.now(one[:])
	shard := one[0].shard
	more, less := a.difference()
	if more > 0 {
		c := shard.open(now, id)
		c.tally, c.sent = settleMore(now, advance(now, c.tally, &id), &id, more), false
	} else if c := shard.index[id]; c != nil && less > 0 {
		c.tally, c.sent = settleLess(now, advance(now, c.tally, &id), &id, a.At.UnixMicro(), less), false
	}
}

// now returns the time, or the latest that one of the slots' counters has seen.
func (m *Memory) now(slots []slot) int64 {
	now := m.clock()
	for i := range slots {
		if c := slots[i].shard.index[slots[i].ident]; c != nil {
			now = max(now, c.last)
		}
	}
	return now
}

// Evicted returns how many counters had to be forgotten while their windows were open.
func (m *Memory) Evicted() uint64 { return m.evicted.Load() }

// Len returns how many counters are held, with those that are over and not yet found to be.
func (m *Memory) Len() int {
	n := 0
	for i := range m.shards {
		m.shards[i].mu.Lock()
		n += len(m.shards[i].index)
		m.shards[i].mu.Unlock()
	}
	return n
}

// Run gives back the memory of counters that are over although no requests come, until ctx ends.
func (m *Memory) Run(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			m.Sweep()
		}
	}
}

// Sweep forgets every counter whose window is over.
func (m *Memory) Sweep() {
	now := m.clock()
	for i := range m.shards {
		m.shards[i].mu.Lock()
		m.shards[i].expire(now, math.MaxInt)
		m.shards[i].mu.Unlock()
		runtime.Gosched() // requests go first
	}
}

// lock finds the slots' shards and locks them, always in the same order, so that no two requests wait
// for each other.
func (m *Memory) lock(slots []slot) shardSet {
	var set shardSet
	for i := range slots {
		s := &slots[i]
		n := maphash.String(m.seed, s.key) % shards
		s.shard = &m.shards[n]
		set |= 1 << n
	}
	set.each(func(i int) { m.shards[i].mu.Lock() })
	return set
}

func (m *Memory) unlock(set shardSet) {
	set.each(func(i int) { m.shards[i].mu.Unlock() })
}
