//go:build !race

package extproc_test

import (
	"runtime"
	"sync"
	"testing"

	"go.uber.org/zap"

	"tollgate/extproc/codec"
	"tollgate/extproc/exchange"
	"tollgate/extproc/openai"
	"tollgate/extproc/shallow"
)

// TestWaitingStacks: a tap that waits for its next event has a stack of 4 KB. The race detector makes all stacks
// larger, so that with it there is nothing to see.
func TestWaitingStacks(t *testing.T) {
	const streams, most = 1000, 8 << 10 // bytes of each, of which 2 KB are the client's; with a stack of 8 KB it is 10
	var came sync.WaitGroup
	gate, c := watched(t, zap.NewNop(), counts{came: &came})
	client := served(t, shallow.Server(gate, codec.New(), maxMessage))
	first, copies := head(t), copiesOf(t, sseHead(), sseEvent("Once "), sseEvent("upon a time."))
	before := stacks()
	for range streams {
		came.Add(2)
		send(t, client, tapOf(t, gate, c, first, nil), copies)
	}
	came.Wait()
	if each := (stacks() - before) / streams; each > most {
		t.Errorf("a tap that waits takes %d bytes of stack, want at most %d", each, most)
	}
}

// counts is a listener that counts down the events that are to come.
type counts struct {
	wordless
	came *sync.WaitGroup
}

func (c counts) Event(*openai.Event) { c.came.Done() }

func (c counts) Done(*openai.Answer, exchange.End) {}

// stacks is how many bytes stacks have.
func stacks() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.StackInuse
}
