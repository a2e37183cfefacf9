package takeover_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"tollgate/cmd/tollgate/takeover"
	"tollgate/extproc/limit"
)

const patience = 20 * time.Second

// oldProcess serves at a socket, and tells what happens to it.
type oldProcess struct {
	path   string
	ledger *limit.Ledger
	fails  error // of yielding
	stays  error // of leaving
	events chan string
}

func startOld(t *testing.T, counters int) *oldProcess {
	t.Helper()
	o := &oldProcess{path: filepath.Join(t.TempDir(), "old"), events: make(chan string, 10)}
	o.ledger = &limit.Ledger{Memory: limit.NewMemory(limit.MemoryOptions{})}
	for i := range counters {
		charge(t, o.ledger, strconv.Itoa(i))
	}
	server := grpc.NewServer()
	(&takeover.Old{
		Path: o.path,
		Yield: func(there limit.Store, send func([]limit.Counter) error) (takeover.State, error) {
			return takeover.State{Version: "1", Resources: []byte{0, 1, 2}}, errors.Join(o.fails, send(o.ledger.Move(there)))
		},
		Resume: func() { o.ledger.Stay(); o.events <- "resume" },
		Leave:  func(socket string) error { o.events <- "leave to " + socket; return o.stays },
		Done:   func() { o.events <- "done" },
	}).Register(server)
	serve(t, server, o.path)
	return o
}

func serve(t *testing.T, server *grpc.Server, path string) {
	t.Helper()
	listener := listen(t, path)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
}

func listen(t *testing.T, path string) net.Listener {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(context.WithoutCancel(t.Context()), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

// expect waits for an event.
func (o *oldProcess) expect(t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-o.events:
		if got != want {
			t.Fatalf("the old process is told to %s, want %s", got, want)
		}
	case <-time.After(patience):
		t.Fatalf("the old process is not told to %s", want)
	}
}

// charge takes one of the two that a counter has, and tells what is left.
func charge(t *testing.T, store limit.Store, key string) uint64 {
	t.Helper()
	out, err := store.Reserve(t.Context(), []limit.Charge{{
		Key: key, Rate: limit.Rate{Count: 2, Window: time.Hour}, Strategy: limit.MovingWindow, Cost: 1,
	}})
	if err != nil || !out.Allowed {
		t.Fatalf("%s: %+v, %v", key, out, err)
	}
	return out.Decisions[0].Remaining
}

// newProcess asks for the place.
func newProcess(t *testing.T, o *oldProcess) (*takeover.Successor, *limit.Ledger, *takeover.Limits, error) {
	t.Helper()
	ledger := &limit.Ledger{Memory: limit.NewMemory(limit.MemoryOptions{})}
	limits := takeover.NewLimits(ledger)
	path := filepath.Join(t.TempDir(), "limits")
	limits.Listen(listen(t, path), path)
	t.Cleanup(limits.Close)
	s, err := takeover.Ask(t.Context(), "unix://"+o.path, limits)
	if err == nil {
		t.Cleanup(s.Close)
		limits.Counted()
	}
	return s, ledger, limits, err
}

// TestTakeover: all counts are there, however many; from then on both count in one place, and the old one is told
// each step.
func TestTakeover(t *testing.T) {
	t.Parallel()
	const counters = 1234
	o := startOld(t, counters)
	s, ledger, _, err := newProcess(t, o)
	if err != nil {
		t.Fatal(err)
	}
	if s.State.Version != "1" || string(s.State.Resources) != "\x00\x01\x02" {
		t.Errorf("the state is %+v", s.State)
	}
	if got := ledger.Memory.Len(); got != counters {
		t.Errorf("%d counters arrived, want %d", got, counters)
	}
	if left := charge(t, ledger, "7"); left != 0 {
		t.Errorf("after one here and one there, %d are left", left)
	}
	if left := charge(t, o.ledger, "new"); left != 1 {
		t.Errorf("after one there, %d are left", left)
	}
	if left := charge(t, ledger, "new"); left != 0 {
		t.Errorf("after one here and one there, %d are left", left)
	}
	if err := s.Serve("new"); err != nil {
		t.Fatal(err)
	}
	o.expect(t, "leave to new")
	if _, _, _, err := newProcess(t, o); err == nil || !strings.Contains(err.Error(), "another process is taking over") {
		t.Errorf("a third process gets %v", err)
	}
	s.Done()
	o.expect(t, "done")
}

// TestChain: a process that has been replaced long ago counts with the newest.
func TestChain(t *testing.T) {
	t.Parallel()
	o := startOld(t, 0)
	s, middle, limits, err := newProcess(t, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve("new"); err != nil {
		t.Fatal(err)
	}
	charge(t, o.ledger, "k")
	newest := limit.NewMemory(limit.MemoryOptions{})
	newest.Import(middle.Move(newest))
	if left := charge(t, o.ledger, "k"); left != 0 {
		t.Errorf("%d are left, want none", left)
	}
	if n := newest.Len(); n != 1 {
		t.Errorf("the newest has %d counters", n)
	}

	// The one in the middle ends; who has the place now knows the limits.
	limits.Close()
	place := grpc.NewServer()
	there := takeover.NewLimits(&limit.Ledger{Memory: newest})
	there.Counted()
	there.Register(place)
	if err := os.Rename(o.path, o.path+".old"); err != nil {
		t.Fatal(err)
	}
	serve(t, place, o.path)
	if left := charge(t, o.ledger, "other"); left != 1 || newest.Len() != 2 {
		t.Errorf("%d are left, and the newest has %d counters", left, newest.Len())
	}
}

// TestNewProcessEnds: an old process goes on where the new one ends before it serves.
func TestNewProcessEnds(t *testing.T) {
	t.Parallel()
	o := startOld(t, 1)
	s, _, _, err := newProcess(t, o)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := newProcess(t, o); err == nil || !strings.Contains(err.Error(), "another process is taking over") {
		t.Errorf("a third process gets %v", err)
	}
	s.Close()
	o.expect(t, "resume")
	if left := charge(t, o.ledger, "0"); left != 0 {
		t.Errorf("%d are left, want none: its own counts", left)
	}
}

func TestOldProcessCannotYield(t *testing.T) {
	t.Parallel()
	o := startOld(t, 0)
	o.fails = errors.New("the disk is stuck")
	if _, _, _, err := newProcess(t, o); err == nil || !strings.Contains(err.Error(), "the disk is stuck") {
		t.Errorf("got %v, want why", err)
	}
	o.expect(t, "resume")
}

// TestOldProcessCannotLeave: the new one hears it, and the old one goes on.
func TestOldProcessCannotLeave(t *testing.T) {
	t.Parallel()
	o := startOld(t, 0)
	o.stays = errors.New("the socket is gone")
	s, _, _, err := newProcess(t, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve("new"); err == nil || !strings.Contains(err.Error(), "the socket is gone") {
		t.Errorf("got %v, want why", err)
	}
	o.expect(t, "leave to new")
	o.expect(t, "resume")
}

// TestOldVersion: one that does not know how to give its place says so.
func TestOldVersion(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "old")
	serve(t, grpc.NewServer(), path)
	o := &oldProcess{path: path}
	if _, _, _, err := newProcess(t, o); err == nil || !strings.Contains(err.Error(), "of a version that cannot give it") {
		t.Errorf("got %v", err)
	}
}
