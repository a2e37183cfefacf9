package extproc

import (
	"fmt"
	"sync"

	"tollgate/extproc/exchange"
)

// maxAsked bounds a request's body where the gate reads it. OpenAI takes no more than 50 MB, images
// included.
const maxAsked = 64 << 20

// budget is how many bytes of bodies are held, by all gates or by all taps. No client holds more than is left for
// all others, so that one that sends much, and slowly, cannot keep them out.
type budget struct {
	mu   sync.Mutex
	held int
	by   map[string]int // of those who have a share
}

// take asks for n more bytes, for somebody, or for nobody in particular.
func (b *budget) take(who string, n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held+n > maxHeld || who != "" && b.by[who]+n > maxHeld-b.held-n {
		return false
	}
	b.add(who, n)
	return true
}

func (b *budget) give(who string, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.add(who, -n)
}

// add is called with the lock held.
func (b *budget) add(who string, n int) {
	b.held += n
	if who == "" {
		return
	}
	if b.by == nil {
		b.by = map[string]int{}
	}
	if b.by[who] += n; b.by[who] == 0 {
		delete(b.by, who)
	}
}

// short tells whether more is held than what must not wait for anything leaves.
func (b *budget) short() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.held > maxHeld/4
}

// body is a body that is kept until it is whole, as far as the budget goes.
type body struct {
	budget *budget
	who    string // whose share it is; empty: nobody's
	most   int    // bytes that one body may have
	bytes  []byte
	gone   bool // too large: what was kept is forgotten
	large  bool // larger than one may be, not than what all may hold
	kept   bool // somebody else keeps it, and gives its bytes back
}

func (b *body) add(chunk []byte) {
	if b.gone {
		return
	}
	b.large = len(b.bytes)+len(chunk) > b.most
	if b.large || !b.budget.take(b.who, len(chunk)) {
		b.free()
		b.gone = true
		return
	}
	b.bytes = append(b.bytes, chunk...)
}

// replace puts other bytes in the place of what was kept.
func (b *body) replace(bytes []byte) {
	if !b.kept {
		b.budget.give(b.who, len(b.bytes)-len(bytes))
	}
	b.bytes = bytes
}

func (b *body) free() {
	if !b.kept {
		b.budget.give(b.who, len(b.bytes))
	}
	b.bytes = nil
}

// tooLarge is the answer to a request whose body cannot be kept.
func tooLarge(b *body) *exchange.Refusal {
	if b.large {
		return &exchange.Refusal{
			Status: 413, Type: "invalid_request_error", Code: "request_too_large",
			Message: fmt.Sprintf("Tollgate: the request's body is larger than %d MiB, the most that is read here.", b.most>>20),
		}
	}
	return &exchange.Refusal{
		Status: 503, Type: "server_error", Code: "overloaded",
		Message: "Tollgate: too many large requests at once; try again.",
		Headers: []exchange.Header{{Name: "retry-after", Value: "1"}},
	}
}
