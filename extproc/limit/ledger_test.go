package limit

import (
	"context"
	"encoding/json"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestCountersTravel: what is imported of what was exported judges as the original does, of every strategy.
func TestCountersTravel(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	clock := func() time.Time { return now }
	before, after := NewMemory(MemoryOptions{Clock: clock}), NewMemory(MemoryOptions{Clock: clock})
	var charges []Charge
	for i, strategy := range []Strategy{FixedWindow, ElasticWindow, MovingWindow} {
		charges = append(charges,
			Charge{Key: strconv.Itoa(i), Rate: Rate{Count: 100, Window: time.Minute}, Strategy: strategy, Cost: 7},
			Charge{Key: strconv.Itoa(i), Rate: Rate{Count: 100, Window: time.Hour}, Strategy: strategy, Cost: 3, Shadow: true},
		)
	}
	var reserved Outcome
	for range 5 {
		now = now.Add(11 * time.Second)
		var err error
		if reserved, err = before.Reserve(t.Context(), charges); err != nil || !reserved.Allowed {
			t.Fatal(reserved, err)
		}
	}
	travel(t, before, after, true, len(charges))
	travel(t, before, after, false, 0) // nothing has changed
	if _, err := before.Reserve(t.Context(), charges[:2]); err != nil {
		t.Fatal(err)
	}
	travel(t, before, after, false, 2)
	for range 12 {
		var both [2]Outcome
		for i, m := range []*Memory{before, after} {
			var err error
			if both[i], err = m.Check(t.Context(), charges); err != nil {
				t.Fatal(err)
			}
			adjustment, ok := reserved.Adjust(0, charges[0], 2)
			if !ok {
				t.Fatal("nothing was reserved")
			}
			if err := m.Settle(t.Context(), []Adjustment{adjustment}); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(both[0], both[1]); diff != "" {
			t.Fatalf("at %s (-original +imported):\n%s", now, diff)
		}
		now = now.Add(7 * time.Second)
	}
}

// travel brings so many counters from one to the other as another process would.
func travel(t *testing.T, from, to *Memory, all bool, want int) {
	t.Helper()
	n := 0
	for some := range from.Export(all) {
		written, err := json.Marshal(some)
		if err != nil {
			t.Fatal(err)
		}
		var counters []Counter
		if err := json.Unmarshal(written, &counters); err != nil {
			t.Fatal(err)
		}
		to.Import(counters)
		n += len(counters)
	}
	if n != want {
		t.Fatalf("%d counters travel, want %d", n, want)
	}
}

// TestLedgerMoves: however many requests come while a ledger moves, here and there together they take what the
// limit has, and not one more.
func TestLedgerMoves(t *testing.T) {
	t.Parallel()
	const most = 1000
	charges := []Charge{{Key: "k", Rate: Rate{Count: most, Window: time.Hour}, Strategy: MovingWindow, Cost: 1}}
	here, there := &Ledger{Memory: NewMemory(MemoryOptions{})}, NewMemory(MemoryOptions{})
	moved := make(chan struct{})
	var taken atomic.Int64
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for i := range most {
				out, err := here.Reserve(t.Context(), charges)
				if err != nil {
					t.Error(err)
					return
				}
				if out.Allowed {
					taken.Add(1)
				}
				if i == 50 {
					select {
					case moved <- struct{}{}:
					default:
					}
				}
			}
		})
	}
	<-moved
	// What is not imported yet must not be judged by: the other place answers when it has all.
	ready := make(chan struct{})
	counters := here.Move(waiting{there, ready})
	there.Import(counters)
	close(ready)
	clients.Wait()
	if taken.Load() != most {
		t.Errorf("%d were admitted, want %d", taken.Load(), most)
	}
}

// waiting is a store that answers once it is ready.
type waiting struct {
	Store

	ready <-chan struct{}
}

func (w waiting) Reserve(ctx context.Context, charges []Charge) (Outcome, error) {
	<-w.ready
	return w.Store.Reserve(ctx, charges)
}

// TestLedgerAlone: where the other place cannot be reached any more, this one judges by what it knows.
func TestLedgerAlone(t *testing.T) {
	t.Parallel()
	charges := []Charge{{Key: "k", Rate: Rate{Count: 1, Window: time.Hour}, Strategy: FixedWindow, Cost: 1}}
	l := &Ledger{Memory: NewMemory(MemoryOptions{})}
	if out, err := l.Reserve(t.Context(), charges); err != nil || !out.Allowed {
		t.Fatal(out, err)
	}
	l.Move(gone{})
	if out, err := l.Reserve(t.Context(), charges); err != nil || out.Allowed {
		t.Errorf("got %v, %v, want a refusal by what was counted here", out, err)
	}
	if err := l.Settle(t.Context(), nil); err == nil {
		t.Error("a settlement that cannot be made is said to be")
	}
}

// TestLedgerStays: where a move is taken back, nothing that was admitted meanwhile is forgotten.
func TestLedgerStays(t *testing.T) {
	t.Parallel()
	charges := []Charge{{Key: "k", Rate: Rate{Count: 3, Window: time.Hour}, Strategy: MovingWindow, Cost: 1}}
	l, there := &Ledger{Memory: NewMemory(MemoryOptions{})}, NewMemory(MemoryOptions{})
	reserve := func(want bool) {
		t.Helper()
		if out, err := l.Reserve(t.Context(), charges); err != nil || out.Allowed != want {
			t.Fatalf("got %v, %v, want %t", out, err, want)
		}
	}
	reserve(true)
	there.Import(l.Move(there))
	reserve(true)
	reserve(true)
	reserve(false)
	l.Stay()
	reserve(false)
}

type gone struct{}

func (gone) Reserve(context.Context, []Charge) (Outcome, error) { return Outcome{}, ErrUnavailable }
func (gone) Check(context.Context, []Charge) (Outcome, error)   { return Outcome{}, ErrUnavailable }
func (gone) Settle(context.Context, []Adjustment) error         { return ErrUnavailable }
