package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"tollgate/config"
	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

// pair is two upstreams of a test, a and b, each with a key of its own, and who was asked in which order.
type pair struct {
	a, b *mock.Server
	url  map[string]string
}

func newPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{url: map[string]string{}}
	p.url["a"], p.a = mocktest.Start(t, mock.Options{Keys: []string{keyA}})
	p.url["b"], p.b = mocktest.Start(t, mock.Options{Keys: []string{keyB}})
	return p
}

// yaml is a configuration with both. A test can say more of each, and of the route.
func (p *pair) yaml(a, b, route string) string {
	return fmt.Sprintf(`
clients: [{name: alice, keys: [%s]}]
upstreams:
  - {name: a, url: %q, keys: [%s]%s}
  - {name: b, url: %q, keys: [%s]%s}
routes: [{prefix: /api, %s}]
telemetry: {usage: true}
`, clientKey, p.url["a"], keyA, a, p.url["b"], keyB, b, route)
}

// asked tells how often each was asked, and sees that no key went where it was not meant to.
func (p *pair) asked(t *testing.T) (a, b int) {
	t.Helper()
	for name, upstream := range map[string]*mock.Server{"a": p.a, "b": p.b} {
		for _, r := range upstream.Requests() {
			all := sentTo(r)
			stranger := map[string]string{"a": keyB, "b": keyA}[name]
			if strings.Contains(all, clientKey) || strings.Contains(all, stranger) || strings.Contains(strings.ToLower(all), "x-tollgate") {
				t.Errorf("%s sees %s", name, all)
			}
			if want := strings.TrimPrefix(p.url[name], "http://"); r.Host != strings.TrimSuffix(want, "/benchmark") {
				t.Errorf("%s is called %s", name, r.Host)
			}
		}
	}
	return len(p.a.Requests()), len(p.b.Requests())
}

// sentTo is what an upstream saw of a request, but for the test's orders, which name keys.
func sentTo(r mock.Request) string {
	for name := range r.Header {
		if strings.HasPrefix(name, "Mock-") {
			delete(r.Header, name)
		}
	}
	return fmt.Sprint(r.Header, r.URI)
}

const inOrder = "upstreams: [{name: a}, {name: b}]"

// failsAt is a chat that goes wrong so where it comes with a key.
func failsAt(key string, orders ...header) request {
	r := below("/api", chat(10, "1ms"))
	r.headers = append(append(r.headers, orders...), header{"mock-for-key", key})
	return r
}

// below puts a request's path below a prefix.
func below(prefix string, r request) request {
	r.path = prefix + r.path
	return r
}

