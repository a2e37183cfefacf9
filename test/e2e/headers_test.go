package e2e

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

// TestUpstreamLearnsNothing sends all that an upstream must not see. What arrives is named in full,
// so that something new shows.
func TestUpstreamLearnsNothing(t *testing.T) {
	t.Parallel()
	_, through, _ := sides(t)
	got := through.echo(t, request{method: "POST", path: "/echo/a", body: strings.NewReader("x"), headers: []header{
		{"x-envoy-upstream-rq-timeout-ms", "1"},
		{"x-envoy-retry-on", "5xx"},
		{"x-envoy-max-retries", "9"},
		{"x-envoy-original-path", "/a"},
		{"x-envoy-decorator-operation", "a"},
		{"x-envoy-force-trace", "1"},
		{"x-envoy-internal", "true"},
		{"x-envoy-external-address", "192.0.2.1"},
		{"x-forwarded-for", "192.0.2.1"},
		{"x-forwarded-proto", "https"},
		{"x-forwarded-host", "example.com"},
		{"x-forwarded-port", "443"},
		{"x-real-ip", "192.0.2.1"},
		{"forwarded", "for=192.0.2.1"},
		{"proxy-authorization", "Basic YTpi"},
		{"proxy-connection", "keep-alive"},
		{"connection", "x-hop"},
		{"x-hop", "1"},
		{"x-api-key", clientKey},
		{"api-key", clientKey},
		{"x-goog-api-key", clientKey},
		{"cookie", "session=" + clientKey},
		{"x-copy", clientKey},
		{"x-kept", "1"},
	}})
	want := []string{"authorization", "content-length", "user-agent", "x-kept"}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(got.Headers))); diff != "" {
		t.Errorf("the upstream sees other headers (-want +got):\n%s\n%v", diff, got.Headers)
	}
}

// TestClientLearnsNothing wants only the upstream's headers in answers, and in Envoy's own only
// what they need.
func TestClientLearnsNothing(t *testing.T) {
	t.Parallel()
	_, through, _ := sides(t)
	refused := side{start(t, oneRoute("http://"+mocktest.FreeAddress(t))), clientKey}
	tests := map[string]struct {
		side side
		more []header
		want []string
	}{
		"the upstream's":   {through, nil, []string{"Content-Length", "Content-Type", "X-Request-Id"}},
		"a named server":   {through, []header{{"mock-header", "server: mine"}}, []string{"Content-Length", "Content-Type", "Server", "X-Request-Id"}},
		"an Envoy's there": {through, []header{{"mock-header", "x-envoy-upstream-service-time: 7"}}, []string{"Content-Length", "Content-Type", "X-Envoy-Upstream-Service-Time", "X-Request-Id"}},
		"no upstream":      {refused, nil, []string{"Content-Length", "Content-Type"}},
		"a refusal":        {side{through.url, "wrong-key-0123456789"}, nil, []string{"Content-Length", "Content-Type"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := test.side.do(t, request{method: "GET", path: "/v1/models", headers: test.more})
			if diff := cmp.Diff(test.want, slices.Sorted(maps.Keys(got.Header))); diff != "" {
				t.Errorf("the client sees other headers (-want +got):\n%s\n%v", diff, got.Header)
			}
			if server := got.Header.Get("server"); server != "" && server != "mine" {
				t.Errorf("server is %q", server)
			}
		})
	}
}

// TestForwardedClientAddress tells the upstream the address where the route says so, the real one.
func TestForwardedClientAddress(t *testing.T) {
	t.Parallel()
	url, _ := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	yaml := strings.Replace(oneRoute(url), "upstream: openai}", "upstream: openai, forward_client_address: true}", 1)
	got := side{start(t, yaml), clientKey}.echo(t, request{method: "GET", path: "/echo", headers: []header{{"x-forwarded-for", "192.0.2.1"}}})
	if diff := cmp.Diff([]string{"127.0.0.1"}, got.Headers["x-forwarded-for"]); diff != "" {
		t.Errorf("x-forwarded-for (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"http"}, got.Headers["x-forwarded-proto"]); diff != "" {
		t.Errorf("x-forwarded-proto (-want +got):\n%s", diff)
	}
}
