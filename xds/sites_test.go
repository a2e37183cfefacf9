package xds

import (
	"fmt"
	"os"
	"strings"
	"testing"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"

	"tollgate/config"
)

func sitesIn(t *testing.T, yaml string) (*config.Config, []*site) {
	t.Helper()
	c, err := config.Parse("test.yaml", []byte(yaml), os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	sites, err := newLeading(&Resources{}, "").sites(c, true)
	if err != nil {
		t.Fatal(err)
	}
	return c, sites
}

// TestTraits: routes whose traits are the same are the same to Envoy but for their prefixes, whatever is said of them.
func TestTraits(t *testing.T) {
	t.Parallel()
	said := []string{
		"upstream: one", "upstream: two", "upstream: path", "upstream: own", "upstream: one, auth: open", "upstream: two, auth: passthrough",
		"upstream: one, max_body_bytes: 5", "upstream: one, max_in_flight: 5", "upstream: one, answer_tokens: 5", "upstream: one, usage: exact",
		"upstream: one, retry: {attempts: 1}", "upstream: one, retry: {statuses: [500]}", "upstream: one, retry: {statuses: [429]}",
		"upstream: one, retry: {first_byte_timeout: 5s}", "upstream: one, retry: {idle_timeout: 5s}", "upstream: one, forward_client_address: true",
		"upstream: one, limits: [{requests: 5/minute}]", "upstream: one, limits: [{tokens: 5/minute}]", "upstream: one, limits: [{requests: 6/minute}]",
		"upstream: one, limits: [{requests: 5/minute, models: [m]}]", "upstream: one, cache: {}", "upstream: one, cache: {collapse: false}",
		"upstream: one, limits: [{tokens: 5/minute}], cache: {}", "upstream: one, limits: [{tokens: 5/minute}], cache: {collapse: false}",
		"upstream: one, cache: {ttl: 5s}", "upstream: one, pace: [{events: 5/second}]", "upstream: one, ip: {deny: [192.0.2.1]}",
		"upstream: one, log: false", "upstreams: [{name: one}, {name: path}]", "upstreams: [{name: path}, {name: one}]",
		"upstreams: [{name: one}, {name: path, weight: 5}]", "upstream: one, models: [{match: [m], upstreams: [{name: path}]}]",
		"upstream: one, models: [{match: [n], upstreams: [{name: path}]}]", "upstream: one, models: [{clients: [alice], upstreams: [{name: path}]}]",
		"upstream: one, models: [{match: [m], upstreams: [{name: path}, {name: two}]}]",
	}
	var routes strings.Builder
	for i, of := range said {
		fmt.Fprintf(&routes, "  - {prefix: /a%d, %s}\n  - {prefix: /b%d, %s}\n", i, of, i, of)
	}
	c, _ := sitesIn(t, `
clients: [{name: alice, keys: [fk-sentinel-0123456789]}]
chat_log: {}
upstreams:
  - {name: one, url: "http://192.0.2.1", keys: [k-1-0123456789]}
  - {name: two, url: "http://192.0.2.1", keys: [k-2-0123456789, k-3-0123456789]}
  - {name: path, url: "http://192.0.2.1/base", keys: [k-4-0123456789]}
  - {name: own, url: "http://192.0.2.1", key_header: api-key, keys: [k-5-0123456789], rename: [{model: m, to: n}]}
routes:
`+routes.String())
	known := map[traits][]*routev3.Route{}
	leading := newLeading(&Resources{}, "")
	for _, route := range c.Routes {
		leads, err := leading.leads(route)
		if err != nil {
			t.Fatal(err)
		}
		s := &site{route: route, leads: leads, name: "name", prefix: "/"}
		got := append(s.routes(&c.Listener), sharedRoutes([]*site{s}).GetVirtualHosts()[0].GetRoutes()...)
		first := known[traitsOf(route)]
		if first == nil {
			known[traitsOf(route)] = got
			continue
		}
		if len(got) != len(first) {
			t.Errorf("%s takes %d routes of Envoy's, another with the same traits %d", route.Prefix, len(got), len(first))
			continue
		}
		for i := range got {
			if !proto.Equal(got[i], first[i]) {
				t.Errorf("%s has the traits of another route and is another to Envoy:\n%v\n%v", route.Prefix, got[i], first[i])
			}
		}
	}
	if len(known) > len(said) || len(known) < len(said)/2 {
		t.Errorf("%d ways to write a route have %d traits", len(said), len(known))
	}
}

// TestSites: routes of which there are many are one site, but for those at or above what is found later.
func TestSites(t *testing.T) {
	t.Parallel()
	var routes strings.Builder
	for i := range 150 {
		fmt.Fprintf(&routes, "  - {prefix: /team-%d, upstream: one}\n  - {prefix: /team-%d/a, upstream: one}\n  - {prefix: /free-%d, upstream: free}\n", i, i, i)
	}
	const head = `
upstreams: [{name: one, url: "http://192.0.2.1", keys: [k-1-0123456789]}, {name: free, url: "http://192.0.2.1"}]
routes:
  - {prefix: /, upstream: one}
  - {prefix: /healthz, upstream: one}
  - {prefix: /team-1/a/special, upstream: one, max_body_bytes: 5}
`
	_, sites := sitesIn(t, head+routes.String())
	joined, apart := map[int]int{}, map[string]bool{}
	for _, s := range sites {
		if s.prefixes == nil {
			apart[s.prefix] = true
			continue
		}
		segments := strings.Count(s.prefixes[0], "/")
		joined[segments] += len(s.prefixes)
		if !config.NamesMany(s.name) || config.Named(s.name, s.prefixes[7]+"/v1/chat?x").Prefix != s.prefixes[7] {
			t.Errorf("%q does not lead to %s", s.name, s.prefixes[7])
		}
	}
	if joined[1] != 149 || joined[2] != 149 || len(joined) != 2 {
		t.Errorf("of each number of segments so many routes are one: %v", joined)
	}
	for _, prefix := range []string{"/", "/healthz", "/team-1", "/team-1/a", "/team-1/a/special", "/free-1"} {
		if !apart[prefix] {
			t.Errorf("%s is one of many", prefix)
		}
	}
	if _, few := sitesIn(t, head); len(few) != 3 {
		t.Errorf("there are %d sites, want one for each of three routes", len(few))
	}
}

// TestPatterns: no regular expression is larger than Envoy's engine can bear, and none is lost.
func TestPatterns(t *testing.T) {
	t.Parallel()
	for _, length := range []int{1, 10, 100, 5000} {
		var prefixes []string
		for i := range 1000 {
			prefixes = append(prefixes, fmt.Sprintf("/%d%s", i, strings.Repeat("x", length)))
		}
		count := 0
		for _, pattern := range patterns(prefixes) {
			count += strings.Count(pattern, "|") + 1
			if len(pattern) > patternBytes+100 {
				t.Errorf("a pattern has %d bytes", len(pattern))
			}
		}
		if count != len(prefixes) {
			t.Errorf("%d prefixes are in patterns, want %d", count, len(prefixes))
		}
	}
}