// TestFallback: what the first upstream fails at goes to the second, with its key, host and path, and to no
// other; what it fails at later does not.
func TestFallback(t *testing.T) {
	t.Parallel()
	status := func(code string) header { return header{"mock-status", code} }
	for name, test := range map[string]struct {
		a, b, route string
		base        string // whose URL has a base path
		send        request
		status      int
		atA, atB    int
		cut         bool
	}{
		"all is well":       {send: below("/api", chat(10, "1ms")), status: 200, atA: 1},
		"503":               {send: failsAt(keyA, status("503")), status: 200, atA: 1, atB: 1},
		"429":               {send: failsAt(keyA, status("429"), header{"mock-header", "retry-after: 60"}), status: 200, atA: 1, atB: 1},
		"401":               {send: failsAt(keyA, status("401")), status: 200, atA: 1, atB: 1},
		"403":               {send: failsAt(keyA, status("403")), status: 200, atA: 1, atB: 1},
		"no need to wait":   {send: failsAt(keyA, status("503"), header{"mock-header", "retry-after: 9"}), status: 200, atA: 1, atB: 1},
		"reset":             {send: failsAt(keyA, header{"mock-break", "reset"}), status: 200, atA: 1, atB: 1},
		"silence":           {route: ", retry: {first_byte_timeout: 300ms}", send: failsAt(keyA, header{"mock-delay", "1m"}), status: 200, atA: 1, atB: 1},
		"500":               {send: failsAt(keyA, status("500")), status: 500, atA: 1},
		"400":               {send: failsAt(keyA, status("400")), status: 400, atA: 1},
		"cut":               {send: failsAt(keyA, header{"mock-break", "mid-event"}), status: 200, atA: 1, cut: true},
		"both fail":         {send: below("/api", failing(9, status("503"))), status: 503, atA: 2, atB: 1},
		"both turn it down": {send: below("/api", failing(9, status("429"), header{"mock-header", "retry-after: 30"})), status: 429, atA: 1, atB: 1},
		"one try":           {route: ", retry: {attempts: 1}", send: failsAt(keyA, status("503")), status: 503, atA: 1},
		"another header":    {b: ", key_header: api-key", send: failsAt(keyA, status("503")), status: 200, atA: 1, atB: 1},
		"the first's base":  {base: "a", send: failsAt(keyA, status("503")), status: 200, atA: 1, atB: 1},
		"the second's base": {base: "b", send: failsAt(keyA, status("503")), status: 200, atA: 1, atB: 1},
		"read by the gate":  {route: ", usage: exact", send: failsAt(keyA, status("503")), status: 200, atA: 1, atB: 1},
		"in a shared call":  {route: ", cache: {}", send: failsAt(keyA, status("503")), status: 200, atA: 1, atB: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			if test.base != "" {
				p.url[test.base] += "/benchmark"
			}
			g := launch(t, p.yaml(test.a, test.b, inOrder+test.route))
			got := side{g.url, clientKey}.do(t, test.send)
			if got.Status != test.status || (got.Err != "") != test.cut {
				t.Errorf("the client got %d %s, and then %q", got.Status, got.Body, got.Err)
			}
			if a, b := p.asked(t); a != test.atA || b != test.atB {
				t.Errorf("a was asked %d times, b %d times, want %d and %d", a, b, test.atA, test.atB)
			}
			if got.Status == http.StatusOK && !test.cut && !strings.HasSuffix(got.Body, "data: [DONE]\n\n") {
				t.Errorf("the answer is not whole: %q", got.Body)
			}
		})
	}
}

// TestFallbackPaths: the path and query that each upstream gets are its own, however they are written.
func TestFallbackPaths(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.url["b"] += "/echo/base"
	through := side{start(t, p.yaml("", "", inOrder)), clientKey}
	for path, want := range map[string]string{
		"/api/x/y":          "/echo/base/x/y",
		"/api/x%2Fy/?a=b&c": "/echo/base/x%2Fy?a=b&c",
		"/api":              "/echo/base",
		"/api/?q=/api/":     "/echo/base?q=/api/",
	} {
		got := through.echo(t, request{method: http.MethodGet, path: path, headers: []header{{"mock-for-key", keyA}, {"mock-status", "503"}}})
		if got.URI != want {
			t.Errorf("%s arrives as %s, want %s", path, got.URI, want)
		}
	}
}

// TestFallbackOfManyKinds: from one that cannot be reached, by TLS, to one that wants no key; a WebSocket too.
func TestFallbackOfManyKinds(t *testing.T) {
	t.Parallel()
	tlsURL, ca, secure := mocktest.StartTLS(t, mock.Options{Keys: []string{keyA}})
	openURL, open := mocktest.Start(t, mock.Options{})
	g := launch(t, fmt.Sprintf(`
clients: [{name: alice, keys: [%s]}]
upstreams:
  - {name: nobody, url: "http://%s", keys: [sk-nobody-0123456789]}
  - {name: secure, url: %q, ca_file: %q, keys: [%s]}
  - {name: open, url: %q}
routes:
  - {prefix: /a, upstreams: [{name: nobody}, {name: secure}]}
  - {prefix: /b, upstreams: [{name: secure}, {name: open}]}
  - {prefix: /c, upstreams: [{name: nobody}, {name: open}]}
`, clientKey, mocktest.FreeAddress(t), tlsURL, ca, keyA, openURL))
	through := side{g.url, clientKey}
	for _, prefix := range []string{"/a", "/b", "/c"} {
		if got := through.do(t, below(prefix, chat(3, "1ms"))); got.Status != http.StatusOK {
			t.Errorf("%s: got %d %s", prefix, got.Status, got.Body)
		}
	}
	if got := through.do(t, below("/b", failsAtAll(header{"mock-for-key", keyA}, header{"mock-status", "502"}))); got.Status != http.StatusOK {
		t.Errorf("from TLS to none: got %d %s", got.Status, got.Body)
	}
	for _, r := range secure.Requests() {
		if r.Proto != "HTTP/2.0" {
			t.Errorf("TLS is spoken %s", r.Proto)
		}
	}
	for _, r := range open.Requests() {
		if all := sentTo(r); strings.Contains(all, "sk-") || strings.Contains(all, "fk-") {
			t.Errorf("who wants no key sees %s", all)
		}
	}
	conn, _, err := websocket.Dial(t.Context(), g.url+"/a/v1/realtime?model=m", &websocket.DialOptions{
		Subprotocols: []string{"realtime", "openai-insecure-api-key." + clientKey},
	})
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.CloseNow()
}

