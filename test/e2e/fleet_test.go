package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

// TestFleet: one server feeds Envoys of two groups, each with its port and its upstream behind one prefix, and
// an Envoy of a group that there is not gets no port. An edit reaches each.
func TestFleet(t *testing.T) {
	t.Parallel()
	eu, inEU := mocktest.Start(t, mock.Options{Keys: []string{"sk-eu"}})
	us, inUS := mocktest.Start(t, mock.Options{Keys: []string{"sk-us"}})
	edge, core := mocktest.FreeAddress(t), mocktest.FreeAddress(t)
	yaml := fmt.Sprintf(`
groups:
  - {name: edge, listener: {address: %q}}
  - {name: core, listener: {address: %q}}
clients: [{name: alice, keys: [%s]}]
upstreams:
  - {name: eu, url: %q, keys: [sk-eu]}
  - {name: us, url: %q, keys: [sk-us]}
routes:
  - {prefix: /, upstream: eu, groups: [edge]}
  - {prefix: /, upstream: us, groups: [core]}
`, edge, core, clientKey, eu, us)
	c := serve(t, yaml)
	c.envoy(t, "--node", "e-1", "--group", "edge")
	c.envoy(t, "--node", "c-1", "--group", "core")
	c.envoy(t, "--node", "s-1", "--group", "elsewhere")
	c.awaitReady(t)
	c.await(t, "not this Envoy's: it gets no port and no route", 1)
	asked := func(address, path string) int {
		t.Helper()
		eventually(t, address+" answers", func() bool {
			response, err := newClient(t).Get("http://" + address + "/healthz")
			if err == nil {
				_ = response.Body.Close()
			}
			return err == nil
		})
		return side{"http://" + address, clientKey}.do(t, request{method: http.MethodGet, path: path}).Status
	}
	if e, c := asked(edge, "/v1/models/of-edge"), asked(core, "/v1/models/of-core"); e != 404 || c != 404 {
		t.Errorf("the mock's answers are %d and %d", e, c)
	}
	holds := func(upstream *mock.Server, path string) bool {
		for _, r := range upstream.Requests() {
			if strings.HasSuffix(r.URI, path) {
				return true
			}
		}
		return false
	}
	if !holds(inEU, "of-edge") || holds(inEU, "of-core") || !holds(inUS, "of-core") || holds(inUS, "of-edge") {
		t.Errorf("the groups' requests went astray: %+v and %+v", inEU.Requests(), inUS.Requests())
	}
	if _, err := newClient(t).Get(c.url); err == nil {
		t.Error("the stray Envoy listens")
	}
	c.edit(t, strings.Replace(yaml, "prefix: /, upstream: us", "prefix: /moved, upstream: us", 1), false)
	c.await(t, "a new configuration is in force", 1)
	if e, c := asked(edge, "/v1/models/again"), asked(core, "/moved/v1/models/again"); e != 404 || c != 404 || !holds(inEU, "again") || !holds(inUS, "again") {
		t.Errorf("after an edit: %d and %d", e, c)
	}
}

// TestReplicas: two servers, each with an Envoy, count limits and keep answers together in one Redis.
func TestReplicas(t *testing.T) {
	t.Parallel()
	redis := startRedis(t)
	url, upstream := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	yaml := strings.Replace(oneRoute(url), "routes: [{", "routes: [{limits: [{requests: 40/hour}], cache: {}, ", 1) +
		fmt.Sprintf("limit_store: {redis: %[1]q}\ncache_store: {redis: %[1]q}\n", "redis://"+redis.address)
	var replicas []side
	for range 2 {
		c := serve(t, yaml)
		c.envoy(t)
		c.awaitReady(t)
		replicas = append(replicas, side{c.url, clientKey})
	}
	first := replicas[0].do(t, post("/v1/chat/completions", question("shared", false)))
	second := replicas[1].do(t, post("/v1/chat/completions", question("shared", false)))
	if second.Body != first.Body || !strings.HasPrefix(second.Header.Get("cache-status"), "tollgate; hit") || len(upstream.Requests()) != 1 {
		t.Errorf("the other replica says %q and the upstream was asked %d times", second.Header.Get("cache-status"), len(upstream.Requests()))
	}
	var passed, refused atomic.Int64
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			switch got := replicas[i%2].do(t, request{method: http.MethodGet, path: "/echo"}); got.Status {
			case http.StatusOK:
				passed.Add(1)
			case http.StatusTooManyRequests:
				refused.Add(1)
			default:
				t.Errorf("got %d %s", got.Status, got.Body)
			}
		})
	}
	all.Wait()
	if passed.Load() != 38 || refused.Load() != 62 {
		t.Errorf("%d passed and %d were refused, want 38 and 62: the hit counted, too", passed.Load(), refused.Load())
	}
}
