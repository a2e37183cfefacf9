package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

// alike are routes below a name that Envoy handles alike.
func alike(name, of string, many int) string {
	var routes strings.Builder
	for i := range many {
		fmt.Fprintf(&routes, "  - {prefix: /%s-%d, %s}\n", name, i, of)
	}
	return routes.String()
}

// TestAlikeRoutes: of many routes that are one to Envoy, each has its own path, limits, cache and keys that rest, and
// is called by its name wherever routes are named.
func TestAlikeRoutes(t *testing.T) {
	t.Parallel()
	url, upstream := mocktest.Start(t, mock.Options{})
	g := launch(t, fmt.Sprintf(`
clients: [{name: alice, keys: [%s]}]
upstreams:
  - {name: one, url: "%s/echo/base", keys: [%s]}
  - {name: two, url: %[2]q, keys: [%[4]s, %[5]s]}
  - {name: dead, url: "http://%[6]s", keys: [%[3]s]}
chat_log: {}
telemetry: {usage: true, access_log: access.log}
retry: {attempts: 2}
routes:
%[7]s`, clientKey, url, upstreamKey, keyA, keyB, mocktest.FreeAddress(t),
		alike("plain", "upstream: one", 120)+alike("plain/a", "upstream: one", 120)+
			alike("limited", "upstream: one, limits: [{requests: 2/hour}]", 120)+
			alike("kept", "upstream: two, cache: {}", 120)+alike("keys", "upstream: two", 120)+
			alike("several", "upstreams: [{name: dead}, {name: two}]", 120)+alike("dead", "upstream: dead", 120)))
	through := side{g.url, clientKey}
	get := func(path string) seen { return through.do(t, request{method: http.MethodGet, path: path}) }
	for asked, want := range map[string]string{
		"/plain-7/x?q=/plain-8": "/echo/base/x?q=/plain-8", "/plain-7": "/echo/base", "/plain-7/": "/echo/base", "/plain-7/x/": "/echo/base/x",
		"/plain-7/plain-7": "/echo/base/plain-7", "/plain/a-7/a-7/x": "/echo/base/a-7/x", "//plain-7/../plain-8//x": "/echo/base/x",
	} {
		if got := through.echo(t, request{method: http.MethodGet, path: asked}); got.URI != want {
			t.Errorf("%s arrives for %s, want %s", got.URI, asked, want)
		}
	}
	for _, asked := range []string{"/plain-120", "/plain-7x", "/plain-7%2Fx", "/plain", "/plain/a-120", "/"} {
		get(asked).isError(t, 404, "unknown_route", "Envoy")
	}
	for path, want := range map[string][]int{"/limited-1": {200, 200, 429}, "/limited-2": {200, 200, 429}} {
		for _, status := range want {
			if got := get(path); got.Status != status {
				t.Errorf("%s answers %d, want %d", path, got.Status, status)
			}
		}
	}
	side{g.url, "fk-wrong"}.do(t, request{method: http.MethodGet, path: "/limited-3"}).isError(t, 401, "invalid_api_key", "Tollgate")

	for _, prefix := range []string{"/kept-1", "/kept-2"} {
		ask := func() request { return post(prefix+"/v1/chat/completions", question("hello", false)) }
		if got := through.do(t, ask()); got.Status != http.StatusOK || got.Header.Get("cache-status") != "tollgate; fwd=uri-miss" {
			t.Errorf("%s answers first %d, %s", prefix, got.Status, got.Header.Get("cache-status"))
		}
		through.hit(t, ask)
	}
	if got := through.do(t, below("/keys-1", turnedDown(keysLeft(upstream), "429"))); got.Status != http.StatusOK {
		t.Errorf("the second key: %d %s", got.Status, got.Body)
	}
	if got := through.do(t, below("/kept-5", turnedDown(keysLeft(upstream), "429"))); got.Status != http.StatusOK {
		t.Errorf("the second key of a shared call: %d %s", got.Status, got.Body)
	}
	if got := through.do(t, below("/several-1", chat(1, "1ms"))); got.Status != http.StatusOK {
		t.Errorf("the second upstream: %d %s", got.Status, got.Body)
	}
	echoes(t, g.url+"/keys-2", &websocket.DialOptions{Subprotocols: []string{"realtime", "openai-insecure-api-key." + clientKey}})
	get("/dead-9").isError(t, 503, "upstream_unreachable", "Envoy")
	g.await(t, `"route":"/dead-9"`, 1)

	for _, prefix := range []string{"/plain-7", "/limited-1", "/limited-3", "/kept-1", "/kept-5", "/keys-1", "/keys-2", "/several-1", "/dead-9"} {
		eventually(t, "the access log names "+prefix, func() bool {
			said, _ := os.ReadFile(filepath.Join(g.dir, "access.log"))
			return strings.Contains(string(said), `"route":"`+prefix+"@") && !strings.Contains(string(said), `"route":"*`)
		})
	}
	for _, prefix := range []string{"kept-1", "keys-1", "several-1"} {
		eventually(t, "the chat log has "+prefix, func() bool {
			said, _ := os.ReadFile(filepath.Join(g.dir, "Log", prefix, "chat", "chat.log"))
			return strings.Contains(string(said), "hello")
		})
	}
	if got := g.metric(t, `tollgate_refusals_total{code="invalid_api_key",route="/limited-3"}`); got != 1 {
		t.Errorf("the metrics tell of %v refusals", got)
	}
}

// keysLeft is the key whose turn it is.
func keysLeft(upstream *mock.Server) string {
	seen := keysOf(upstream)
	if strings.HasSuffix(seen, "a") {
		return keyB
	}
	return keyA
}

// TestEditsOfAlikeRoutes: routes become many and few, and lead elsewhere and back, without one failed request, and none
// comes to where its path does not lead.
func TestEditsOfAlikeRoutes(t *testing.T) {
	t.Parallel()
	first, _ := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	second, _ := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	edition := func(i int) string {
		many := []int{150, 20, 140}[i%3]
		upstream := []string{"one", "two"}[i%2]
		return fmt.Sprintf(`
clients: [{name: alice, keys: [%s]}]
upstreams: [{name: one, url: "%s/echo/alike", keys: [%s]}, {name: two, url: "%[4]s/echo/alike", keys: [%[3]s]}, {name: other, url: "%[4]s/echo/other", keys: [%[3]s]}]
routes:
  - {prefix: /, upstream: other}
  - {prefix: /a-1/special, upstream: other, max_body_bytes: %[5]d}
%[6]s`, clientKey, first, upstreamKey, second, 1000+i, alike("a", "upstream: "+upstream, many))
	}
	g := launch(t, edition(0))
	var loads []*load
	for path, want := range map[string]string{
		"/a-1/x": "/echo/alike/x", "/a-7/x": "/echo/alike/x", "/a-1/special": "/echo/other", "/b-7/x": "/echo/other/b-7/x",
	} {
		loads = append(loads, startLoad(t, g.url+path, 1, `"`+want+`"`))
	}
	for i := range 60 {
		g.edit(t, edition(i+1), false)
		if i%5 == 4 {
			g.await(t, "a new configuration is in force", i/5+1)
		}
	}
	for _, l := range loads {
		l.end(t, 50)
	}
}