// failsAtAll is a chat with orders.
func failsAtAll(orders ...header) request {
	r := chat(3, "1ms")
	r.headers = append(r.headers, orders...)
	return r
}

// TestFallbackIsTold: metrics, by the upstream that answered, and limits know of one call.
func TestFallbackIsTold(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	g := launch(t, p.yaml("", "", inOrder+", limits: [{requests: 1/hour}]"))
	through := side{g.url, clientKey}
	through.do(t, failsAt(keyA, header{"mock-status", "429"}, header{"mock-header", "retry-after: 60"}))
	if got := through.do(t, below("/api", chat(1, "1ms"))); got.Status != http.StatusTooManyRequests {
		t.Errorf("the second request got %d", got.Status)
	}
	a, b := config.NewSecret(keyA).Fingerprint(), config.NewSecret(keyB).Fingerprint()
	for _, line := range []string{
		`tollgate_upstream_key_answers_total{key="` + a + `",status="429",upstream="a"} 1`,
		`tollgate_upstream_key_answers_total{key="` + b + `",status="2xx",upstream="b"} 1`,
		`tollgate_upstream_key_rest_seconds{key="` + b + `",upstream="b"} 0`,
		`tollgate_answers_total{cause="whole",route="/api"} 1`,
	} {
		eventually(t, "metrics say "+line, func() bool { return strings.Contains(g.get(t, g.admin+"/metrics", nil), line) })
	}
}

// TestRestsLead: requests begin at an upstream that has a key that does not rest, and where none has, at the
// one that rests the shortest.
func TestRestsLead(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	through := side{start(t, p.yaml("", "", inOrder)), clientKey}
	through.do(t, failsAt(keyA, header{"mock-status", "429"}, header{"mock-header", "retry-after: 60"}))
	eventually(t, "requests begin at b", func() bool {
		before, _ := p.asked(t)
		through.do(t, below("/api", chat(1, "1ms")))
		after, _ := p.asked(t)
		return before == after
	})
	got := through.do(t, failsAt(keyB, header{"mock-status", "503"}))
	if got.Status != http.StatusOK {
		t.Errorf("from b, which fails, to a, whose key rests: got %d %s", got.Status, got.Body)
	}
}

// TestEjection: an upstream that fails again and again is passed over.
func TestEjection(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	t.Cleanup(server.Close)
	p.url["a"] = server.URL
	through := side{start(t, p.yaml("", "", inOrder)), clientKey}
	eventually(t, "a is passed over", func() bool {
		before := asked.Load()
		if got := through.do(t, below("/api", chat(1, "1ms"))); got.Status != http.StatusOK {
			t.Errorf("got %d %s", got.Status, got.Body)
		}
		return asked.Load() == before
	})
	if n := asked.Load(); n < 5 || n > 10 {
		t.Errorf("a failed %d times before it was passed over", n)
	}
}

