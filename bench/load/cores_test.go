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

// TestLeaveOut: a request counts, unless a processor was slow between when it was due and its answer, or so shortly
// before that it may have had to wait for others.
func TestLeaveOut(t *testing.T) {
	t.Parallel()
	ms := time.Millisecond
	begin := time.Now()
	var c Cores
	c.note(begin.Add(100*ms), begin.Add(120*ms))
	c.note(begin.Add(119*ms), begin.Add(121*ms)) // of another processor
	var r Result
	for _, request := range []struct{ due, end time.Duration }{
		{90 * ms, 99 * ms},
		{90 * ms, 101 * ms},
		{90 * ms, 130 * ms},
		{110 * ms, 111 * ms},
		{120 * ms, 124 * ms},
		{121*ms + catchUp - 1, 140 * ms},
		{121*ms + catchUp, 142 * ms},
	} {
		r.add(&Answer{End: begin.Add(request.end)}, begin.Add(request.due))
	}
	r.LeaveOut(c.Slow)
	if diff := cmp.Diff([]time.Duration{9 * ms, 21*ms - catchUp}, r.Latencies); diff != "" {
		t.Errorf("latencies (-want +got):\n%s", diff)
	}
	if r.Requests != 7 || r.LeftOut != 5 {
		t.Errorf("%d requests, %d left out, want 7 and 5", r.Requests, r.LeftOut)
	}
	more := Result{LeftOut: 2}
	more.Add(&r)
	if more.LeaveOut(c.Slow); more.LeftOut != 7 || len(more.Latencies) != 2 {
		t.Errorf("with others: %d left out, %d latencies, want 7 and 2", more.LeftOut, len(more.Latencies))
	}
}

// TestWatchCores: all processors of this machine can be watched.
func TestWatchCores(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if _, err := WatchCores(ctx); err != nil {
		t.Fatal(err)
	}
}
