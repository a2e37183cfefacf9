package extproc

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"tollgate/extproc/exchange"
)

// Whatever asks when, what goes out in any stretch of time is at most what the rate gives, and one answer more; what is
// small always goes; and nobody waits longer than the patience.
func TestOutflow(t *testing.T) {
	const heap, patience = 8 << 20, time.Second // 1 MiB a second
	type gone struct {
		at    time.Time
		bytes int
	}
	random := rand.New(rand.NewPCG(1, 2))
	var out []gone
	refused := 0
	o := newOutflow(heap)
	now := time.Now()
	for range 2000 {
		now = now.Add(time.Duration(random.IntN(200)) * time.Millisecond)
		bytes := random.IntN(8 * outflowFree)
		wait, ok := o.turn(now, bytes, patience)
		if bytes <= outflowFree && (!ok || wait != 0) {
			t.Fatalf("an answer of %d bytes is told to wait %s, %t", bytes, wait, ok)
		}
		if wait > patience {
			t.Fatalf("%s is longer than anybody waits", wait)
		}
		if !ok {
			refused++
		} else if bytes > outflowFree {
			out = append(out, gone{now.Add(wait), bytes})
		}
	}
	if refused == 0 || len(out) < 100 {
		t.Fatalf("%d were refused and %d went: this shows nothing", refused, len(out))
	}
	for from := range out {
		sum := 0
		for _, g := range out[from:] {
			if most := g.at.Sub(out[from].at).Seconds()*heap/8 + 1; float64(sum) > most {
				t.Fatalf("%d bytes went before %s, from %s on: more than %.0f", sum, g.at, out[from].at, most)
			}
			sum += g.bytes
		}
	}
}

func TestOutflowWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const heap = 8 << 20 // 1 MiB a second
		o := newOutflow(heap)
		began := time.Now()
		for i, want := range []time.Duration{0, time.Second} { // the second waits for the first
			if err := o.wait(t.Context(), 1<<20, time.Minute); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took != want {
				t.Errorf("number %d went after %s, not after %s", i, took, want)
			}
		}
		ctx, leave := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, leave)
		if err := o.wait(ctx, 1<<20, time.Minute); !errors.Is(err, context.Canceled) {
			t.Errorf("a client that leaves: %v", err)
		}
		var refusal *exchange.Refusal
		if err := o.wait(t.Context(), 1<<20, time.Second); !errors.As(err, &refusal) || refusal.Code != "overloaded" {
			t.Errorf("two seconds' worth are before it: %v", err)
		}
	})
}
