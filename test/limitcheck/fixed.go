package limitcheck

import "time"

// A fixed window: it opens when something is taken and none is open, and is [opened, opened+W). Never
// more than N in it.

// An opening is when a window may have opened, if it did.
type opening struct {
	from, to time.Duration
	after    time.Duration // what came from here on did not come before it
	entries  []entry       // those of its stretch
}

// openings works out when windows opened, stretch by stretch. Before each stretch all windows were over.
func openings(all []entry, window time.Duration) []opening {
	var list []opening
	for len(all) > 0 {
		n, last := 1, all[0].to
		for ; n < len(all) && all[n].from < last+window; n++ {
			last = max(last, all[n].to)
		}
		list = append(list, stretch(all[:n], window)...)
		all = all[n:]
	}
	return list
}

func stretch(all []entry, window time.Duration) []opening {
	o := opening{from: all[0].from, to: Forever, entries: all}
	var list []opening
	for {
		next := opening{from: Forever, to: Forever, after: o.to + window, entries: all}
		for i := range all {
			e := &all[i]
			if e.sure && e.from >= o.after {
				o.to = min(o.to, e.to)
			}
		}
		next.after = o.to + window
		for i := range all {
			if e := &all[i]; e.to >= o.from+window {
				next.from = min(next.from, e.from)
			}
		}
		list = append(list, o)
		if next.from == Forever || o.from > all[len(all)-1].from { // what is settled nobody knows when is left
			return list
		}
		next.from = max(next.from, o.from+window)
		o = next
	}
}

// surely tells whether an entry was in the window.
func (o *opening) surely(e *entry, window time.Duration) bool {
	return e.sure && e.from >= o.after && e.to < o.from+window
}

func (o *opening) possibly(e *entry, window time.Duration) bool {
	return e.to >= o.from && e.from < o.to+window
}

func (c *counter) leastFixed(call *Call) uint64 {
	var most uint64
	for i := range c.opened {
		o := &c.opened[i]
		if call.Sent < o.after || call.Sent < o.from || call.Answered >= o.from+c.window {
			continue
		}
		var sum uint64
		for j := range o.entries {
			if e := &o.entries[j]; e.call != call && e.to <= call.Sent && o.surely(e, c.window) {
				sum += e.atLeast(call.Sent)
			}
		}
		most = max(most, sum)
	}
	return most
}

func (c *counter) mostFixed(call *Call) uint64 {
	var most uint64
	for i := range c.opened {
		o := &c.opened[i]
		if call.Sent >= o.to+c.window || call.Answered < o.from {
			continue
		}
		var sum uint64
		for j := range o.entries {
			if e := &o.entries[j]; e.call != call && e.from <= call.Answered && o.possibly(e, c.window) {
				sum += e.atMost(call.Sent)
			}
		}
		most = max(most, sum)
	}
	return most
}

func (c *counter) crowdedFixed() string {
	for i := range c.opened {
		o := &c.opened[i]
		var sum uint64
		for j := range o.entries {
			if e := &o.entries[j]; !e.debt && o.surely(e, c.window) {
				sum += e.least
			}
		}
		if crowd := c.crowd(sum, o.from); crowd != "" {
			return crowd
		}
	}
	return ""
}
