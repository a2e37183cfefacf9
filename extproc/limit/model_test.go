package limit

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// An event is something that happened to a counter.
type event struct {
	at, reserved int64
	cost         uint64
	what         byte // a: admitted, m: settled more, l: settled less
}

// A naive counter remembers everything, and works out from that what is used at a time.
type naive struct {
	charge Charge
	events []event
}

func (n *naive) used(now int64) uint64 {
	if n.charge.Strategy == MovingWindow {
		return n.usedMoving(now)
	}
	window := n.charge.Rate.Window.Microseconds()
	var used uint64
	var opened, last int64
	over := func(at int64) bool {
		if n.charge.Strategy == FixedWindow {
			return at >= opened+window
		}
		return at >= last+window
	}
	for _, e := range n.events {
		if over(e.at) {
			used = 0
		}
		switch {
		case e.what == 'l':
			if used > 0 && e.reserved >= opened {
				used -= min(used, e.cost)
			}
			continue
		case used == 0:
			opened, last = e.at, e.at
		case e.what == 'a':
			last = e.at
		}
		used += e.cost
	}
	if over(now) {
		return 0
	}
	return used
}

func (n *naive) usedMoving(now int64) uint64 {
	window := n.charge.Rate.Window.Microseconds()
	var used int64
	for _, e := range n.events {
		switch {
		case e.what == 'l' && e.reserved > now-window:
			used -= int64(e.cost)
		case e.what != 'l' && e.at > now-window:
			used += int64(e.cost)
		}
	}
	return uint64(used)
}

func (n *naive) fits(now int64, cost uint64) bool { return n.used(now)+cost <= n.charge.Rate.Count }

// checkDecision compares what a store said before anything was taken with the naive counter.
func (n *naive) checkDecision(t *testing.T, now int64, c Charge, d Decision) {
	t.Helper()
	fits := n.fits(now, c.Cost)
	require.Equal(t, fits || c.Shadow, d.Allowed)
	require.Equal(t, c.Shadow && !fits, d.Shadowed)
	switch {
	case fits:
		require.Zero(t, d.RetryAfter)
	case c.Cost > c.Rate.Count:
		require.Equal(t, Never, d.RetryAfter)
	default:
		again := now + d.RetryAfter.Microseconds()
		require.True(t, n.fits(again, c.Cost), "it must fit after %v", d.RetryAfter)
		require.False(t, n.fits(again-1, c.Cost), "it must not fit a microsecond before %v", d.RetryAfter)
	}
}

// checkLeft compares what is left, when nothing is to follow, with the naive counter.
func (n *naive) checkLeft(t *testing.T, now int64, d Decision) {
	t.Helper()
	used := n.used(now)
	require.Equal(t, n.charge.Rate.Count-min(used, n.charge.Rate.Count), d.Remaining)
	if used == 0 {
		require.Zero(t, d.Reset)
		return
	}
	full := now + d.Reset.Microseconds()
	require.Zero(t, n.used(full), "all must be there after %v", d.Reset)
	require.NotZero(t, n.used(full-1), "not all can be there a microsecond before %v", d.Reset)
}

// A reservation is one that is to be settled.
type reservation struct {
	of  *naive
	out Outcome
	i   int
	c   Charge
}

// Random schedules of reservations of several charges, looks and settlements: the store must agree
// with the naive counters in every word.
func TestModel(t *testing.T) {
	onEach(t, func(t *testing.T, store Store, clock *fakeClock) {
		for seed := range uint64(30) {
			t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { replay(t, store, clock, seed) })
		}
	})
}

func replay(t *testing.T, store Store, clock *fakeClock, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 1))
	counters := someCounters(random, seed)
	var open []reservation
	for range 150 {
		clock.Advance(pause(random))
		switch random.IntN(10) {
		case 0:
			lookAtAll(t, store, clock, counters)
		case 1, 2:
			if len(open) > 0 {
				i := random.IntN(len(open))
				settleOne(t, store, clock, random, open[i])
				open = append(open[:i], open[i+1:]...)
			}
		default:
			open = append(open, reserveSome(t, store, clock, random, counters)...)
		}
	}
	lookAtAll(t, store, clock, counters)
}

func someCounters(random *rand.Rand, seed uint64) []*naive {
	counters := make([]*naive, 4)
	for i := range counters {
		c := per(fmt.Sprintf("%d/%d", seed, i), strategies()[random.IntN(3)], 1+random.Uint64N(8), 100*time.Millisecond, 0)
		c.Rate.Window *= time.Duration(1 + random.IntN(3))
		c.Shadow = i == 3
		counters[i] = &naive{charge: c}
	}
	return counters
}

// pause returns a time that often meets the very end of a window.
func pause(random *rand.Rand) time.Duration {
	times := []time.Duration{0, 0, time.Microsecond, 7 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond, 100*time.Millisecond - time.Microsecond, 100 * time.Millisecond, 250 * time.Millisecond}
	return times[random.IntN(len(times))]
}

func lookAtAll(t *testing.T, store Store, clock *fakeClock, counters []*naive) {
	t.Helper()
	var charges []Charge
	for _, n := range counters {
		charges = append(charges, n.charge)
	}
	out, err := store.Check(t.Context(), charges)
	require.NoError(t, err)
	for i, n := range counters {
		n.checkLeft(t, clock.Now().UnixMicro(), out.Decisions[i])
	}
}

func reserveSome(t *testing.T, store Store, clock *fakeClock, random *rand.Rand, counters []*naive) []reservation {
	t.Helper()
	var charges []Charge
	var of []*naive
	for _, i := range random.Perm(len(counters))[:1+random.IntN(len(counters))] {
		c := counters[i].charge
		c.Cost = random.Uint64N(4)
		if random.IntN(20) == 0 {
			c.Cost = c.Rate.Count + 1
		}
		charges, of = append(charges, c), append(of, counters[i])
	}
	out := reserve(t, store, charges...)
	now := clock.Now().UnixMicro()
	require.Equal(t, now, out.At.UnixMicro())

	passes := true
	for i, c := range charges {
		of[i].checkDecision(t, now, c, out.Decisions[i])
		passes = passes && out.Decisions[i].Allowed
	}
	require.Equal(t, passes, out.Allowed)
	var open []reservation
	for i, c := range charges {
		taken := passes && !out.Decisions[i].Shadowed
		require.Equal(t, taken, out.Decisions[i].Charged)
		if taken && c.Cost > 0 {
			of[i].events = append(of[i].events, event{at: now, cost: c.Cost, what: 'a'})
		}
		of[i].checkLeft(t, now, out.Decisions[i])
		if taken {
			open = append(open, reservation{of[i], out, i, c})
		}
	}
	return open
}

func settleOne(t *testing.T, store Store, clock *fakeClock, random *rand.Rand, r reservation) {
	t.Helper()
	used := random.Uint64N(2*r.c.Cost + 2)
	a, ok := r.out.Adjust(r.i, r.c, used)
	require.True(t, ok)
	require.NoError(t, store.Settle(t.Context(), []Adjustment{a}))
	e := event{at: clock.Now().UnixMicro(), reserved: r.out.At.UnixMicro(), what: 'm'}
	if used > r.c.Cost {
		e.cost = used - r.c.Cost
	} else {
		e.what, e.cost = 'l', r.c.Cost-used
	}
	if e.cost > 0 {
		r.of.events = append(r.of.events, e)
	}
}
