package extproc

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
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

// TestTurns: a stream goes out as it came, in parts of which none is large, no faster than the rate; and one that many
// wait for, and leave, keeps nobody waiting for long.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const heap = 8 << 20 // 1 MiB a second
		o := newOutflow(heap)
		random := rand.New(rand.NewPCG(3, 4))
		var sent, got int
		began, stream := time.Now(), &turns{outflow: o}
		for last := false; !last; {
			piece := make([]byte, random.IntN(3<<20))
			sent, last = sent+len(piece), sent > 20<<20
			parts := 0
			if err := stream.each(t.Context(), piece, func(part []byte, rest bool) error {
				got += len(part)
				parts++
				if len(part) > outflowPart || rest == (got == sent) {
					t.Errorf("a part of %d bytes, and a rest %t, after %d of %d", len(part), rest, got, sent)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if most := time.Since(began).Seconds()*heap/8 + outflowPart + outflowFree; float64(got) > most || parts == 0 {
				t.Fatalf("%d bytes went out in %s, in %d parts", got, time.Since(began), parts)
			}
		}
		if got != sent {
			t.Errorf("%d of %d bytes went out", got, sent)
		}
		ctx, leave := context.WithCancel(t.Context())
		var waiting sync.WaitGroup
		for range 40 {
			waiting.Go(func() {
				_ = (&turns{outflow: o}).each(ctx, make([]byte, 13<<20), func([]byte, bool) error { return nil })
			})
		}
		synctest.Wait()
		leave()
		waiting.Wait()
		if wait, _ := o.turn(time.Now(), 1<<20, time.Hour); wait > 11*time.Second { // 40 parts
			t.Errorf("all have left, and the next one is to wait %s", wait)
		}
	})
}
