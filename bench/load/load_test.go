package load

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// server is a connection to a server that takes a time for each answer.
type server struct{ takes func(n int64) time.Duration }

func (s server) send(request []byte, a *Answer) error {
	*a = Answer{Sent: time.Now()}
	wait(s.takes(int64(request[0])))
	a.End = time.Now()
	return nil
}

// wait is on the bubble's clock.
func wait(d time.Duration) {
	if d > 0 {
		<-time.After(d)
	}
}

func poolOf(n int, takes func(n int64) time.Duration) *Pool {
	p := &Pool{numbers: &atomic.Int64{}, wait: wait}
	for range n {
		p.senders = append(p.senders, server{takes})
	}
	return p
}

func numbered(buffer []byte, n int64) []byte { return append(buffer, byte(n)) }

// TestOpenCountsFromWhenDue: a server that stalls once, for 50 ms, delays the five requests that were due
// meanwhile on the only connection, and all of that shows.
func TestOpenCountsFromWhenDue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := poolOf(1, func(n int64) time.Duration {
			if n == 3 {
				return 50 * time.Millisecond
			}
			return 0
		})
		got, err := p.Open(t.Context(), 90*time.Millisecond, 100, numbered)
		if err != nil {
			t.Fatal(err)
		}
		ms := time.Millisecond
		want := []time.Duration{0, 0, 50 * ms, 40 * ms, 30 * ms, 20 * ms, 10 * ms, 0, 0, 0}
		if diff := cmp.Diff(want, got.Latencies); diff != "" {
			t.Errorf("latencies (-want +got):\n%s", diff)
		}
		if got.Elapsed != 90*ms || got.Requests != 10 {
			t.Errorf("%d requests in %s, want 10 in 90ms", got.Requests, got.Elapsed)
		}
	})
}

// TestOpenKeepsItsRate: however slow the answers are, a free connection gets its request when it is due.
func TestOpenKeepsItsRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := poolOf(10, func(int64) time.Duration { return 95 * time.Millisecond })
		got, err := p.Open(t.Context(), time.Second, 100, numbered)
		if err != nil {
			t.Fatal(err)
		}
		for i, latency := range got.Latencies {
			if latency != 95*time.Millisecond {
				t.Fatalf("answer %d took %s, want 95ms: requests waited for each other", i, latency)
			}
		}
	})
}

// TestClosed: a connection sends when it has its answer, and ends what it began.
func TestClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := poolOf(4, func(int64) time.Duration { return 30 * time.Millisecond })
		got, err := p.Closed(t.Context(), 100*time.Millisecond, 0, numbered)
		if err != nil {
			t.Fatal(err)
		}
		if got.Requests != 4*4 || got.Elapsed != 120*time.Millisecond {
			t.Errorf("%d requests in %s, want 16 in 120ms", got.Requests, got.Elapsed)
		}
	})
}

// TestStagger: connections begin spread over the time given.
func TestStagger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := poolOf(4, func(int64) time.Duration { return 10 * time.Millisecond })
		got, err := p.Closed(t.Context(), time.Millisecond, 40*time.Millisecond, numbered)
		if err != nil {
			t.Fatal(err)
		}
		if got.Requests != 1 { // the others begin when the time is over
			t.Errorf("%d requests, want 1", got.Requests)
		}
	})
}

func TestCanceled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		p := poolOf(2, func(int64) time.Duration { return time.Millisecond })
		if _, err := p.Closed(ctx, time.Hour, 0, numbered); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the context's error", err)
		}
	})
}

// TestEventCounter: events are counted alike, wherever the stream is cut.
func TestEventCounter(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"":                               0,
		"data: 1\n\n":                    1,
		"data: 1\r\n\r\ndata: 2\r\n\r\n": 2,
		"event: a\ndata: 1\n\ndata: 2":   1,
		"data: 1\n\ndata: 2\n\n":         2,
	} {
		for cut := range len(text) + 1 {
			var e eventCounter
			if got := e.count([]byte(text[:cut])) + e.count([]byte(text[cut:])); got != want {
				t.Errorf("%q cut at %d: %d events, want %d", text, cut, got, want)
			}
		}
	}
}

// TestConnection: against a real server, plain and streamed, on one connection.
func TestConnection(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/stream":
			w.Header().Set("content-type", "text/event-stream")
			for range 3 {
				_, _ = w.Write([]byte("data: x\n\n"))
				_ = http.NewResponseController(w).Flush()
			}
		case "/plain":
			_, _ = w.Write([]byte("plain"))
		default:
			http.Error(w, "no such thing", http.StatusNotFound)
		}
	}))
	t.Cleanup(upstream.Close)
	c, err := dial(t.Context(), upstream.Listener.Addr().(*net.TCPAddr).String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	var a Answer
	for path, events := range map[string]int{"/plain": 0, "/stream": 3} {
		if err := c.send([]byte("GET "+path+" HTTP/1.1\r\nhost: x\r\n\r\n"), &a); err != nil {
			t.Fatal(err)
		}
		if a.Events != events || len(a.Gaps) != max(0, events-1) || a.End.Before(a.Sent) {
			t.Errorf("%s: %+v, want %d events", path, a, events)
		}
	}
	err = c.send([]byte("GET /else HTTP/1.1\r\nhost: x\r\n\r\n"), &a)
	if err == nil || !strings.Contains(err.Error(), "404") || !strings.Contains(err.Error(), "no such thing") {
		t.Errorf("got %v, want an error with the status and what was said", err)
	}
}

// TestHold: all streams are open at once, their events are counted as they come, and closing ends them.
func TestHold(t *testing.T) {
	t.Parallel()
	const streams = 70
	var open, events atomic.Int64
	all, more := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		say := func() {
			_, _ = w.Write([]byte("data: x\n\n"))
			_ = http.NewResponseController(w).Flush()
			events.Add(1)
		}
		w.Header().Set("content-type", "text/event-stream")
		say()
		if open.Add(1) == streams {
			close(all)
		}
		<-more
		say()
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	var numbers atomic.Int64
	held, err := Hold(t.Context(), server.Listener.Addr().String(), streams, &numbers, func(buffer []byte, _ int64) []byte {
		return append(buffer, "GET / HTTP/1.1\r\nhost: x\r\n\r\n"...)
	})
	if err != nil {
		t.Fatal(err)
	}
	<-all
	if got := held.Events(); got != streams || numbers.Load() != streams {
		t.Errorf("%d events of %d requests, want %d", got, numbers.Load(), streams)
	}
	close(more)
	for deadline := time.Now().Add(10 * time.Second); held.Events() < 2*streams; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d events came, want %d", held.Events(), 2*streams)
		}
	}
	if held.Ended() {
		t.Error("a stream has ended")
	}
	held.Close()
	if _, err := Hold(t.Context(), server.Listener.Addr().String(), 1, &numbers, func(buffer []byte, _ int64) []byte {
		return append(buffer, "nonsense\r\n\r\n"...)
	}); err == nil || !strings.Contains(err.Error(), "400") {
		t.Errorf("got %v, want an error that names the status", err)
	}
}
