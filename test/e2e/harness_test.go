// Package e2e runs `tollgate run`, with a real Envoy, between clients and the mock upstream.
//
//	url, upstream := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
//	gateway := start(t, oneRoute(url))
//	got := ask(t, gateway+"/v1/models", header{"authorization", "Bearer " + clientKey})
//
// $TOLLGATE_BIN names the program (default bin/tollgate), $ENVOY_PATH its Envoy, $TOLLGATE_PYTHON the
// Python that has the SDK. `make test` sets them. What is missing is a failure, never a skip.
package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

const (
	clientKey   = "fk-alice-0123456789"
	upstreamKey = "sk-real-0123456789"

	startWithin = 30 * time.Second
	stopWithin  = 10 * time.Second
)

// oneRoute is a configuration with one client, one upstream and one route.
func oneRoute(upstream string) string {
	return fmt.Sprintf(`
clients: [{name: alice, keys: [%s]}]
upstreams: [{name: openai, url: %q, keys: [%s]}]
routes: [{prefix: /, upstream: openai}]
`, clientKey, upstream, upstreamKey)
}

// start runs tollgate with a configuration that names no addresses, and returns its URL: see launch.
func start(t *testing.T, yaml string) string {
	t.Helper()
	return launch(t, yaml).url
}

// program is the tollgate to test.
func program(t *testing.T) string {
	t.Helper()
	path := os.Getenv("TOLLGATE_BIN")
	if path == "" {
		path = filepath.Join("..", "..", "bin", "tollgate")
	}
	absolute, err := filepath.Abs(path)
	if err == nil {
		_, err = os.Stat(absolute)
	}
	if err != nil {
		t.Fatalf("there is no tollgate to test: %v: run `make build`, or set TOLLGATE_BIN", err)
	}
	return absolute
}

// awaitReady asks until the answer is 200.
func awaitReady(url string, died <-chan error) error {
	client := &http.Client{Timeout: time.Second}
	defer client.CloseIdleConnections()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	deadline := time.After(startWithin)
	last := "nothing"
	for {
		select {
		case err := <-died:
			return fmt.Errorf("tollgate ended before it was ready: %w", err)
		case <-deadline:
			return fmt.Errorf("tollgate was not ready within %s: %s said %s", startWithin, url, last)
		case <-again.C:
			response, err := client.Get(url)
			if err != nil {
				last = err.Error()
				continue
			}
			last = response.Status
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
	}
}

// stop interrupts the program, as Ctrl-C does, and wants it gone in time.
func stop(t *testing.T, process *os.Process, died <-chan error) {
	t.Helper()
	if err := process.Signal(syscall.SIGINT); err != nil {
		t.Errorf("interrupting tollgate: %v", err)
	}
	select {
	case err := <-died:
		if err != nil {
			t.Errorf("tollgate did not end well: %v", err)
		}
	case <-time.After(stopWithin):
		t.Errorf("tollgate did not stop within %s of SIGINT", stopWithin)
		_ = process.Kill()
		t.Logf("killed: %v", <-died)
	}
}

// output collects what a process says while a test may read it.
type output struct {
	mu   sync.Mutex
	said bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.said.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.said.String()
}

// side is one way to the same upstream, and the key that opens it.
type side struct{ url, key string }

// sides are the way without the gateway and the way through it. What comes back must be the same.
func sides(t *testing.T) (direct, through side, upstream *mock.Server) {
	t.Helper()
	url, upstream := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	return side{url, upstreamKey}, side{start(t, oneRoute(url)), clientKey}, upstream
}
