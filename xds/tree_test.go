package xds_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc/metadata"

	"tollgate/config"
	"tollgate/test/envoytest"
)

// named is a gate that lets all pass, and tells which route each request came on.
func named(asked chan<- string) gate {
	answer := passWith(config.VerdictPass)
	return gate{process: func(s extprocv3.ExternalProcessor_ProcessServer) error {
		first, err := s.Recv()
		if err != nil {
			return err
		}
		path := ""
		for _, h := range first.GetRequestHeaders().GetHeaders().GetHeaders() {
			if h.GetKey() == ":path" {
				path = string(h.GetRawValue())
			}
		}
		name := strings.Join(metadata.ValueFromIncomingContext(s.Context(), config.RouteHeader), ",")
		asked <- config.Named(name, path).Prefix
		return s.Send(answer)
	}}
}

// TestManyRoutes: with more routes than stand in a list, alike or not, each path still finds the longest prefix that
// is whole segments of it.
func TestManyRoutes(t *testing.T) {
	t.Parallel()
	for kind, of := range map[string]func(i int) string{
		"alike":   func(int) string { return "" },
		"various": func(i int) string { return fmt.Sprintf(", max_body_bytes: %d", i+1) },
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			manyRoutes(t, of)
		})
	}
}

func manyRoutes(t *testing.T, of func(i int) string) {
	t.Helper()
	var routes strings.Builder
	for i := range 200 {
		fmt.Fprintf(&routes, "  - {prefix: /team-%d, upstream: up%s}\n", i, of(i))
	}
	asked, up := make(chan string, 1), newUpstream(t)
	envoy := envoytest.Start(t, named(asked), fmt.Sprintf(`
clients: [{name: alice, keys: [fk-sentinel-0123456789]}]
upstreams: [{name: up, url: %q}]
routes:
  - {prefix: /team-1/a, upstream: up}
  - {prefix: /team-1/a/b, upstream: up}
  - {prefix: /team-1x, upstream: up}
  - {prefix: /healthz/more, upstream: up}
  - {prefix: /healthz, upstream: up}
  - {prefix: /, upstream: up}
%s`, up.URL, routes.String()))
	for path, want := range map[string]string{
		"/team-1": "/team-1", "/team-1/": "/team-1", "/team-1?x=/team-2": "/team-1", "/team-1/v1/chat": "/team-1",
		"/team-10/v1": "/team-10", "/team-199/v1": "/team-199", "/team-200/v1": "/", "/team-1y": "/", "/team-1xy/a": "/",
		"/team-1x/a": "/team-1x", "/team-1/a": "/team-1/a", "/team-1/ab": "/team-1", "/team-1/a/b/c": "/team-1/a/b",
		"/team-1/a/bc": "/team-1/a", "/": "/", "/v1/chat/completions": "/", "/healthz/x": "/healthz", "/healthz/more/x": "/healthz/more",
		"/team-5?x=/a/b": "/team-5", "/team-5/?": "/team-5", "/team-5?": "/team-5", "/TEAM-5": "/", "/team-5%2Fx": "/",
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

// TestAnyPrefixes: whatever the prefixes are, and which of them are alike, each path is of the longest one that is
// whole segments of it.
func TestAnyPrefixes(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	words := []string{"a", "b", "ab", "a.b", "a+b", "(a", "a)", "[a]", "*", "**", "a@b", "a$", "$", "*@b", "v1", "V1", "healthz", "x", "xx"}
	path := func() (path string) {
		for range 1 + random.IntN(4) {
			path += "/" + words[random.IntN(len(words))]
		}
		return path
	}
	prefixes := map[string]bool{"/": true}
	var routes strings.Builder
	fmt.Fprint(&routes, "  - {prefix: /, upstream: up}\n")
	for len(prefixes) < 1200 {
		prefix := path()
		if prefixes[prefix] {
			continue
		}
		prefixes[prefix] = true
		fmt.Fprintf(&routes, "  - {prefix: %q, upstream: up%s}\n", prefix, []string{"", "", ", max_body_bytes: 5", fmt.Sprintf(", max_body_bytes: %d", 10+random.IntN(20))}[random.IntN(4)])
	}
	asked, up := make(chan string, 1), newUpstream(t)
	envoy := envoytest.Start(t, named(asked), fmt.Sprintf(`
clients: [{name: alice, keys: [fk-sentinel-0123456789]}]
upstreams: [{name: up, url: %q}]
routes:
%s`, up.URL, routes.String()))
	for range 1000 {
		path := path()
		want := path
		for !prefixes[want] {
			want = cmp.Or(want[:strings.LastIndexByte(want, '/')], "/")
		}
		if path == "/healthz" {
			continue
		}
		if status, got := get(t, envoy.URL+path), <-asked; status != http.StatusOK || got != want {
			t.Errorf("%s is of the route %q, want %q; it answers %d", path, got, want, status)
		}
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
