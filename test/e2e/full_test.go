package e2e

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

// TestFullConnections: while large bodies fill Envoy's connections to the gate, requests to routes whose attempts
// are asked for pass, and Envoy lives; also where the attempts see large bodies themselves.
func TestFullConnections(t *testing.T) {
	t.Parallel()
	url, _ := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey, "sk-other-0123456789"}})
	g := launch(t, fmt.Sprintf(`
clients: [{name: alice, keys: [%s]}]
upstreams:
  - {name: a, url: %q, keys: [%s]}
  - {name: b, url: %[2]q, keys: [sk-other-0123456789], rename: [{model: m, to: n}]}
routes:
  - {prefix: /order, upstreams: [{name: a}, {name: b}]}
  - {prefix: /renamed, upstreams: [{name: b}, {name: a}]}
  - {prefix: /read, upstream: a, models: [{match: [none], upstreams: [{name: b}]}]}
`, clientKey, url, upstreamKey))
	stop := make(chan struct{})
	var uploads, orders sync.WaitGroup
	for i := range 4 {
		path := []string{"/read", "/renamed"}[i%2]
		uploads.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					g.upload(t, path, 20<<20)
				}
			}
		})
	}
	for range 10 {
		orders.Go(func() {
			for range 15 {
				got := side{g.url, clientKey}.do(t, post("/order/v1/chat/completions", `{"model":"m","messages":[{"role":"user","content":"hello"}]}`))
				if got.Status != http.StatusOK || got.Err != "" {
					t.Errorf("got %d %s %s", got.Status, got.Body, got.Err)
					return
				}
			}
		})
	}
	orders.Wait()
	close(stop)
	uploads.Wait()
	if strings.Contains(g.output.String(), "a process died") {
		t.Error("a process died")
	}
}

// upload sends a body that is read before its request passes, as fast as it is taken.
func (g *gateway) upload(t *testing.T, path string, size int) {
	body := `{"model":"m","messages":[{"role":"user","content":"` + strings.Repeat("a", size) + `"}]}`
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.url+path+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return
	}
	request.Header.Set("authorization", "Bearer "+clientKey)
	request.Header.Set("content-type", "application/json")
	response, err := newClient(t).Do(request)
	if err != nil {
		t.Errorf("uploading: %v", err)
		return
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, response.Body)
}
