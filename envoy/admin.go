package envoy

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	// answerWithin bounds one question to Envoy's administration.
	answerWithin = 5 * time.Second

	// lookEvery is how often a drain asks whether requests are still under way.
	lookEvery = 100 * time.Millisecond

	// underWay picks the counters of requests. That of the administration counts the question itself.
	underWay    = `^http\..*\.downstream_rq_active$`
	askedItself = "http.admin."
)

// Admin is the administration of a running Envoy.
type Admin struct {
	client http.Client
	base   string
}

// NewAdmin returns the administration at unix:///PATH or HOST:PORT.
func NewAdmin(address string) (*Admin, error) {
	if _, _, err := addressOf(address); err != nil {
		return nil, fmt.Errorf("where Envoy's administration listens: %w", err)
	}
	a := &Admin{base: "http://" + address, client: http.Client{Timeout: answerWithin}}
	if path, ok := strings.CutPrefix(address, "unix://"); ok {
		a.base = "http://envoy"
		a.client.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		}}
	}
	return a, nil
}

// Drain has Envoy take no more connections, and returns when the requests that are under way have ended.
// One that comes on a connection that is open already is answered, and its answer closes the connection.
// There is no way back. When ctx ends before, the error says how many requests are left.
//
// Envoy's own drain (/drain_listeners?graceful) goes on listening for as long as --drain-time-s says, which
// is a day here.
func (a *Admin) Drain(ctx context.Context) error {
	defer a.client.CloseIdleConnections()
	for _, order := range []string{
		"/healthcheck/fail", // each answer from now on is its connection's last
		"/drain_listeners",  // no connection more
	} {
		if _, err := a.ask(ctx, http.MethodPost, order); err != nil {
			return fmt.Errorf("draining Envoy: %w", err)
		}
	}
	again := time.NewTicker(lookEvery)
	defer again.Stop()
	for {
		left, err := a.active(context.WithoutCancel(ctx))
		if err != nil {
			return fmt.Errorf("draining Envoy: %w", err)
		}
		if left == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("draining Envoy: %d requests are still under way: %w", left, context.Cause(ctx))
		case <-again.C:
		}
	}
}

// active is how many requests are under way.
func (a *Admin) active(ctx context.Context) (int, error) {
	said, err := a.ask(ctx, http.MethodGet, "/stats?filter="+url.QueryEscape(underWay))
	if err != nil {
		return 0, err
	}
	sum := 0
	for line := range strings.Lines(said) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if name == "" || strings.HasPrefix(name, askedItself) {
			continue
		}
		n, err := strconv.Atoi(value)
		if err != nil {
			return 0, fmt.Errorf("reading Envoy's counters: %q is no number: %w", line, err)
		}
		sum += n
	}
	return sum, nil
}

// ask puts one question, or gives one order.
func (a *Admin) ask(ctx context.Context, method, path string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, method, a.base+path, nil)
	if err != nil {
		return "", fmt.Errorf("asking Envoy's administration: %w", err)
	}
	response, err := a.client.Do(request)
	if err != nil {
		return "", fmt.Errorf("asking Envoy's administration: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	said, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %.200s", response.Status, said)
	}
	if err != nil {
		return "", fmt.Errorf("asking Envoy's administration for %s: %w", path, err)
	}
	return string(said), nil
}
