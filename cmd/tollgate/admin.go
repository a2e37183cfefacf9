package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// listenForOperators opens the admin port.
func listenForOperators(ctx context.Context, address string) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, withHint(fmt.Errorf("listening for operators: %w", err), "is another tollgate running? admin.address in tollgate.yaml moves this one")
	}
	return listener, nil
}

// serveAdmin answers operators until ctx ends.
func serveAdmin(ctx context.Context, listener net.Listener, ready http.HandlerFunc, metrics, answers http.Handler) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", ready)
	mux.Handle("GET /metrics", metrics)
	mux.Handle("/cache", answers)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving operators: %w", err)
	}
	return nil
}
