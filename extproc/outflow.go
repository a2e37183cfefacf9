package extproc

import (
	"context"
	"fmt"
	"sync"
	"time"

	"tollgate/extproc/exchange"
)

// outflow bounds how fast answers of the gate's own go to Envoy, all together. Envoy takes these whole, whether their
// clients read or not: it has no flow control in this direction (envoyproxy/envoy#33319). When its memory becomes short
// it cuts those who do not read, which takes it seconds; so in a second no more goes out than an eighth of its memory.
//
// One answer goes after the other, each at once: what is all in Envoy's hands can be cut there, what is half is not.
// Streams that several share begin before they are whole, and have their turns part by part.
type outflow struct {
	rate float64 // bytes a second

	mu   sync.Mutex
	next time.Time // when the next one may go
}

const (
	// outflowFree is how large an answer is that waits for none, and none for it.
	outflowFree = 64 << 10

	// outflowPatience is how long a request waits that may as well come again.
	outflowPatience = time.Second

	// outflowPaid is how long one waits whose answer the upstream was paid for, or has begun.
	outflowPaid = time.Hour

	// outflowPart is how much of a stream has its turn at once: who leaves does not give his turn back.
	outflowPart = 256 << 10

	plentyHeap = 2 << 30
)

func newOutflow(heap uint64) *outflow { return &outflow{rate: float64(heap) / 8} }

// turn is how long an answer of so many bytes is to wait; false: its turn is after more than patience, and was not
// taken.
func (o *outflow) turn(now time.Time, bytes int, patience time.Duration) (wait time.Duration, ok bool) {
	if bytes <= outflowFree {
		return 0, true
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.next.Before(now) {
		o.next = now
	}
	wait = o.next.Sub(now)
	if wait > patience {
		return 0, false
	}
	o.next = o.next.Add(time.Duration(float64(bytes) / o.rate * float64(time.Second)))
	return wait, true
}

// wait returns when it is the turn of an answer. Its error is a refusal, or that of the context.
func (o *outflow) wait(ctx context.Context, bytes int, patience time.Duration) error {
	wait, ok := o.turn(time.Now(), bytes, patience)
	if !ok {
		return &exchange.Refusal{
			Status: 503, Type: "server_error", Code: "overloaded",
			Message: "Tollgate: too many large answers at once; try again.",
			Headers: []exchange.Header{{Name: "retry-after", Value: "1"}},
		}
	}
	if wait == 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for an answer's turn: %w", ctx.Err())
	}
}

// turns are those of one stream, from its first event on.
type turns struct {
	outflow *outflow
	due     int // bytes that went out without a turn
}

// each sends what has come of the stream, in parts that each have their turn. An empty one is sent, too: it may be the
// last.
func (t *turns) each(ctx context.Context, piece []byte, send func(part []byte, rest bool) error) error {
	for {
		part := piece[:min(len(piece), outflowPart)]
		piece = piece[len(part):]
		if t.due += len(part); t.due > outflowFree {
			if err := t.outflow.wait(ctx, t.due, outflowPaid); err != nil {
				return err
			}
			t.due = 0
		}
		if err := send(part, len(piece) > 0); err != nil || len(piece) == 0 {
			return err
		}
	}
}