// TestHealthCheck: an upstream that says that it is not well gets no requests until it is again.
func TestHealthCheck(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	var ill atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path != "/base/status":
			_, _ = io.WriteString(w, "from a")
		case ill.Load():
			w.WriteHeader(http.StatusInternalServerError)
		case r.Header.Get("authorization") != "":
			t.Error("a key travels with a health check")
		default:
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	t.Cleanup(server.Close)
	p.url["a"] = server.URL + "/base"
	through := side{start(t, p.yaml(", health_check: {path: /status, interval: 100ms}", "", inOrder)), clientKey}
	atA := func() bool { return through.do(t, below("/api", chat(1, "1ms"))).Body == "from a" }
	if !atA() {
		t.Error("a is well, and gets no request")
	}
	ill.Store(true)
	eventually(t, "b takes the requests", func() bool { return !atA() })
	ill.Store(false)
	eventually(t, "a has them again", atA)
}

// TestMaxRequests: what an upstream may have at once is bounded.
func TestMaxRequests(t *testing.T) {
	t.Parallel()
	url, upstream := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	yaml := strings.Replace(oneRoute(url), "name: openai,", "name: openai, max_requests: 1,", 1)
	through := side{start(t, yaml), clientKey}
	held := chat(1, "1ms")
	held.headers = append(held.headers, header{"mock-step", "held"})
	response := through.send(t.Context(), t, held)
	through.do(t, chat(1, "1ms")).isError(t, http.StatusServiceUnavailable, "overloaded", "Envoy")
	_ = response.Body.Close()
	eventually(t, "there is room again", func() bool { return through.do(t, chat(1, "1ms")).Status == http.StatusOK })
	if n := requestsOf(upstream); n < 2 {
		t.Errorf("the upstream was asked %d times", n)
	}
}

// TestWeights: shares are exact, and as even as they can be.
func TestWeights(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	through := side{start(t, p.yaml("", "", "upstreams: [{name: a, weight: 3}, {name: b, weight: 1}]")), clientKey}
	var order strings.Builder
	for range 8 {
		before, _ := p.asked(t)
		through.do(t, below("/api", chat(1, "1ms")))
		if after, _ := p.asked(t); after > before {
			order.WriteByte('a')
		} else {
			order.WriteByte('b')
		}
	}
	if diff := cmp.Diff("aabaaaba", order.String()); diff != "" {
		t.Errorf("the turns (-want +got):\n%s", diff)
	}
	if got := through.do(t, failsAt(keyA, header{"mock-status", "503"})); got.Status != http.StatusOK {
		t.Errorf("what a fails at: got %d", got.Status)
	}
}

// TestModelRules: requests go where their model does, whatever they are; all others go elsewhere.
func TestModelRules(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	const route = `upstream: a, models: [{match: ["llama*"], upstreams: [{name: b}]}, {match: ["gpt*"], upstreams: [{name: a}, {name: b}]}]`
	p.url["b"] += "/benchmark"
	through := side{start(t, p.yaml("", "", route)), clientKey}
	for name, test := range map[string]struct {
		send     request
		atA, atB int
	}{
		"its own":          {send: asks("llama-3", ""), atB: 1},
		"another's":        {send: asks("gpt-4o", ""), atA: 1},
		"another's, fails": {send: asks("gpt-4o", keyA), atA: 1, atB: 1},
		"everyone's":       {send: asks("claude", ""), atA: 1},
		"no model":         {send: request{method: http.MethodGet, path: "/v1/models"}, atA: 1},
		"in the query":     {send: request{method: http.MethodGet, path: "/v1/realtime?model=llama-3"}, atB: 1},
	} {
		beforeA, beforeB := p.asked(t)
		through.do(t, below("/api", test.send))
		if a, b := p.asked(t); a-beforeA != test.atA || b-beforeB != test.atB {
			t.Errorf("%s: a was asked %d times, b %d times, want %d and %d", name, a-beforeA, b-beforeB, test.atA, test.atB)
		}
	}
}

