package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"

	"tollgate/test/mock"
)

// seldom is by how many percent the upstream's heap grows until its garbage is collected. By itself Go would do it after
// each hundred requests, on all processors for some milliseconds: that would be everybody's p99.
const seldom = 3200

// serveUpstream serves the mock upstream at an address until ctx ends.
func serveUpstream(ctx context.Context, address string) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("listening as the upstream: %w", err)
	}
	debug.SetGCPercent(seldom)
	server := &http.Server{Handler: ordered(mock.New(mock.Options{})), ReadHeaderTimeout: startWithin}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the upstream: %w", err)
	}
	return nil
}

// ordered tells the mock how long its answers are to be, by what stands in the body: not all that is measured
// brings the client's headers to the upstream. Where these do say it, they count.
func ordered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, "the body did not come whole", http.StatusBadRequest)
			return
		}
		var asked struct {
			Stream bool `json:"stream"`
		}
		_ = json.Unmarshal(body, &asked) // the mock says what is wrong with it
		r.Body = io.NopCloser(bytes.NewReader(body))
		if r.Header.Get("mock-events") != "" {
			next.ServeHTTP(w, r)
			return
		}
		if asked.Stream {
			r.Header.Set("mock-events", strconv.Itoa(eventsEach))
			r.Header.Set("mock-interval", eventEvery.String())
		} else {
			r.Header.Set("mock-events", strconv.Itoa(answerWords))
		}
		next.ServeHTTP(w, r)
	})
}
