package share

import (
	"sync"
	"testing"
)

// TestWorkers: all that is to be done is, at once if need be, and no more than some workers stay for what comes next.
func TestWorkers(t *testing.T) {
	t.Parallel()
	w := workers{next: make(chan func()), over: make(chan struct{})}
	for range 3 {
		const n = 2 * mostWaiting
		var begun, ended sync.WaitGroup
		begun.Add(n)
		for range n {
			ended.Add(1)
			w.run(func() {
				defer ended.Done()
				begun.Done()
				begun.Wait() // for all the others
			})
		}
		ended.Wait()
		if waiting := w.waiting.Load(); waiting > mostWaiting {
			t.Errorf("%d workers wait, want no more than %d", waiting, mostWaiting)
		}
	}
	close(w.over)
}
