package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"

	"tollgate/cmd/tollgate/dashboard"
	"tollgate/config"
	"tollgate/extproc/limit"
)

// operators is what the admin port serves beside health: metrics to everyone who reaches it, the rest to
// operators.
type operators struct {
	admin   config.Admin
	metrics http.Handler
	cache   http.Handler
	looks   http.Handler // the dashboard
	points  *dashboard.Recorder
}

// newOperators puts together what operators see.
func (s *service) newOperators(admin config.Admin, limits limit.Store) *operators {
	metrics := s.watching.metrics
	state := &stateOf{
		inForce: s.live.inForce, metrics: metrics, limits: limits, gate: s.gate, control: s.control,
		history: s.live.history, chats: s.watching.recent != nil, started: time.Now(),
	}
	points := dashboard.NewRecorder(func() dashboard.Point { return pointOf(metrics.TakePoint()) })
	return &operators{
		admin: admin, metrics: s.watching.handler(s.control), cache: cacheHandler(s.answers), points: points,
		looks: dashboard.Handler(dashboard.Options{
			State: state.get, History: s.live.history.show, Points: points, Chats: s.watching.recent,
		}),
	}
}

// handler answers operators.
func (o *operators) handler(ready http.HandlerFunc) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", ready)
	mux.Handle("GET /metrics", o.metrics)
	if o.admin.MetricsOnly {
		return mux
	}
	guard := dashboard.NewGuard(o.admin)
	mux.Handle("/cache", guard.Protect(o.cache))
	mux.Handle("/", guard.Protect(o.looks))
	return mux
}

// desk is where operators are answered: the admin port, open or closed.
type desk struct {
	log     *zap.Logger
	address string
	handler http.Handler

	mu     sync.Mutex
	server *http.Server // nil: it is closed
}

// open opens the port, if it is closed, and answers from then on.
func (p *desk) open(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.server != nil {
		return nil
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", p.address)
	if err != nil {
		return withHint(fmt.Errorf("listening for operators: %w", err), portHint(err, "admin.address in tollgate.yaml or --admin"))
	}
	server := &http.Server{Handler: p.handler, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	p.server = server
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			p.log.Error("operators are not answered any more", zap.Error(err))
		}
	}()
	return nil
}

// close closes the port.
func (p *desk) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.server != nil {
		_ = p.server.Close()
	}
	p.server = nil
}
