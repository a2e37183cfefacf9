package chaos

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

// upstream is a mock that does at each attempt what the plan says, and can be down.
type upstream struct {
	world   *world
	name    string
	address string
	mock    *mock.Server

	mu     sync.Mutex
	server *http.Server
}

func newUpstream(w *world, name string) *upstream {
	u := &upstream{world: w, name: name, address: mocktest.FreeAddress(w.t), mock: mock.New(mock.Options{Keys: upstreamKeys()[name]})}
	u.up()
	w.t.Cleanup(u.down)
	return u
}

// up begins to listen.
func (u *upstream) up() {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", u.address)
	if err != nil {
		u.world.t.Errorf("the upstream %s does not come back: %v", u.name, err)
		return
	}
	server := &http.Server{Handler: u, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	go func() { _ = server.Serve(listener) }()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.server = server
}

// down ends the upstream with all of its connections.
func (u *upstream) down() {
	u.mu.Lock()
	defer u.mu.Unlock()
	_ = u.server.Close()
}

// ServeHTTP answers one attempt.
func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	u.inspect(r)
	name := r.Header.Get("x-call")
	u.world.mu.Lock()
	call := u.world.calls[name]
	u.world.mu.Unlock()
	if call == nil { // a probe
		u.mock.ServeHTTP(w, r)
		return
	}
	arrival := u.world.arrived(u.name, call)
	call.Orders(r.Header)
	arrival.Fault.Order(r.Header)
	if call.Kind == Echo {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("content-type", "application/json")
		if _, err := io.WriteString(w, echoed(call)); err != nil {
			return
		}
	} else {
		u.mock.ServeHTTP(w, r)
	}
	u.world.answered(arrival, r.Context().Err() == nil)
}

// arrived notes an attempt.
func (w *world) arrived(upstream string, call *Call) *Arrival {
	w.mu.Lock()
	defer w.mu.Unlock()
	a := &Arrival{Upstream: upstream, At: time.Since(w.began)}
	if n := len(w.arrivals[call.Name]); n < len(call.Faults) {
		a.Fault = call.Faults[n]
	}
	w.arrivals[call.Name] = append(w.arrivals[call.Name], a)
	return a
}

func (w *world) answered(a *Arrival, whole bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	a.Whole = whole
}

// inspect looks for keys that an upstream must not see.
func (u *upstream) inspect(r *http.Request) {
	for name, values := range r.Header {
		for _, value := range values {
			if !strings.Contains(value, "sentinel") {
				continue
			}
			key := strings.TrimPrefix(value, "Bearer ")
			if !slices.Contains(upstreamKeys()[u.name], key) {
				u.world.notice(fmt.Sprintf("the upstream %s sees %s: %s", u.name, name, value))
			}
		}
	}
}

// notice notes something that must not be, once.
func (w *world) notice(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.strange[what] {
		w.strange[what] = true
		w.t.Error(what)
	}
}
