package chaos

import (
	"net/http"
	"slices"
	"time"
)

// grace is how long after a trouble calls may still feel it.
const grace = 1500 * time.Millisecond

// History is what was seen of a run. Times are since its beginning.
type History struct {
	Plan     *Plan
	Outcomes []*Outcome
	Arrivals map[string][]*Arrival // by the call's name, in their order
	Troubles []Trouble
	Prompts  map[string]uint64 // what the gateway takes the prompt of limited calls for, by model
}

// Outcome is a call as its client saw it.
type Outcome struct {
	*Call

	Sent     time.Duration
	Answered time.Duration // when the answer began, or it was clear that there is none
	Ended    time.Duration
	Status   int // 0: there was no answer
	Header   http.Header
	Body     string
	Err      string // how it ended, if not well
	Left     bool   // the client went by itself
	Hung     bool   // the client gave it up
}

// Arrival is an attempt as an upstream saw it.
type Arrival struct {
	Upstream string
	At       time.Duration
	Fault    Fault
	Whole    bool // it was answered to its end
}

// Trouble is an event and what came of it.
type Trouble struct {
	*Event

	From, To time.Duration // To: when it was over, and what it touched works again
}

// overlaps tells whether a trouble fell into some time.
func (t *Trouble) overlaps(from, to time.Duration) bool { return t.From <= to && from <= t.To+grace }

// whole tells whether a client saw an answer's end in good order.
func (o *Outcome) whole() bool { return o.Status != 0 && o.Err == "" && !o.Left }

// good tells whether it was a success.
func (o *Outcome) good() bool { return o.whole() && o.Status == http.StatusOK }

// excused says what trouble may have kept a call from success; nil: none.
func (h *History) excused(o *Outcome) *Trouble {
	for i := range h.Troubles {
		t := &h.Troubles[i]
		if t.overlaps(o.Sent, o.Ended) && h.mayFeel(o, t) {
			return t
		}
	}
	return nil
}

// mayFeel tells whether a trouble has anything to do with a call. An edit and a full disk have with none, and
// Redis with those that are counted there: the cache does without it.
func (h *History) mayFeel(o *Outcome, t *Trouble) bool {
	switch t.Kind {
	case ServeKilled, ServeStopped, EnvoyKilled, EnvoyStopped, AllKilled:
		return true
	case RedisKilled, RedisStopped, RedisFlushed:
		return o.Query != nil
	case UpstreamDown:
		return h.mayFeelDown(o, t.Upstream)
	}
	return false
}

// mayFeelDown tells whether a call cannot do without an upstream: where there are others it was under way there
// when that went down, or meets another trouble beside.
func (h *History) mayFeelDown(o *Outcome, upstream string) bool {
	of := o.upstreams()
	if len(of) == 1 || !slices.Contains(of, upstream) {
		return slices.Contains(of, upstream)
	}
	for _, a := range h.Arrivals[o.Name] {
		if a.Upstream == upstream && !a.Whole {
			return true
		}
	}
	down := 0
	for _, t := range h.Troubles {
		if t.Kind == UpstreamDown && t.overlaps(o.Sent, o.Ended) && slices.Contains(of, t.Upstream) {
			down++
		}
	}
	return down > 1 || len(o.Faults) > 0
}

// upstreams are those that a call may reach.
func (c *Call) upstreams() []string {
	if c.Query != nil {
		return []string{"up"}
	}
	for _, r := range routes() {
		if r.Prefix == c.Route {
			return r.Upstreams
		}
	}
	return nil
}

// last is what the last attempt of a call met.
func (h *History) last(name string) *Arrival {
	if list := h.Arrivals[name]; len(list) > 0 {
		return list[len(list)-1]
	}
	return &Arrival{}
}

// healthy tells whether an upstream answered a call whole and well, at any attempt.
func (h *History) healthy(name string) bool {
	for _, a := range h.Arrivals[name] {
		if does := a.Fault.Does(); a.Whole && (does == "" || does == Harmless) {
			return true
		}
	}
	return false
}
