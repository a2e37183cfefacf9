package extproc

import (
	"context"
	"slices"
	"sync"
	"time"

	"tollgate/extproc/exchange"
	"tollgate/extproc/openai"
)

const (
	// comeWithin is how long the tap has to come for a call that the gate let pass: it comes with
	// the request's headers, at once.
	comeWithin = 30 * time.Second

	// maxWaiting bounds the calls that wait for the tap.
	maxWaiting = 100_000
)

// Listener hears one call. Its methods are called by one goroutine, never block, and keep nothing
// that they are given but the answer.
type Listener interface {
	// Asked tells what was asked, once the body is whole; not called where it could not be read.
	Asked(request *openai.Request)

	// Event tells each event of a streamed answer, or the whole body of another.
	Event(event *openai.Event)

	// Words tells whether Done looks at what was said: at the answer's choices. Where nobody does, it has none.
	Words() bool

	// Done is called exactly once, whatever happened. The answer is what arrived of it; nil: nothing.
	Done(answer *openai.Answer, end exchange.End)
}

// admission is a call that the gate let pass, with who listens to it.
type admission struct {
	call      *exchange.Call
	listeners []Listener
	keeping   *keeping // nil: the answer is not for the cache
	hold      *hold    // nil: it costs nothing, as far as is known
}

// newAdmission tells the listeners what was asked, if the gate read it.
func newAdmission(call *exchange.Call, listeners []Listener, asked *openai.Request) *admission {
	a := &admission{call: call, listeners: listeners}
	if asked != nil && asked.API != openai.Other {
		a.asked(asked)
	}
	return a
}

// words tells whether somebody looks at what was said.
func (a *admission) words() bool { return slices.ContainsFunc(a.listeners, Listener.Words) }

func (a *admission) asked(request *openai.Request) {
	for _, l := range a.listeners {
		l.Asked(request)
	}
}

// done tells the end, with what the call cost. Where that has to be counted, it is told in the background.
func (a *admission) done(answer *openai.Answer, end exchange.End) {
	if a.hold == nil {
		a.tell(answer, end)
		return
	}
	if !a.hold.mustCount(answer, end) {
		a.tell(a.hold.reckon(answer, end))
		return
	}
	a.hold.exit()
	a.hold.gate.settling.Go(func() { a.tell(a.hold.reckon(answer, end)) })
}

func (a *admission) tell(answer *openai.Answer, end exchange.End) {
	for _, l := range a.listeners {
		l.Done(answer, end)
	}
}

// handoff keeps admissions between the gate, which makes them, and the tap, which comes for them.
type handoff struct {
	mu      sync.Mutex
	waiting map[string]*admission
}

func newHandoff() *handoff { return &handoff{waiting: map[string]*admission{}} }

// put leaves an admission for the tap. Where too many wait already, its listeners hear the end.
func (h *handoff) put(a *admission) {
	h.mu.Lock()
	full := len(h.waiting) >= maxWaiting
	if !full {
		h.waiting[a.call.ID] = a
	}
	h.mu.Unlock()
	if full {
		a.done(nil, exchange.End{Cause: exchange.Unseen, Last: time.Now()})
	}
}

// take gives the admission to the tap; nil where there is none, as for answers of the gate's own.
func (h *handoff) take(id string) *admission {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.waiting[id]
	delete(h.waiting, id)
	return a
}

// has tells whether an admission waits under an id.
func (h *handoff) has(id string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.waiting[id] != nil
}

// len is how many wait.
func (h *handoff) len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.waiting)
}

// expire ends the calls that began before a time and that no tap came for.
func (h *handoff) expire(before time.Time) {
	h.mu.Lock()
	var expired []*admission
	for id, a := range h.waiting {
		if a.call.Began.Before(before) {
			expired = append(expired, a)
			delete(h.waiting, id)
		}
	}
	h.mu.Unlock()
	for _, a := range expired {
		a.done(nil, exchange.End{Cause: exchange.Unseen, Last: time.Now()})
	}
}

// Run ends calls that no tap comes for, until ctx ends; then it ends all that wait, and settles what
// is open.
func (g *Gate) Run(ctx context.Context) {
	tick := time.NewTicker(comeWithin / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			close(g.ending)
			g.handoff.expire(time.Now().Add(time.Hour))
			g.settling.Wait()
			return
		case now := <-tick.C:
			g.handoff.expire(now.Add(-comeWithin))
		}
	}
}