// TestClientRules: a client's requests go to the upstream that is for it, with that one's key and never with
// another's, and are answered from no cache of the others; who has a key of its own goes where all others go.
func TestClientRules(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	const bobKey = "fk-bob-0123456789"
	yaml := p.yaml("", "", `upstream: a, cache: {scope: route}, models: [{clients: [bob], upstreams: [{name: b}]}]`)
	yaml = strings.Replace(yaml, "clients: [", "clients: [{name: bob, keys: ["+bobKey+"]}, ", 1)
	url := start(t, yaml)
	for range 2 { // the second time from the cache
		for _, key := range []string{clientKey, bobKey} {
			if got := (side{url, key}).do(t, below("/api", asks("gpt-4o", ""))); got.Status != http.StatusOK {
				t.Errorf("got %d: %s", got.Status, got.Body)
			}
		}
	}
	if a, b := p.asked(t); a != 1 || b != 1 {
		t.Errorf("a was asked %d times, b %d times, want one each", a, b)
	}
}

// TestRenamed: each upstream is asked for the model by its own name for it, at each attempt, and all else
// arrives as it was sent.
func TestRenamed(t *testing.T) {
	t.Parallel()
	const rename = `, rename: [{model: gpt-4o, to: deployment-of-ours}, {model: "*-mini", to: small}]`
	for name, test := range map[string]struct {
		a, b, route string
		send        request
		model       string
	}{
		"one upstream":         {a: rename, route: "upstream: a", send: asks("gpt-4o", ""), model: "deployment-of-ours"},
		"by a pattern":         {a: rename, route: "upstream: a", send: asks("o4-mini", ""), model: "small"},
		"another":              {a: rename, route: "upstream: a", send: asks("o3", ""), model: "o3"},
		"the first of several": {a: rename, route: inOrder, send: asks("gpt-4o", ""), model: "deployment-of-ours"},
		"not at the second":    {a: rename, route: inOrder, send: asks("gpt-4o", keyA), model: "gpt-4o"},
		"at the second":        {b: rename, route: inOrder, send: asks("gpt-4o", keyA), model: "deployment-of-ours"},
		"each its own":         {a: ", rename: [{model: \"*\", to: a-much-longer-name-than-it-was}]", b: rename, route: inOrder, send: asks("gpt-4o", keyA), model: "deployment-of-ours"},
		"in a shared call":     {a: rename, route: inOrder + ", cache: {}", send: asks("gpt-4o", keyA), model: "gpt-4o"},
		"shared, the second":   {b: rename, route: inOrder + ", cache: {}", send: asks("gpt-4o", keyA), model: "deployment-of-ours"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			through := side{start(t, p.yaml(test.a, test.b, test.route)), clientKey}
			got := through.do(t, below("/api", test.send))
			if got.Status != http.StatusOK || !strings.Contains(got.Body, `"model":"`+test.model+`"`) {
				t.Errorf("got %d %s, want an answer of %s", got.Status, got.Body, test.model)
			}
			for _, r := range append(p.a.Requests(), p.b.Requests()...) {
				if sent := r.Header.Get("content-length"); sent != strconv.FormatInt(r.BodyLength, 10) || !r.Whole {
					t.Errorf("a body of %d bytes is said to have %s", r.BodyLength, sent)
				}
			}
		})
	}
}

