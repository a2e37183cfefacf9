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

// wrongDecision compares what a store said before anything was taken with the naive counter.
func (n *naive) wrongDecision(now int64, c Charge, d Decision) string {
	fits := n.fits(now, c.Cost)
	again := now + d.RetryAfter.Microseconds()
	switch {
	case d.Allowed != (fits || c.Shadow) || d.Shadowed != (c.Shadow && !fits):
		return fmt.Sprintf("%d of %d are used, and the decision is %+v", n.used(now), c.Rate.Count, d)
	case fits && d.RetryAfter != 0 || !fits && c.Cost > c.Rate.Count && d.RetryAfter != Never:
		return fmt.Sprintf("it fits: %v, and it is to come again after %v", fits, d.RetryAfter)
	case fits || d.RetryAfter == Never:
	case !n.fits(again, c.Cost):
		return fmt.Sprintf("it does not fit after %v", d.RetryAfter)
	case n.fits(again-1, c.Cost):
		return fmt.Sprintf("it fits a microsecond before %v", d.RetryAfter)
	}
	return ""
}

// wrongLeft compares what is left, when nothing is to follow, with the naive counter.
func (n *naive) wrongLeft(now int64, d Decision) string {
	used, full := n.used(now), now+d.Reset.Microseconds()
	switch {
	case d.Remaining != n.charge.Rate.Count-min(used, n.charge.Rate.Count):
		return fmt.Sprintf("%d of %d are used, and %d are said to be left", used, n.charge.Rate.Count, d.Remaining)
	case used == 0 && d.Reset != 0 || used > 0 && (n.used(full) > 0 || n.used(full-1) == 0):
		return fmt.Sprintf("%d are used, and %d after %v", used, n.used(full), d.Reset)
	}
	return ""
}

// A reservation is one that is to be settled.
type reservation struct {
	of  *naive
	out Outcome
	i   int
	c   Charge
}

// Random schedules of reservations of several charges, looks, settlements, early ones and late ones, and
// edits of the rates: the store must agree with the naive counters in every word.
func TestModel(t *testing.T) {
	onEach(t, func(t *testing.T, store Store, clock *fakeClock) {
		schedules := uint64(500)
		if _, fast := store.(*Memory); fast {
			schedules = 10_000
		}
		for seed := range schedules {
			if replay(t, store, clock, seed); t.Failed() {
				return
			}
		}
	})
}

func replay(t *testing.T, store Store, clock *fakeClock, seed uint64) {
	defer func() {
		if t.Failed() {
			t.Logf("this was schedule %d", seed)
		}
	}()
	random := rand.New(rand.NewPCG(seed, 1))
	counters := someCounters(random, seed)
	var open []reservation
	for range 10 + random.IntN(40) {
		clock.Advance(pause(random, clock.Now(), open))
		switch random.IntN(12) {
		case 0:
			lookAtAll(t, store, clock, counters)
		case 10:
			counters[random.IntN(len(counters))].charge.Rate.Count = 1 + random.Uint64N(8)
		case 1, 2, 11:
			if len(open) > 0 {
				i := random.IntN(len(open)) * random.IntN(2) // the oldest, as often as not
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

// pause returns a time that often meets the very end of a window, or what was reserved earliest leaving it.
func pause(random *rand.Rand, now time.Time, open []reservation) time.Duration {
	if len(open) > 0 && random.IntN(4) == 0 {
		end := open[0].out.At.Add(open[0].c.Rate.Window + time.Duration(random.IntN(3)-1)*time.Microsecond)
		return max(0, end.Sub(now))
	}
	times := []time.Duration{0, 0, time.Microsecond, 7 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond, 100*time.Millisecond - time.Microsecond, 100 * time.Millisecond, 250 * time.Millisecond}
	return times[random.IntN(len(times))]
}

func lookAtAll(t *testing.T, store Store, clock *fakeClock, counters []*naive) {
	var charges []Charge
	for _, n := range counters {
		charges = append(charges, n.charge)
	}
	out, err := store.Check(t.Context(), charges)
	require.NoError(t, err)
	for i, n := range counters {
		if wrong := n.wrongLeft(clock.Now().UnixMicro(), out.Decisions[i]); wrong != "" {
			t.Fatal(wrong)
		}
	}
}

func reserveSome(t *testing.T, store Store, clock *fakeClock, random *rand.Rand, counters []*naive) []reservation {
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
	out, err := store.Reserve(t.Context(), charges)
	now := clock.Now().UnixMicro()
	if err != nil || now != out.At.UnixMicro() {
		t.Fatalf("reserved at %d by %v: %v", now, out.At, err)
	}
	passes := true
	for i, c := range charges {
		if wrong := of[i].wrongDecision(now, c, out.Decisions[i]); wrong != "" {
			t.Fatal(wrong)
		}
		passes = passes && out.Decisions[i].Allowed
	}
	if out.Allowed != passes {
		t.Fatalf("all pass: %v, and the outcome is %v", passes, out.Allowed)
	}
	var open []reservation
	for i, c := range charges {
		taken := passes && !out.Decisions[i].Shadowed
		if out.Decisions[i].Charged != taken {
			t.Fatalf("all pass: %v, and of %+v it is said that it was charged: %v", passes, c, out.Decisions[i].Charged)
		}
		if taken && c.Cost > 0 {
			of[i].events = append(of[i].events, event{at: now, cost: c.Cost, what: 'a'})
		}
		if wrong := of[i].wrongLeft(now, out.Decisions[i]); wrong != "" {
			t.Fatal(wrong)
		}
		if taken {
			open = append(open, reservation{of[i], out, i, c})
		}
	}
	return open
}

func settleOne(t *testing.T, store Store, clock *fakeClock, random *rand.Rand, r reservation) {
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
