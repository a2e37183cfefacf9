package share_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tollgate/config"
	"tollgate/extproc/share"
)

const patience = 10 * time.Second

// upstream answers on a Unix socket.
func upstream(t *testing.T, answer http.HandlerFunc) *share.Calls {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: answer, ReadHeaderTimeout: patience}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	calls := share.New(socket)
	t.Cleanup(calls.Close)
	return calls
}

func ask(t *testing.T) *http.Request {
	t.Helper()
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://upstream/v1", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	return request
}

// heard notes what a listener hears.
type heard struct {
	status atomic.Int64
	body   strings.Builder
	ended  chan error
}

func newHeard() *heard             { return &heard{ended: make(chan error, 1)} }
func (h *heard) Head(o share.Head) { h.status.Store(int64(o.Status)) }
func (h *heard) Body(piece []byte) { h.body.Write(piece) }
func (h *heard) End(err error)     { h.ended <- err }
func (h *heard) end(t *testing.T) error {
	t.Helper()
	select {
	case err := <-h.ended:
		return err
	case <-time.After(patience):
		t.Fatal("the call has no end")
		return nil
	}
}

// read follows a call to its end.
func read(ctx context.Context, call *share.Call) (string, error) {
	var all strings.Builder
	if _, err := call.Begun(ctx); err != nil {
		return "", err
	}
	for at := 0; ; {
		piece, last, err := call.Next(ctx, at)
		all.Write(piece)
		at += len(piece)
		if err != nil || last {
			return all.String(), err
		}
	}
}

// TestAllGetTheSame: whoever joins while a call is under way, at whatever point, gets all of its answer.
func TestAllGetTheSame(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	step := make(chan struct{})
	calls := upstream(t, func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 5 {
			_, _ = fmt.Fprintf(w, "event %d\n", i)
			_ = http.NewResponseController(w).Flush()
			<-step
		}
	})
	const want = "event 0\nevent 1\nevent 2\nevent 3\nevent 4\n"
	leader, leads := calls.Join("a")
	if !leads {
		t.Fatal("who comes first does not lead")
	}
	listener := newHeard()
	leader.Start(ask(t), listener)
	var all sync.WaitGroup
	follow := func(call *share.Call) {
		all.Go(func() {
			defer call.Leave()
			if got, err := read(t.Context(), call); got != want || err != nil {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	follow(leader)
	for range 5 {
		if _, err := leader.Begun(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			call, leads := calls.Join("a")
			if leads {
				t.Fatal("a second one leads")
			}
			follow(call)
		}
		step <- struct{}{}
	}
	all.Wait()
	if err := listener.end(t); err != nil || listener.body.String() != want {
		t.Errorf("the listener heard %q, %v", listener.body.String(), err)
	}
	if asked.Load() != 1 || calls.InFlight() != 0 {
		t.Errorf("asked %d times, %d in flight", asked.Load(), calls.InFlight())
	}
	if next, leads := calls.Join("a"); !leads {
		t.Error("once it has ended, a call is still joined")
	} else {
		next.Fail(io.EOF)
		next.Leave()
	}
}

// TestLeave: a call goes on while one follows it, and is given up when none does.
func TestLeave(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	calls := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "begin")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(gone)
	})
	leader, _ := calls.Join("a")
	listener := newHeard()
	leader.Start(ask(t), listener)
	follower, _ := calls.Join("a")
	leader.Leave()
	if piece, _, err := follower.Next(t.Context(), 0); string(piece) != "begin" || err != nil {
		t.Fatalf("once the leader has left, %q, %v", piece, err)
	}
	follower.Leave()
	if err := listener.end(t); err == nil {
		t.Error("a call that was given up ended well")
	}
	select {
	case <-gone:
	case <-time.After(patience):
		t.Error("the upstream was not told")
	}
	if _, leads := calls.Join("a"); !leads {
		t.Error("a call that was given up is joined")
	}
}

// TestErrors tells apart a call that never reached the upstream from one that broke.
func TestErrors(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		noWay  bool
	}{
		"a route that Envoy does not know": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(config.NowhereHeader, "true")
			w.WriteHeader(http.StatusNotFound)
		}, true},
		"hangs up at once": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, true},
		"breaks off": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "begin")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			calls := upstream(t, test.answer)
			call, _ := calls.Join("a")
			defer call.Leave()
			call.Start(ask(t), newHeard())
			_, err := call.Whole(t.Context())
			if err == nil || errors.Is(err, share.ErrNoWay) != test.noWay {
				t.Errorf("got %v", err)
			}
			if _, err := read(t.Context(), call); err == nil {
				t.Error("who follows takes a part for the whole")
			}
		})
	}
	t.Run("nobody listens", func(t *testing.T) {
		t.Parallel()
		call, _ := share.New(filepath.Join(t.TempDir(), "none")).Join("a")
		defer call.Leave()
		call.Start(ask(t), newHeard())
		if _, err := call.Begun(t.Context()); !errors.Is(err, share.ErrNoWay) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("too large", func(t *testing.T) {
		t.Parallel()
		calls := upstream(t, func(w http.ResponseWriter, _ *http.Request) {
			piece := make([]byte, 1<<20)
			for {
				if _, err := w.Write(piece); err != nil {
					return
				}
			}
		})
		call, _ := calls.Join("a")
		defer call.Leave()
		call.Start(ask(t), newHeard())
		if _, err := call.Whole(t.Context()); !errors.Is(err, share.ErrTooLarge) {
			t.Errorf("got %v", err)
		}
	})
}

// TestWaitEnds: who waits for a call waits no longer than its own request.
func TestWaitEnds(t *testing.T) {
	t.Parallel()
	calls := share.New("/nowhere")
	call, _ := calls.Join("a")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, begun := call.Begun(ctx)
	_, _, next := call.Next(ctx, 0)
	_, whole := call.Whole(ctx)
	for _, err := range []error{begun, next, whole} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
}

// BenchmarkFollow is one event for one of a thousand who follow.
func BenchmarkFollow(b *testing.B) {
	const followers = 1000
	step := make(chan struct{})
	socket := filepath.Join(b.TempDir(), "s")
	listener, err := (&net.ListenConfig{}).Listen(b.Context(), "unix", socket)
	if err != nil {
		b.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: patience, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for range step {
			_, _ = io.WriteString(w, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"}}]}\n\n")
			_ = http.NewResponseController(w).Flush()
		}
	})}
	go func() { _ = server.Serve(listener) }()
	defer func() { _ = server.Close() }()
	calls := share.New(socket)
	call, _ := calls.Join("a")
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://upstream/", nil)
	if err != nil {
		b.Fatal(err)
	}
	call.Start(request, newHeard())
	var all, got sync.WaitGroup
	for range followers {
		all.Go(func() {
			for at, last := 0, false; !last; {
				var piece []byte
				if piece, last, err = call.Next(b.Context(), at); err != nil {
					return
				}
				for range strings.Count(string(piece), "\n\n") {
					got.Done()
				}
				at += len(piece)
			}
		})
	}
	for b.Loop() {
		got.Add(followers)
		step <- struct{}{}
		got.Wait()
	}
	close(step)
	all.Wait()
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/followers, "ns/follower")
}
