package load

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestSpeed: slow is what takes more than four times as long as usual, whatever came first or once.
func TestSpeed(t *testing.T) {
	t.Parallel()
	const us = time.Microsecond
	var s speed
	times := func(n int, took time.Duration) (slow int) {
		for range n {
			if s.slow(took) {
				slow++
			}
		}
		return slow
	}
	times(1, 160*us)
	times(1000, 20*us)
	for _, test := range []struct {
		n    int
		took time.Duration
		slow int
	}{{1, 0, 0}, {30, 60 * us, 0}, {30, 160 * us, 30}, {30, 20 * us, 0}, {30, 160 * us, 30}} {
		if slow := times(test.n, test.took); slow != test.slow {
			t.Errorf("of %d that took %s %d were slow, want %d", test.n, test.took, slow, test.slow)
		}
	}
}

// TestLeaveOut: a request counts unless a processor was slow when it was due, in the milliseconds after that, or so
// shortly before that it may have had to wait for others. How long it took has no part in that.
func TestLeaveOut(t *testing.T) {
	t.Parallel()
	ms := time.Millisecond
	begin := time.Now()
	var c Cores
	c.note(begin.Add(100*ms), begin.Add(120*ms))
	c.note(begin.Add(119*ms), begin.Add(121*ms)) // of another processor
	var r Result
	for _, request := range []struct{ due, took time.Duration }{
		{100*ms - reach, ms},
		{100*ms - reach, 50 * ms},
		{100*ms - reach + 1, ms},
		{110 * ms, ms},
		{121*ms + catchUp - 1, 2 * ms},
		{121*ms + catchUp, 3 * ms},
	} {
		r.add(&Answer{End: begin.Add(request.due + request.took)}, begin.Add(request.due))
	}
	r.LeaveOut(c.Slow)
	if diff := cmp.Diff([]time.Duration{ms, 50 * ms, 3 * ms}, r.Latencies); diff != "" {
		t.Errorf("latencies (-want +got):\n%s", diff)
	}
	if r.Requests != 6 || r.LeftOut != 3 {
		t.Errorf("%d requests, %d left out, want 6 and 3", r.Requests, r.LeftOut)
	}
	more := Result{LeftOut: 2}
	more.Add(&r)
	if more.LeaveOut(c.Slow); more.LeftOut != 5 || len(more.Latencies) != 3 {
		t.Errorf("with others: %d left out, %d latencies, want 5 and 3", more.LeftOut, len(more.Latencies))
	}
}

// TestWatchCores: all processors that this program may run on can be watched.
func TestWatchCores(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if _, err := WatchCores(ctx); err != nil {
		t.Fatal(err)
	}
}
