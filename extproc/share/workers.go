package share

import "sync/atomic"

// mostWaiting is how many goroutines wait for the next call.
const mostWaiting = 64

// workers are goroutines that make one call after the other, since a new one takes its time: its stack grows step by
// step, to what reading an answer needs.
type workers struct {
	next    chan func() // is received from by who waits
	over    chan struct{}
	waiting atomic.Int64
}

// run has a worker do something: one that waits, or else a new one.
func (w *workers) run(what func()) {
	select {
	case w.next <- what:
	default:
		go w.work(what)
	}
}

func (w *workers) work(what func()) {
	for {
		what()
		what = nil // it holds on to an answer
		if w.waiting.Add(1) > mostWaiting {
			w.waiting.Add(-1)
			return
		}
		select {
		case what = <-w.next:
			w.waiting.Add(-1)
		case <-w.over:
			w.waiting.Add(-1)
			return
		}
	}
}