// TestRenamedBodies: whatever body there is arrives whole, where each attempt reads it.
func TestRenamedBodies(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	through := side{start(t, p.yaml("", `, rename: [{model: "*", to: other}]`, inOrder)), clientKey}
	requests := map[string]request{
		"none":     {method: http.MethodGet},
		"empty":    {method: http.MethodPost, body: strings.NewReader("")},
		"chunked":  {method: http.MethodPost, body: chunked("not JSON")},
		"large":    {method: http.MethodPost, body: strings.NewReader(strings.Repeat("0123456789abcdef", 300_000))},
		"deep":     {method: http.MethodPost, body: strings.NewReader(`{"model":` + strings.Repeat("[", 12<<20))}, // deeper than a stack
		"trailers": {method: http.MethodPost, body: chunked("abc"), trailers: http.Header{"X-Sum": {"1"}}},
		"form":     {method: http.MethodPost, body: strings.NewReader("--x\r\ncontent-disposition: form-data; name=model\r\n\r\nm\r\n--x--\r\n"), headers: []header{{"content-type", "multipart/form-data; boundary=x"}}},
	}
	// A large one first, while Envoy has no connection yet by which it asks about attempts.
	for _, name := range []string{"large", "none", "empty", "chunked", "deep", "trailers", "form"} {
		r := requests[name]
		want := r
		if r.body != nil {
			sent, err := io.ReadAll(r.body)
			if err != nil {
				t.Fatal(err)
			}
			again := func() io.Reader { return strings.NewReader(string(sent)) }
			if r.trailers != nil || name == "chunked" {
				again = func() io.Reader { return chunked(string(sent)) }
			}
			r.body, want.body = again(), again()
		}
		r.path, want.path = "/api/echo", "/echo"
		direct, got := side{p.url["a"], keyA}.echo(t, want), through.echo(t, r)
		if direct.BodySHA256 != got.BodySHA256 || !cmp.Equal(direct.Trailers, got.Trailers) || direct.ContentLength != got.ContentLength {
			t.Errorf("%s: %+v arrives as %+v", name, direct, got)
		}
	}
}

// asks is a chat for a model that fails where it comes with a key.
func asks(model, key string) request {
	r := request{
		method: http.MethodPost, path: "/v1/chat/completions",
		body:    strings.NewReader(fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":"hello"}]}`, model)),
		headers: []header{{"content-type", "application/json"}},
	}
	if key != "" {
		r.headers = append(r.headers, header{"mock-for-key", key}, header{"mock-status", "503"})
	}
	return r
}

// TestEditsOfSeveral: edits of upstreams that stand in for each other, and of keys, lose no request.
func TestEditsOfSeveral(t *testing.T) {
	t.Parallel()
	a, _ := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	b, _ := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	edited := func(n int) string {
		return fmt.Sprintf(`
clients: [{name: alice, keys: [%s]}]
upstreams:
  - {name: a, url: %q, keys: [%s], connect_timeout: %ds}
  - {name: b, url: %q, keys: [%s], connect_timeout: %ds}
routes: [{prefix: /, upstreams: [{name: a, weight: 1}, {name: b, weight: %d}]}]
`, clientKey, a, upstreamKey, 1+n%3, b, upstreamKey, 1+n%2, n%3)
	}
	g := launch(t, edited(0))
	l := startLoad(t, g.url+"/echo", 4)
	for n := 1; n <= 20; n++ {
		g.edit(t, edited(n), n%2 == 0)
		g.await(t, "a new configuration is in force", n)
	}
	l.end(t, 100)
}

// TestAttemptsOutliveServe: what is under way when `tollgate serve` dies has its answer, also where attempts
// were prepared there, and where they may have to be.
func TestAttemptsOutliveServe(t *testing.T) {
	t.Parallel()
	url, upstream := mocktest.Start(t, mock.Options{Keys: []string{keyA, keyB}})
	g := launch(t, fmt.Sprintf(`
clients: [{name: alice, keys: [%s]}]
upstreams: [{name: a, url: %q, keys: [%s, %s]}, {name: b, url: %q, keys: [%s]}]
routes: [{prefix: /keys, upstream: a}, {prefix: /several, upstreams: [{name: b}, {name: a}]}]
`, clientKey, url, keyA, keyB, url, keyB))
	var clients sync.WaitGroup
	for _, prefix := range []string{"/keys", "/several"} {
		for range 5 {
			clients.Go(func() {
				r := below(prefix, asks("m", ""))
				r.headers = append(r.headers, header{"mock-delay", "2s"})
				if got := (side{g.url, clientKey}).do(t, r); got.Status != http.StatusOK {
					t.Errorf("%s: a client got %d %s", prefix, got.Status, got.Body)
				}
			})
		}
	}
	eventually(t, "all are under way", func() bool { return len(upstream.Requests()) == 10 })
	if err := syscall.Kill(g.child(t, "serve"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	clients.Wait()
}
