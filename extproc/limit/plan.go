package limit

import "time"

// An ident names a counter.
type ident struct {
	key    string
	window int64 // microseconds
	kind   byte  // of the strategy; upper case: shadow
}

// A slot is one counter of a request, and what the request wants of it.
type slot struct {
	ident
	count, cost uint64
	shadow      bool
	read        reading
	shard       *shard // where a Memory has it
}

// A plan is the slots of a request. Charges that share a counter share a slot.
type plan struct {
	slots []slot
	of    []int // charge -> slot; nil: one each, in their order
}

// newPlan sorts charges into slots, with the space of buffer as far as it goes.
func newPlan(charges []Charge, buffer []slot) (plan, error) {
	p := plan{slots: buffer[:0]}
	for i := range charges {
		c := &charges[i]
		if err := verify(c); err != nil {
			return plan{}, err
		}
		s := slot{ident: identOf(c), count: c.Rate.Count, cost: min(c.Cost, MaxCount+1), shadow: c.Shadow}
		p = p.add(i, s)
	}
	return p, nil
}

func identOf(c *Charge) ident {
	return ident{key: c.Key, window: c.Rate.Window.Microseconds(), kind: c.Strategy.kind(c.Shadow)}
}

// add puts charge i into a slot of its own, or into the one of its counter. By value: what is stored
// through a pointer moves to the heap, and the caller's buffer with it.
func (p plan) add(i int, s slot) plan {
	for j := range p.slots {
		if p.slots[j].ident != s.ident {
			continue
		}
		p.slots[j].count = min(p.slots[j].count, s.count)
		p.slots[j].cost = max(p.slots[j].cost, s.cost)
		return p.share(i, j)
	}
	p.slots = append(p.slots, s)
	if p.of != nil {
		p.of = append(p.of, len(p.slots)-1)
	}
	return p
}

// share notes that charge i has the slot j of an earlier one.
func (p plan) share(i, j int) plan {
	if p.of == nil {
		p.of = make([]int, i, i+1)
		for k := range p.of {
			p.of[k] = k
		}
	}
	p.of = append(p.of, j)
	return p
}

func (p plan) slotOf(i int) int {
	if p.of == nil {
		return i
	}
	return p.of[i]
}

// passes reports whether no enforced slot refuses.
func (p plan) passes() bool {
	for i := range p.slots {
		if s := &p.slots[i]; !s.read.fits && !s.shadow {
			return false
		}
	}
	return true
}

// decide puts a reading into words. It was made before anything was taken.
func (s *slot) decide(now int64, taken bool) Decision {
	d := Decision{
		Allowed:  s.read.fits || s.shadow,
		Charged:  taken && s.read.fits,
		Shadowed: s.shadow && !s.read.fits,
	}
	used, reset := s.read.used, s.read.resetAt
	if d.Charged && s.cost > 0 {
		used, reset = used+s.cost, s.read.resetTaken
	}
	d.Remaining = s.count - min(used, s.count)
	if reset > now {
		d.Reset = micros(reset - now)
	}
	switch {
	case s.read.fits:
	case s.cost > s.count:
		d.RetryAfter = Never
	default:
		d.RetryAfter = micros(s.read.retryAt - now)
	}
	return d
}

func micros(n int64) time.Duration { return time.Duration(n) * time.Microsecond }
