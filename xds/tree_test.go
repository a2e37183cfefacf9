package xds_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc/metadata"

	"tollgate/config"
	"tollgate/test/envoytest"
)

// TestManyRoutes: with more routes than stand in a list, each path still finds the longest prefix that is whole
// segments of it.
func TestManyRoutes(t *testing.T) {
	t.Parallel()
	var routes strings.Builder
	for i := range 200 {
		fmt.Fprintf(&routes, "  - {prefix: /team-%d, upstream: up}\n", i)
	}
	asked := make(chan string, 1)
	answer := passWith(config.VerdictPass)
	up := newUpstream(t)
	envoy := envoytest.Start(t, gate{process: func(s extprocv3.ExternalProcessor_ProcessServer) error {
		if _, err := s.Recv(); err != nil {
			return err
		}
		route, _, _ := strings.Cut(strings.Join(metadata.ValueFromIncomingContext(s.Context(), config.RouteHeader), ","), "@")
		asked <- route
		return s.Send(answer)
	}}, fmt.Sprintf(`
clients: [{name: alice, keys: [fk-sentinel-0123456789]}]
upstreams: [{name: up, url: %q}]
routes:
  - {prefix: /team-1/a, upstream: up}
  - {prefix: /team-1/a/b, upstream: up}
  - {prefix: /team-1x, upstream: up}
  - {prefix: /healthz/more, upstream: up}
  - {prefix: /, upstream: up}
%s`, up.URL, routes.String()))
	for path, want := range map[string]string{
		"/team-1": "/team-1", "/team-1/": "/team-1", "/team-1?x=/team-2": "/team-1", "/team-1/v1/chat": "/team-1",
		"/team-10/v1": "/team-10", "/team-199/v1": "/team-199", "/team-200/v1": "/", "/team-1y": "/", "/team-1xy/a": "/",
		"/team-1x/a": "/team-1x", "/team-1/a": "/team-1/a", "/team-1/ab": "/team-1", "/team-1/a/b/c": "/team-1/a/b",
		"/team-1/a/bc": "/team-1/a", "/": "/", "/v1/chat/completions": "/", "/healthz/x": "/", "/healthz/more/x": "/healthz/more",
	} {
		status, got := get(t, envoy.URL+path), "nobody's"
		if len(asked) > 0 {
			got = <-asked
		}
		if status != http.StatusOK || got != want {
			t.Errorf("%s is of the route %q, want %q; it answers %d", path, got, want, status)
		}
	}
	if status := get(t, envoy.URL+"/healthz"); status != http.StatusOK || len(asked) > 0 {
		t.Errorf("/healthz answers %d, and the gate was asked %d times", status, len(asked))
	}
}

func get(t *testing.T, url string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	return response.StatusCode
}
