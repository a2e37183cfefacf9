package shallow

import (
	"fmt"
	"iter"
	"runtime/debug"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
)

// mostTurns is how many coroutines wait for a stream. More are made where more streams take turns at once.
const mostTurns = 16

// turn is a coroutine that reads a message for a stream, and has it taken, while the stream's goroutine stands still:
// to go there and back takes a fifth of a microsecond, and no wait for a processor, as it would take to a goroutine.
type turn struct {
	next func() (done, ok bool)
	stop func()
	own  extprocv3.ProcessingRequest

	// What one stream gives it, and gets.
	stream *stream
	into   any // nil: own
	take   func(*extprocv3.ProcessingRequest) bool
	last   bool
	err    error
}

func newTurn() *turn {
	t := &turn{}
	t.next, t.stop = iter.Pull(func(yield func(bool) bool) {
		for t.run(); yield(true); t.run() { // run has done it all
		}
	})
	return t
}

func (t *turn) run() {
	defer func() {
		if reason := recover(); reason != nil {
			panic(fmt.Sprintf("%v\n%s", reason, debug.Stack())) // it goes on in the stream's goroutine, without this stack
		}
	}()
	if t.into != nil {
		t.err = t.stream.read(t.into)
		return
	}
	defer t.own.Reset()
	if t.err = t.stream.read(&t.own); t.err == nil {
		t.last = t.take(&t.own)
	}
}

// turns are those that wait for a stream.
type turns chan *turn

// take has a stream's message read, of which the prefix is there: into something, or to be taken.
func (ts turns) take(s *stream, into any, take func(*extprocv3.ProcessingRequest) bool) (last bool, err error) {
	var t *turn
	select {
	case t = <-ts:
	default:
		t = newTurn()
	}
	t.stream, t.into, t.take = s, into, take
	t.next()
	last, err = t.last, t.err
	t.stream, t.into, t.take, t.last, t.err = nil, nil, nil, false, nil
	select {
	case ts <- t:
	default:
		t.stop()
	}
	return last, err
}
