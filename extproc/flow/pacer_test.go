package flow

import (
	"context"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"tollgate/config/rate"
)

func pacer(t testing.TB, notation string) *Pacer {
	t.Helper()
	rates, err := rate.Parse(notation)
	require.NoError(t, err)
	return NewPacer(rates)
}

func TestPacerTakesTheSlowestRate(t *testing.T) {
	for notation, want := range map[string]time.Duration{
		"1/second":                 time.Second,
		"100/second;60/minute":     time.Second,
		"60/minute;100/second":     time.Second,
		"60/second":                16_666_667,
		"3/second":                 333_333_334,
		"1/10years":                rate.MaxWindow,
		"1000000000000000/second":  1,
		"999999999/second":         2,
		"1000000000/second":        1,
		"120/2minutes,3600/1 hour": time.Second,
	} {
		require.Equal(t, want, pacer(t, notation).interval, notation)
	}
}

func TestNoPace(t *testing.T) {
	for _, p := range []*Pacer{nil, pacer(t, "inf"), NewPacer([]rate.Rate{})} {
		require.Nil(t, p)
		require.Zero(t, p.Next(time.Now()))
		require.NoError(t, p.Wait(t.Context()))
	}
}

// An upstream gives how long after the last event went the next one comes; late is how late a timer is.
type schedule struct {
	name     string
	upstream func() time.Duration
	late     func() time.Duration
}

func upTo(most time.Duration) func() time.Duration {
	return func() time.Duration { return rand.N(most + 1) }
}

// seldom is one now and then, and else another.
func seldom(one, other func() time.Duration) func() time.Duration {
	return func() time.Duration {
		if rand.N(50) == 0 {
			return one()
		}
		return other()
	}
}

// run paces events, and returns when each went.
func (s *schedule) run(p *Pacer, events int) []time.Duration {
	start := time.Unix(1_800_000_000, 0)
	now := start
	went := make([]time.Duration, 0, events)
	for range events {
		now = now.Add(s.upstream())
		for wait := p.Next(now); wait > 0; wait = p.Next(now) {
			now = now.Add(wait + s.late())
		}
		went = append(went, now.Sub(start))
	}
	return went
}

// TestPace holds the pacer to its invariants.
func TestPace(t *testing.T) {
	for _, notation := range []string{"7/minute", "1/second", "30/second", "60/second", "75/second", "100/second", "250/second", "1000/second"} {
		rates, err := rate.Parse(notation)
		require.NoError(t, err)
		n, window := int(rates[0].Count), rates[0].Window
		interval := window / time.Duration(n)
		for _, s := range []schedule{
			{"ready, on time", upTo(0), upTo(0)},
			{"ready, late", upTo(0), upTo(4 * time.Millisecond)},
			{"ready, very late", upTo(0), upTo(40 * time.Millisecond)},
			{"ready, seldom very late", upTo(0), seldom(upTo(time.Second), upTo(time.Millisecond))},
			{"as fast, late", upTo(2 * interval), upTo(4 * time.Millisecond)},
			{"bursts, late", seldom(upTo(100*interval), upTo(0)), upTo(4 * time.Millisecond)},
			{"slow, late", upTo(5 * interval), upTo(4 * time.Millisecond)},
		} {
			t.Run(notation+" "+s.name, func(t *testing.T) {
				went := s.run(NewPacer(rates), 2000)
				latest := went[0] // of the events so far, less an interval for each
				for i := 1; i < len(went); i++ {
					require.GreaterOrEqual(t, went[i]-went[i-1], interval-maxHurry, "events %d and %d", i-1, i)
					even := went[i] - time.Duration(i)*interval
					require.GreaterOrEqual(t, even, latest-maxCatchUp, "up to event %d", i)
					latest = max(latest, even)
					if i > n && interval >= maxCatchUp {
						require.GreaterOrEqual(t, went[i]-went[i-n-1], window, "%d events in a span", n+2)
					}
				}
			})
		}
	}
}

// TestPaceIsTheRate: who is fast gets no less than the rate, though timers are late; and no more.
func TestPaceIsTheRate(t *testing.T) {
	for _, notation := range []string{"7/minute", "1/second", "60/second", "100/second", "250/second", "1000/second"} {
		for _, late := range []time.Duration{0, time.Millisecond, 4 * time.Millisecond} {
			p, s := pacer(t, notation), schedule{upstream: upTo(0), late: upTo(late)}
			const events = 20_000
			went := s.run(p, events+1)
			took, even := went[events]-went[0], events*p.interval
			require.InEpsilon(t, even, took, 0.005, "%s, timers up to %v late", notation, late)
		}
	}
}

// TestPaceIsSmooth: at 60/second a gap is no further from the interval than timers are late, with
// neither a burst at the stream's beginning nor after a rest.
func TestPaceIsSmooth(t *testing.T) {
	p := pacer(t, "60/second")
	rest := seldom(func() time.Duration { return time.Hour }, upTo(0))
	went := (&schedule{upstream: rest, late: upTo(0)}).run(p, 5000)
	for i := 1; i < len(went); i++ {
		if gap := went[i] - went[i-1]; gap < time.Minute {
			require.Equal(t, p.interval, gap, "event %d", i)
		}
	}
	went = (&schedule{upstream: upTo(0), late: upTo(3 * time.Millisecond)}).run(p, 5000)
	for i := 1; i < len(went); i++ {
		require.InEpsilon(t, p.interval, went[i]-went[i-1], 0.2, "event %d", i)
	}
}

func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, start := pacer(t, "60/second"), time.Now()
		for i := range time.Duration(1000) {
			require.NoError(t, p.Wait(t.Context()))
			require.Equal(t, i*p.interval, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		start = time.Now()
		require.ErrorIs(t, p.Wait(ctx), context.DeadlineExceeded)
		require.Equal(t, time.Millisecond, time.Since(start))
		require.NoError(t, p.Wait(t.Context()))
		require.Equal(t, p.interval, time.Since(start), "the event that did not go left no gap")
		require.ErrorIs(t, p.Wait(ctx), context.DeadlineExceeded, "nothing goes to who has left")
	})
}

func BenchmarkPacer(b *testing.B) {
	p, now := pacer(b, "60/second"), time.Now()
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(p.Next(now))
	}
}
