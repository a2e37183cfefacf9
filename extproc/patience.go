package extproc

import (
	"sync/atomic"
	"time"

	"tollgate/extproc/exchange"
)

const (
	// slowest is how many bytes a second of a body must come, on average, where the gate holds it.
	slowest = 8 << 10

	// patienceFor is how far a body may be behind that.
	patienceFor = time.Minute
)

// patience refuses a request whose body comes so slowly that it holds what others need. What was sent fast is no
// reason to be slow later: a body is never ahead of its time.
type patience struct {
	state atomic.Int32 // waits, then over or gone
	due   time.Time
	timer *time.Timer
	sent  chan struct{} // closed once the refusal was sent
	err   error         // of sending it
}

// The states of patience.
const (
	waits int32 = iota
	over        // the body is whole, or will not come
	gone        // the request was refused
)

// wait begins to wait for a body. The caller must not send before end.
func (s *stream) wait() *patience {
	p := &patience{due: time.Now().Add(patienceFor), sent: make(chan struct{})}
	p.timer = time.AfterFunc(patienceFor, func() {
		if p.state.CompareAndSwap(waits, gone) {
			p.err = s.refuse(tooSlow())
			close(p.sent)
		}
	})
	return p
}

// came notes that so much of the body has come.
func (p *patience) came(n int) {
	now := time.Now()
	p.due = p.due.Add(time.Duration(n) * time.Second / slowest)
	if latest := now.Add(patienceFor); p.due.After(latest) {
		p.due = latest
	}
	p.timer.Reset(p.due.Sub(now))
}

// end ends the wait. It is false where the request was refused meanwhile, and then it has been told.
func (p *patience) end() bool {
	p.timer.Stop()
	if p.state.CompareAndSwap(waits, over) {
		return true
	}
	<-p.sent
	return false
}

func tooSlow() *exchange.Refusal {
	return &exchange.Refusal{
		Status: 408, Type: "invalid_request_error", Code: "request_timeout",
		Message: "Tollgate: the request's body comes too slowly.",
	}
}
