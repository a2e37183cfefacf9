package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

// TestRoutes has three upstreams behind three prefixes, each with a base path of its own.
func TestRoutes(t *testing.T) {
	t.Parallel()
	url, upstream := mocktest.Start(t, mock.Options{})
	gateway := side{start(t, fmt.Sprintf(`
clients: [{name: alice, keys: [%s]}]
upstreams:
  - {name: a, url: "%[2]s/echo/a"}
  - {name: b, url: "%[2]s/echo/b/"}
  - {name: c, url: "%[2]s/echo/c/d"}
routes:
  - {prefix: /openai, upstream: a}
  - {prefix: /openai/v2, upstream: b}
  - {prefix: /v1, upstream: c}
`, clientKey, url)), clientKey}
	tests := map[string]string{ // what is asked for: what arrives
		"/openai/x?q=1":           "/echo/a/x?q=1",
		"/openai":                 "/echo/a",
		"/openai/":                "/echo/a",
		"/openai?q=/openai/v2":    "/echo/a?q=/openai/v2",
		"/openai/openai":          "/echo/a/openai",
		"/openai/v1/x":            "/echo/a/v1/x",
		"/openai/v2":              "/echo/b",
		"/openai/v2/x/y":          "/echo/b/x/y",
		"/openai/v2x":             "/echo/a/v2x",
		"/v1/x":                   "/echo/c/d/x",
		"/v1":                     "/echo/c/d",
		"/openai/x/":              "/echo/a/x",
		"//openai///x":            "/echo/a/x",
		"/openai/../v1/./x":       "/echo/c/d/x",
		"/openai/a%2Fb%2fc":       "/echo/a/a%2Fb%2fc",
		"/openai/models/a%20b":    "/echo/a/models/a%20b",
		"/openai/x?a=//b/../c/&&": "/echo/a/x?a=//b/../c/&&",
	}
	for asked, want := range tests {
		t.Run(asked, func(t *testing.T) {
			t.Parallel()
			if got := gateway.echo(t, request{method: "GET", path: asked}); got.URI != want {
				t.Errorf("%s arrives, want %s", got.URI, want)
			}
		})
	}
	for _, asked := range []string{"/", "/v1x", "/v1x/y", "/openai2", "/other", "/OPENAI/x", "/v1%2Fx", "/x/v1"} {
		t.Run("nowhere "+asked, func(t *testing.T) {
			t.Parallel()
			gateway.do(t, request{method: "GET", path: asked}).isError(t, 404, "unknown_route", "Envoy")
		})
	}
	t.Cleanup(func() {
		for _, r := range upstream.Requests() {
			if !strings.HasPrefix(r.URI, "/echo/") {
				t.Errorf("%s %s reached the upstream", r.Method, r.URI)
			}
		}
	})
}

// TestNoURL wants the refusal of what is no HTTP in OpenAI's shape, too.
func TestNoURL(t *testing.T) {
	t.Parallel()
	_, through, upstream := sides(t)
	through.do(t, request{method: "GET", path: "/v1/models?é"}).isError(t, 400, "bad_request", "Envoy")
	if got := len(upstream.Requests()); got != 0 {
		t.Errorf("%d requests reached the upstream", got)
	}
}

// TestHealth answers everyone on the clients' port.
func TestHealth(t *testing.T) {
	t.Parallel()
	_, through, _ := sides(t)
	if got := (side{url: through.url}).do(t, request{method: "GET", path: "/healthz"}); got.Status != 200 {
		t.Errorf("got %d %s", got.Status, got.Body)
	}
}

// TestAddresses: rules about addresses see the connection's own, or the one that as many proxies as
// the operator says report; what a client claims beyond that is not believed.
func TestAddresses(t *testing.T) {
	t.Parallel()
	upstream, _ := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	rules := oneRoute(upstream) + "ip: {allow: [127.0.0.1, 192.0.2.0/24], deny: [192.0.2.66]}\n"
	for hops, tests := range map[string]map[string]int{
		"": {"": 200, "198.51.100.1": 200, "192.0.2.66": 200},
		", trusted_hops: 1": {
			"192.0.2.1": 200, "192.0.2.66": 403, "198.51.100.1": 403,
			"192.0.2.1, 192.0.2.66": 403, "192.0.2.66, 192.0.2.1": 200, // the last hop is what the proxy saw
		},
	} {
		g := newGateway(t)
		g.write(t, "tollgate.yaml", strings.Replace(g.addresses, "}\n", hops+"}\n", 1)+rules)
		g.args = []string{"run"}
		g.start(t)
		for claimed, status := range tests {
			r := request{method: http.MethodGet, path: "/echo"}
			if claimed != "" {
				r.headers = []header{{"x-forwarded-for", claimed}}
			}
			got := side{g.url, clientKey}.do(t, r)
			if got.Status != status {
				t.Errorf("%s x-forwarded-for %q: got %d %s, want %d", hops, claimed, got.Status, got.Body, status)
			}
		}
	}
}
