package limitcheck

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// A flaw is something that a gateway may do wrong.
type flaw string

const (
	none           flaw = ""
	oneMore        flaw = "admits one more than the count"
	oneLess        flaw = "admits one less than the count"
	counts         flaw = "counts refused requests"
	aligned        flaw = "aligns windows to the clock"
	shortWindow    flaw = "lets windows end a tenth too early"
	longWindow     flaw = "lets windows end a tenth too late"
	partial        flaw = "takes from some limits when another refuses"
	never          flaw = "does not settle"
	free           flaw = "takes nothing before it settles"
	rearms         flaw = "extends elastic windows by refused requests"
	forgets        flaw = "forgets everything once"
	telling        flaw = "says that one more is left"
	notTheStricter flaw = "says what is left of the first limit, not of the strictest"
)

// A simulation is a gateway of which the time of each decision is known.
type simulation struct {
	flaw  flaw
	taken map[string][]amount
}

type amount struct {
	at   time.Duration
	cost uint64
	id   *Call
	debt bool
}

// open gives what counts of a counter at a time.
func (s *simulation) open(t *Take, now time.Duration) []amount {
	window := t.Rate.Window
	switch s.flaw {
	case shortWindow:
		window -= window / 10
	case longWindow:
		window += window / 10
	case aligned:
		if t.Strategy == Fixed {
			return slices.DeleteFunc(slices.Clone(s.taken[t.Counter]), func(a amount) bool { return a.at/window != now/window })
		}
	}
	var in []amount
	var opened, last time.Duration
	for _, a := range s.taken[t.Counter] {
		switch t.Strategy {
		case Moving:
			if a.at > now-window {
				in = append(in, a)
			}
			continue
		case Fixed:
			if len(in) == 0 || a.at >= opened+window {
				in, opened = nil, a.at
			}
		default:
			if len(in) == 0 || a.at >= last+window {
				in, last = nil, a.at
			}
		}
		in = append(in, a)
		if !a.debt {
			last = a.at
		}
	}
	if t.Strategy == Fixed && now >= opened+window || t.Strategy == Elastic && now >= last+window {
		return nil
	}
	return in
}

func sum(amounts []amount) (n uint64) {
	for _, a := range amounts {
		n += a.cost
	}
	return n
}

// decide judges a call at a time.
func (s *simulation) decide(c *Call, now time.Duration) {
	c.Verdict = Admitted
	for i := range c.Takes {
		t := &c.Takes[i]
		count, cost := t.Rate.Count, t.Reserved
		switch s.flaw {
		case oneMore:
			count++
		case oneLess:
			count--
		case free:
			if t.Tokens {
				cost = 0
			}
		}
		if !t.Shadow && sum(s.open(t, now))+cost > count {
			c.Verdict = Refused
		}
	}
	left := map[bool]*Left{}
	for i := range c.Takes {
		t := &c.Takes[i]
		rearm := s.flaw == rearms && t.Strategy == Elastic && len(s.open(t, now)) > 0
		if c.Verdict == Admitted || s.flaw == counts || s.flaw == partial && i == 0 || rearm {
			cost := t.Reserved
			if s.flaw == free && t.Tokens || rearm && c.Verdict == Refused {
				cost = 0
			}
			s.taken[t.Counter] = append(s.taken[t.Counter], amount{at: now, cost: cost, id: c})
		}
		rest := t.Rate.Count - min(t.Rate.Count, sum(s.open(t, now)))
		if s.flaw == telling {
			rest++
		}
		if old := left[t.Tokens]; !t.Shadow && (old == nil || rest < old.Remaining && s.flaw != notTheStricter) {
			left[t.Tokens] = &Left{t.Rate.Count, rest}
		}
	}
	c.Requests, c.Tokens = left[false], left[true]
}

// settle replaces what a call reserved by what it used.
func (s *simulation) settle(c *Call, now time.Duration) {
	for i := range c.Takes {
		t := &c.Takes[i]
		if s.flaw == never || c.Verdict != Admitted || !t.Tokens {
			continue
		}
		for j := range s.taken[t.Counter] {
			if a := &s.taken[t.Counter][j]; a.id == c && !a.debt {
				a.cost = min(a.cost, t.Used)
			}
		}
		list := slices.DeleteFunc(s.taken[t.Counter], func(a amount) bool { return a.cost == 0 })
		if t.Used > t.Reserved {
			list = append(list, amount{at: now, cost: t.Used - t.Reserved, id: c, debt: true})
		}
		s.taken[t.Counter] = list
	}
}

