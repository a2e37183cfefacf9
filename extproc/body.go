package extproc

import (
	"fmt"
	"sync/atomic"

	"tollgate/extproc/exchange"
)

// maxAsked bounds a request's body where the gate reads it. OpenAI takes no more than 50 MB, images
// included.
const maxAsked = 64 << 20

// budget is how many bytes of bodies are held, by all gates or by all taps.
type budget struct{ held atomic.Int64 }

// take asks for n more bytes.
func (b *budget) take(n int) bool {
	if b.held.Add(int64(n)) <= maxHeld {
		return true
	}
	b.held.Add(-int64(n))
	return false
}

func (b *budget) give(n int) { b.held.Add(-int64(n)) }

// body is a body that is kept until it is whole, as far as the budget goes.
type body struct {
	budget *budget
	most   int // bytes that one body may have
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
	if b.large || !b.budget.take(len(chunk)) {
		b.free()
		b.gone = true
		return
	}
	b.bytes = append(b.bytes, chunk...)
}

// replace puts other bytes in the place of what was kept.
func (b *body) replace(bytes []byte) {
	if !b.kept {
		b.budget.held.Add(int64(len(bytes) - len(b.bytes)))
	}
	b.bytes = bytes
}

func (b *body) free() {
	if !b.kept {
		b.budget.give(len(b.bytes))
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
