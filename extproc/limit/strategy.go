package limit

import (
	"cmp"
	"fmt"
	"slices"
)

// Strategy says which requests of the past a request meets. The package's doc has their invariants.
type Strategy string

// The strategies.
const (
	FixedWindow   Strategy = "fixed-window"
	ElasticWindow Strategy = "fixed-window-elastic-expiry"
	MovingWindow  Strategy = "moving-window"
)

// ParseStrategy returns the strategy of that name.
func ParseStrategy(name string) (Strategy, error) {
	if s := Strategy(name); s.valid() {
		return s, nil
	}
	return "", unknownStrategy(name)
}

func unknownStrategy(name string) error {
	return fmt.Errorf("unknown strategy %q: it is %s, %s or %s", name, FixedWindow, ElasticWindow, MovingWindow)
}

func (s Strategy) valid() bool { return s == FixedWindow || s == ElasticWindow || s == MovingWindow }

// The kinds of counters, as keys in Redis have them.
const (
	kindFixed   = 'f'
	kindElastic = 'e'
	kindMoving  = 'm'
	shadowed    = 'a' - 'A' // taken off a kind
)

func (s Strategy) kind(shadow bool) byte {
	kind := byte(kindMoving)
	switch s {
	case FixedWindow:
		kind = kindFixed
	case ElasticWindow:
		kind = kindElastic
	case MovingWindow:
	}
	if shadow {
		kind -= shadowed
	}
	return kind
}

// plain returns the kind without the mark of a shadow.
func (id *ident) plain() byte { return id.kind | shadowed }

const (
	parts    = 2048         // of a moving window, where entries are merged
	mostKept = 2 * parts    // entries of a moving window
	mostUsed = 4 * MaxCount // however deep in debt
)

// An entry is what was admitted at one time.
type entry struct {
	at   int64
	cost uint64
}

// A tally is a counter's state. Times are microseconds.
type tally struct {
	used   uint64
	opened int64   // fixed windows: when the open one did
	last   int64   // when a charge was last admitted; in moving windows, or settled
	log    []entry // moving windows: the times ascend, and the costs' sum is used
}

// A reading is what a tally means for a charge.
type reading struct {
	fits       bool
	used       uint64
	resetAt    int64 // when nothing is used any more
	resetTaken int64 // the same, once the charge is taken
	retryAt    int64 // when the charge fits; 0: now, or never
}

// ends returns when the open window does; of a moving window, when its youngest entry leaves it.
func (t *tally) ends(id *ident) int64 {
	switch n := len(t.log); {
	case n > 0:
		return t.log[n-1].at + id.window
	case id.plain() == kindFixed:
		return t.opened + id.window
	}
	return t.last + id.window
}

// advance returns the tally at a later time: what has expired is gone.
func advance(now int64, t tally, id *ident) tally {
	if id.plain() != kindMoving {
		if now >= t.ends(id) {
			return tally{}
		}
		return t
	}
	gone := 0
	for gone < len(t.log) && t.log[gone].at <= now-id.window {
		t.used -= t.log[gone].cost
		gone++
	}
	t.log = t.log[gone:]
	return t
}

// read judges a charge by an advanced tally.
func read(now int64, t *tally, s *slot) reading {
	r := reading{used: t.used, fits: t.used+s.cost <= s.count, resetTaken: now + s.window}
	if t.used > 0 {
		r.resetAt = t.ends(&s.ident)
		if s.plain() == kindFixed {
			r.resetTaken = r.resetAt
		}
	}
	if !r.fits && s.cost <= s.count {
		r.retryAt = retryAt(t, s)
	}
	return r
}

// retryAt returns when enough has expired.
func retryAt(t *tally, s *slot) int64 {
	if s.plain() != kindMoving {
		return t.ends(&s.ident)
	}
	excess := t.used + s.cost - s.count
	for _, e := range t.log {
		if e.cost >= excess {
			return e.at + s.window
		}
		excess -= e.cost
	}
	return t.ends(&s.ident)
}

// take returns the tally with an admitted charge in it.
func take(now int64, t tally, s *slot) tally {
	if s.plain() == kindMoving {
		return record(now, t, s.cost, s.window)
	}
	if t.used == 0 {
		t.opened = now
	}
	t.last = now
	t.used += s.cost
	return t
}

// record puts an entry into a moving window.
func record(now int64, t tally, cost uint64, window int64) tally {
	t.last = now
	t.used += cost
	if n := len(t.log); n > 0 && t.log[n-1].at == now {
		t.log[n-1].cost += cost
		return t
	}
	if len(t.log) == mostKept {
		t.log = merge(t.log, window)
	}
	t.log = append(t.log, entry{now, cost})
	return t
}

// width returns how long a part of a moving window is.
func width(window int64) int64 { return (window + parts - 1) / parts }

// merge makes one entry of all that are in the same part of the window, as old as the youngest. What is
// left are parts+1 entries at most.
func merge(log []entry, window int64) []entry {
	kept := log[:0]
	for _, e := range log {
		if n := len(kept); n > 0 && kept[n-1].at/width(window) == e.at/width(window) {
			kept[n-1] = entry{e.at, kept[n-1].cost + e.cost}
			continue
		}
		kept = append(kept, e)
	}
	return kept
}

// settleMore returns the tally with what was used beyond a reservation.
func settleMore(now int64, t tally, id *ident, more uint64) tally {
	more = min(more, mostUsed-min(t.used, mostUsed))
	switch {
	case more == 0:
	case id.plain() == kindMoving:
		return record(now, t, more, id.window)
	case t.used == 0:
		t = tally{opened: now, last: now, used: more}
	default:
		t.used += more
	}
	return t
}

// settleLess returns the tally without what was reserved at a time and not used, if that time still
// counts. A fixed window that is empty again is no window: nothing was admitted in it.
func settleLess(now int64, t tally, id *ident, at int64, less uint64) tally {
	if id.plain() != kindMoving {
		if t.used > 0 && at >= t.opened {
			t.used -= min(t.used, less)
		}
		return t
	}
	if at <= now-id.window {
		return t
	}
	i, _ := slices.BinarySearchFunc(t.log, at, func(e entry, at int64) int { return cmp.Compare(e.at, at) })
	if i == len(t.log) || t.log[i].at/width(id.window) != at/width(id.window) {
		return t
	}
	less = min(less, t.log[i].cost)
	t.used -= less
	if t.log[i].cost -= less; t.log[i].cost == 0 {
		t.log = slices.Delete(t.log, i, i+1)
	}
	return t
}
