package limitcheck

import "time"

// An elastic window is a fixed one whose end is W after the last that was admitted in it. So two
// admitted calls less than W apart are in the same one, and windows are chains of such.

// leastElastic follows the chain back from a call, as far as it is sure.
func (c *counter) leastElastic(call *Call) uint64 {
	before := func(e *entry) bool { return e.sure && e.call != call && e.to <= call.Sent }
	in := c.chain(
		func(e *entry) bool { return before(e) && !e.debt },
		func(e *entry) bool { return call.Answered-e.from < c.window },
		func(e, f *entry) bool { return surelyWithin(e, f, c.window) },
	)
	var sum uint64
	for i := range c.entries {
		e := &c.entries[i]
		if in[i] || e.debt && before(e) && c.owedIn(e, in) {
			sum += e.atLeast(call.Sent)
		}
	}
	return sum
}

// owedIn tells whether a debt surely fell into the window of a chain. It does not extend it.
func (c *counter) owedIn(debt *entry, chain []bool) bool {
	for i := range c.entries {
		e := &c.entries[i]
		if chain[i] && (e.call == debt.call || e.to <= debt.from) && debt.to-e.from < c.window {
			return true
		}
	}
	return false
}

// mostElastic follows the chain back from a call, as far as it is possible.
func (c *counter) mostElastic(call *Call) uint64 {
	in := c.chain(
		func(e *entry) bool { return e.call != call && e.from <= call.Answered },
		func(e *entry) bool { return call.Sent-e.to < c.window },
		func(e, f *entry) bool { return max(e.from, f.from)-min(e.to, f.to) < c.window },
	)
	var sum uint64
	for i := range c.entries {
		if in[i] {
			sum += c.entries[i].atMost(call.Sent)
		}
	}
	return sum
}

func (c *counter) crowdedElastic() string {
	for i := range c.entries {
		in := c.chain(
			func(e *entry) bool { return e.sure && !e.debt },
			func(e *entry) bool { return e == &c.entries[i] },
			func(e, f *entry) bool { return surelyWithin(e, f, c.window) },
		)
		var sum uint64
		for j := range c.entries {
			if in[j] {
				sum += c.entries[j].least
			}
		}
		if crowd := c.crowd(sum, c.entries[i].from); crowd != "" {
			return crowd
		}
	}
	return ""
}

func surelyWithin(e, f *entry, window time.Duration) bool {
	return max(e.to, f.to)-min(e.from, f.from) < window
}

// chain marks the entries that can be reached from the first ones by steps, of those that may be used.
func (c *counter) chain(may, first func(*entry) bool, step func(e, f *entry) bool) []bool {
	in := make([]bool, len(c.entries))
	var next []int
	for i := range c.entries {
		if e := &c.entries[i]; may(e) && first(e) {
			in[i] = true
			next = append(next, i)
		}
	}
	for ; len(next) > 0; next = next[1:] {
		for i := range c.entries {
			if e := &c.entries[i]; !in[i] && may(e) && step(e, &c.entries[next[0]]) {
				in[i] = true
				next = append(next, i)
			}
		}
	}
	return in
}
