package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"tollgate/cmd/tollgate/dashboard"
	"tollgate/config"
	"tollgate/extproc/limit"
)

// listenForOperators opens the admin port.
func listenForOperators(ctx context.Context, address string) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, withHint(fmt.Errorf("listening for operators: %w", err), portHint(err, "admin.address in tollgate.yaml or --admin"))
	}
	return listener, nil
}

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

// serve answers operators until ctx ends.
func (o *operators) serve(ctx context.Context, listener net.Listener, ready http.HandlerFunc) error {
	server := &http.Server{Handler: o.handler(ready), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	go o.points.Run(ctx)
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving operators: %w", err)
	}
	return nil
}
