package limitcheck

import (
	"math"
	"time"
)

// Strategies, as the configuration names them.
const (
	Moving  = "moving-window"
	Fixed   = "fixed-window"
	Elastic = "fixed-window-elastic-expiry"
)

// Forever is later than all times of a history.
const Forever time.Duration = math.MaxInt64 / 2

// Rate is a number of requests or tokens per time.
type Rate struct {
	Count  uint64
	Window time.Duration
}

// Take is what a request wants of one counter.
type Take struct {
	Counter  string // two takes of the same counter have the same window and strategy
	Rate     Rate
	Strategy string
	Tokens   bool
	Shadow   bool   // refuses nobody
	Reserved uint64 // what is taken when the request is decided
	Used     uint64 // what is taken in the end: of requests the same
}

// Verdict is what became of a request.
type Verdict int

// The verdicts. Lost is a request of which nobody knows whether it was counted: the gateway died.
const (
	Admitted Verdict = iota
	Refused
	Lost
)

// Call is one request as its client saw it. Times are since the history's beginning.
type Call struct {
	Name           string // for people
	Sent, Answered time.Duration
	Settled        time.Duration // when what it used was surely settled; Forever: nobody knows
	Verdict        Verdict
	Must           bool // it must have been admitted: it came when it had been told to, and alone
	Cut            bool // its answer did not arrive whole, so nobody knows what it used of its tokens
	Takes          []Take
	Requests       *Left // what the answer says is left; nil: nothing
	Tokens         *Left
}

// Left is what x-ratelimit-limit- and x-ratelimit-remaining- say.
type Left struct{ Limit, Remaining uint64 }

// An entry is an amount that was taken of a counter at some time between from and to.
type entry struct {
	call     *Call
	from, to time.Duration
	least    uint64 // what it was at least, before it was settled
	most     uint64 // and at most
	used     uint64 // what it was once it was settled
	sure     bool   // it was taken, and never wholly given back
	debt     bool   // it is what was used beyond a reservation
}

// atLeast is what surely counts of an entry for who comes at a time.
func (e *entry) atLeast(at time.Duration) uint64 {
	if e.call.Settled <= at {
		return e.used
	}
	return e.least
}

// atMost is what may count of an entry for who comes at a time.
func (e *entry) atMost(at time.Duration) uint64 {
	if e.call.Settled <= at {
		return e.used
	}
	return e.most
}

// entries are what a call took of a counter: its reservation, and a debt.
func entries(c *Call, t *Take) []entry {
	if c.Verdict == Lost {
		return []entry{{call: &Call{Name: c.Name, Settled: Forever}, from: c.Sent, to: c.Answered, most: t.Reserved}}
	}
	if c.Cut && t.Tokens {
		return []entry{{call: c, from: c.Sent, to: c.Answered, most: t.Reserved}}
	}
	kept := min(t.Reserved, t.Used)
	list := []entry{{call: c, from: c.Sent, to: c.Answered, least: kept, most: t.Reserved, used: kept, sure: kept > 0}}
	if t.Used > t.Reserved {
		debt := t.Used - t.Reserved
		list = append(list, entry{call: c, from: c.Sent, to: c.Settled, most: debt, used: debt, sure: c.Settled < Forever, debt: true})
	}
	return list
}