// run makes a history: some calls one after the other, some at once, by a gateway with a flaw.
func run(random *rand.Rand, f flaw) []*Call {
	s := &simulation{flaw: f, taken: map[string][]amount{}}
	limits := someLimits(random)
	type moment struct {
		at time.Duration
		do func(now time.Duration)
	}
	var moments []moment
	var calls []*Call
	now := time.Second
	for range 60 {
		now += time.Duration(random.ExpFloat64() * float64(150*time.Millisecond))
		width := time.Duration(1+random.IntN(20)) * time.Millisecond
		for range 1 + random.IntN(4)*random.IntN(4) {
			c := &Call{Name: fmt.Sprint("call ", len(calls)), Sent: now, Answered: now + width}
			calls = append(calls, c)
			c.Takes = someTakes(random, limits)
			decided := c.Sent + time.Duration(random.Int64N(int64(width)))
			settled := decided + time.Duration(random.Int64N(int64(300*time.Millisecond)))
			c.Settled = max(c.Answered, settled)
			if random.IntN(4) == 0 {
				c.Settled = Forever
			}
			moments = append(moments, moment{decided, func(now time.Duration) { s.decide(c, now) }},
				moment{settled, func(now time.Duration) { s.settle(c, now) }})
		}
		now += width
	}
	if f == forgets {
		moments = append(moments, moment{now / 2, func(time.Duration) { clear(s.taken) }})
	}
	slices.SortStableFunc(moments, func(a, b moment) int { return cmp.Compare(a.at, b.at) })
	for _, m := range moments {
		m.do(m.at)
	}
	return calls
}

func someLimits(random *rand.Rand) []Take {
	limits := make([]Take, 3)
	for i := range limits {
		t := &limits[i]
		t.Counter = fmt.Sprint("counter ", i)
		t.Strategy = []string{Moving, Fixed, Elastic}[random.IntN(3)]
		t.Rate = Rate{Count: 3 + random.Uint64N(5), Window: time.Second}
		if t.Tokens = i == 2; t.Tokens {
			t.Rate.Count *= 100
		}
		if t.Strategy == Elastic {
			t.Rate.Window /= 4
		}
	}
	return limits
}

func someTakes(random *rand.Rand, limits []Take) []Take {
	takes := slices.Clone(limits)
	slices.SortFunc(takes, func(Take, Take) int { return random.IntN(3) - 1 })
	takes = takes[:1+random.IntN(len(takes))]
	for i := range takes {
		t := &takes[i]
		t.Reserved, t.Used = 1, 1
		if t.Tokens {
			t.Reserved, t.Used = 50+random.Uint64N(200), random.Uint64N(300)
			if random.IntN(4) == 0 {
				t.Used = 0
			}
		}
	}
	return takes
}

// TestSound: a gateway without a flaw is never found fault with.
func TestSound(t *testing.T) {
	t.Parallel()
	refused, admitted := 0, 0
	for seed := range uint64(1000) {
		calls := run(rand.New(rand.NewPCG(seed, 1)), none)
		for _, problem := range Check(calls) {
			t.Errorf("seed %d: %s", seed, problem)
		}
		for _, c := range calls {
			if c.Verdict == Refused {
				refused++
			} else {
				admitted++
			}
		}
	}
	if refused < 2_000 || admitted < 2_000 {
		t.Errorf("%d were admitted and %d refused: that tries nothing", admitted, refused)
	}
}

// TestSensitive: each flaw is found, in most histories.
func TestSensitive(t *testing.T) {
	t.Parallel()
	for _, f := range []flaw{oneMore, oneLess, counts, aligned, shortWindow, longWindow, partial, never, free, rearms, forgets, telling, notTheStricter} {
		found := 0
		for seed := range uint64(40) {
			if len(Check(run(rand.New(rand.NewPCG(seed, 2)), f))) > 0 {
				found++
			}
		}
		t.Logf("a gateway that %s: found in %d of 40 histories", f, found)
		if found < 15 {
			t.Errorf("a gateway that %s was found in %d of 40 histories only", f, found)
		}
	}
}
