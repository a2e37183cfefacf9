package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

const bobsKey = "fk-bob-0123456789"

// cached is a gateway with a cache, in front of one upstream that two clients can reach.
func cached(t *testing.T, cache, rest string) (*gateway, *mock.Server) {
	t.Helper()
	url, upstream := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	return launch(t, fmt.Sprintf(`
clients: [{name: alice, keys: [%s]}, {name: bob, keys: [%s]}]
upstreams: [{name: openai, url: %q, keys: [%s]}]
routes: [{prefix: /, upstream: openai, cache: {%s}}]
telemetry: {usage: true, access_log: access.log}
retry: {attempts: 1}
%s`, clientKey, bobsKey, url, upstreamKey, cache, rest)), upstream
}

// question is a chat, as a stream or not; more are members of its body.
func question(text string, stream bool, more ...string) string {
	return fmt.Sprintf(`{"model":"gpt-4o","stream":%t,%s"messages":[{"role":"user","content":%q}]}`, stream, strings.Join(append(more, ""), ","), text)
}

// hit asks until the answer comes from the cache: an answer is kept just after it was sent.
func (s side) hit(t *testing.T, r func() request) seen {
	t.Helper()
	var got seen
	eventually(t, "the cache answers", func() bool {
		got = s.do(t, r())
		return strings.HasPrefix(got.Header.Get("cache-status"), "tollgate; hit; ttl=")
	})
	return got
}

// TestCacheHits has every shape of answer from the cache byte for byte as it came from the upstream,
// whether calls are shared or not.
func TestCacheHits(t *testing.T) {
	t.Parallel()
	for name, collapse := range map[string]bool{"shared calls": true, "calls of their own": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g, upstream := cached(t, fmt.Sprintf("collapse: %t", collapse), "")
			alice := side{g.url, clientKey}
			tools := `"tools":[{"type":"function","function":{"name":"a"}},{"type":"function","function":{"name":"b"}}]`
			for name, test := range map[string]struct {
				path, body string
				headers    []header
			}{
				"chat":              {"/v1/chat/completions", question("1", false), nil},
				"chat stream":       {"/v1/chat/completions", question("1s", true), nil},
				"with usage":        {"/v1/chat/completions", question("2", true, `"stream_options":{"include_usage":true}`), nil},
				"tools":             {"/v1/chat/completions", question("3", false, tools), nil},
				"tools stream":      {"/v1/chat/completions", question("4", true, tools), nil},
				"several choices":   {"/v1/chat/completions", question("5", true, `"n":3`), nil},
				"gzip":              {"/v1/chat/completions", question("6", false), []header{{"mock-encoding", "gzip"}, {"accept-encoding", "gzip"}}},
				"completions":       {"/v1/completions", `{"model":"m","prompt":"a"}`, nil},
				"completion stream": {"/v1/completions", `{"model":"m","prompt":"a b","stream":true}`, nil},
				"embeddings":        {"/v1/embeddings", `{"model":"m","input":["a","b"]}`, nil},
				"responses":         {"/v1/responses", `{"model":"m","input":"a"}`, nil},
				"response stream":   {"/v1/responses", `{"model":"m","input":"b","stream":true}`, nil},
			} {
				send := func() request { return post(test.path, test.body, test.headers...) }
				first := alice.do(t, send())
				if status := first.Header.Get("cache-status"); status != "tollgate; fwd=uri-miss" || first.Status != http.StatusOK {
					t.Errorf("%s: at first %d, and cache-status is %q", name, first.Status, status)
				}
				asked := len(upstream.Requests())
				got := alice.hit(t, send)
				if collapse && len(upstream.Requests()) != asked {
					t.Errorf("%s: the upstream was asked again", name)
				}
				if name == "gzip" { // the first is packed, the second is what was in it
					if !strings.Contains(got.Body, "The mock answers: 6") || got.Header.Get("content-encoding") != "" {
						t.Errorf("%s: from the cache comes %v %q", name, got.Header, got.Body)
					}
					continue
				}
				if diff := cmp.Diff(first.Body, got.Body); diff != "" {
					t.Errorf("%s: from the cache it is different:\n%s", name, diff)
				}
				if got.Header.Get("age") == "" || got.Header.Get("content-type") != first.Header.Get("content-type") {
					t.Errorf("%s: from the cache its headers are %v", name, got.Header)
				}
			}
		})
	}
}

// TestCacheForms has a stream answered from what was kept of a plain answer, and the other way round.
func TestCacheForms(t *testing.T) {
	t.Parallel()
	g, upstream := cached(t, "scope: route", "")
	alice, bob := side{g.url, clientKey}, side{g.url, bobsKey}
	for _, streamFirst := range []bool{true, false} {
		text := fmt.Sprint("asked as a stream at first: ", streamFirst)
		usage := `"stream_options":{"include_usage":true}`
		alice.do(t, post("/v1/chat/completions", question(text, streamFirst, usage)))
		asked := len(upstream.Requests())
		got := bob.hit(t, func() request { return post("/v1/chat/completions", question(text, !streamFirst, usage)) })
		if len(upstream.Requests()) != asked {
			t.Errorf("the upstream was asked for the other form")
		}
		isStream := strings.HasPrefix(got.Header.Get("content-type"), "text/event-stream")
		if isStream == streamFirst || isStream != strings.HasSuffix(got.Body, "data: [DONE]\n\n") {
			t.Errorf("in the other form it is %v %q", got.Header, got.Body)
		}
		if !strings.Contains(got.Body, `"total_tokens"`) {
			t.Errorf("its usage is lost: %s", got.Body)
		}
	}
}

// TestCacheKeepsNothingBroken: what is not whole or not a success is never answered again.
func TestCacheKeepsNothingBroken(t *testing.T) {
	t.Parallel()
	for name, collapse := range map[string]bool{"shared calls": true, "calls of their own": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g, upstream := cached(t, fmt.Sprintf("collapse: %t", collapse), "")
			alice := side{g.url, clientKey}
			for _, stream := range []bool{false, true} {
				for _, order := range []header{
					{"mock-status", "500"},
					{"mock-status", "429"},
					{"mock-status", "400"},
					{"mock-status", "201"},
					{"mock-break", "after-headers"},
					{"mock-break", "mid-body"},
					{"mock-break", "mid-event"},
					{"mock-break", "reset"},
					{"mock-garble", "chunk"},
					{"mock-garble", "too-long"},
					{"mock-garble", "too-short"},
					{"mock-garble", "half"},
					{"mock-garble", "noise"},
				} {
					text := fmt.Sprint(order, stream)
					asked := len(upstream.Requests())
					alice.do(t, post("/v1/chat/completions", question(text, stream), order))
					got := alice.do(t, post("/v1/chat/completions", question(text, stream)))
					if n := len(upstream.Requests()) - asked; n != 2 || got.Status != http.StatusOK || got.Header.Get("cache-status") != "tollgate; fwd=uri-miss" {
						t.Errorf("%s: the upstream was asked %d times, then the answer is %d %v", text, n, got.Status, got.Header)
					}
				}
			}
		})
	}
}

// TestCacheTenants: what one client is answered, another does not see, unless the route says so.
func TestCacheTenants(t *testing.T) {
	t.Parallel()
	url, upstream := mocktest.Start(t, mock.Options{})
	g := launch(t, fmt.Sprintf(`
clients: [{name: alice, keys: [%s]}, {name: bob, keys: [%s]}]
upstreams: [{name: openai, url: %q}]
routes:
  - {prefix: /each, upstream: openai, auth: passthrough, cache: {}}
  - {prefix: /all, upstream: openai, auth: passthrough, cache: {scope: route}}
`, clientKey, bobsKey, url))
	asks := func(prefix, key string) bool {
		before := len(upstream.Requests())
		side{g.url, key}.do(t, post(prefix+"/v1/chat/completions", question("who am I?", false)))
		return len(upstream.Requests()) > before
	}
	for _, step := range []struct {
		prefix, key string
		asks        bool
	}{
		{"/each", clientKey, true},
		{"/each", bobsKey, true},
		{"/each", "sk-carols-own-0123", true},
		{"/each", "sk-daves-own-01234", true},
		{"/each", clientKey, false},
		{"/each", "sk-carols-own-0123", false},
		{"/all", clientKey, true},
		{"/all", bobsKey, false},
		{"/all", "sk-carols-own-0123", true}, // it is the upstream that knows whether this key is good
		{"/all", "sk-daves-own-01234", true},
		{"/all", "sk-carols-own-0123", false},
	} {
		if got := asks(step.prefix, step.key); got != step.asks {
			t.Errorf("%s by %s: the upstream was asked: %t", step.prefix, step.key, got)
		}
	}
}

// TestCacheControl: a client has its way.
func TestCacheControl(t *testing.T) {
	t.Parallel()
	g, upstream := cached(t, "", "")
	alice := side{g.url, clientKey}
	path := "/v1/chat/completions"
	alice.do(t, post(path, question("kept", false)))
	for _, step := range []struct {
		body    string
		header  header
		asks    bool
		status  int
		message string
	}{
		{question("kept", false), header{"cache-control", "no-cache"}, true, 200, "tollgate; fwd=request"},
		{question("kept", false), header{"cache-control", "no-store"}, true, 200, "tollgate; fwd=request"},
		{question("kept", false, `"caching":false`), header{"x-a", "b"}, true, 200, "tollgate; fwd=bypass"},
		{question("kept", false, `"caching":true`), header{"x-a", "b"}, false, 200, "tollgate; hit; ttl="},
		{question("kept", false), header{"cache-control", "only-if-cached"}, false, 200, "tollgate; hit; ttl="},
		{question("not kept", false), header{"cache-control", "only-if-cached"}, false, 504, ""},
		{question("not kept", false), header{"cache-control", "no-store"}, true, 200, "tollgate; fwd=request"},
		{question("not kept", false), header{"cache-control", "only-if-cached"}, false, 504, ""},
	} {
		before := len(upstream.Requests())
		got := alice.do(t, post(path, step.body, step.header))
		if asked := len(upstream.Requests()) > before; asked != step.asks || got.Status != step.status || !strings.HasPrefix(got.Header.Get("cache-status"), step.message) {
			t.Errorf("%s with %v: %d, %q, the upstream was asked: %t", step.body, step.header, got.Status, got.Header.Get("cache-status"), asked)
		}
	}
	// What is meant for the gateway does not go on.
	echo := alice.do(t, post(path, question("elsewhere", false, `"caching":true`)))
	seen := upstream.Requests()[len(upstream.Requests())-1]
	if want := int64(len(question("elsewhere", false))); echo.Status != http.StatusOK || seen.BodyLength != want {
		t.Errorf("the upstream got %d bytes, want %d", seen.BodyLength, want)
	}
}

// TestCacheCommand empties the cache of a running gateway.
func TestCacheCommand(t *testing.T) {
	t.Parallel()
	g, upstream := cached(t, "", "")
	alice := side{g.url, clientKey}
	ask := func() { alice.do(t, post("/v1/chat/completions", question("a", false))) }
	command := func(verb string) string {
		g.args = []string{"cache", verb, "--admin", strings.TrimPrefix(g.admin, "http://")}
		said, err := g.command(t).CombinedOutput()
		if err != nil {
			t.Fatalf("tollgate cache %s: %v: %s", verb, err, said)
		}
		return string(said)
	}
	ask()
	if said := command("stats"); !strings.Contains(said, `"entries":1`) {
		t.Errorf("after one answer the cache has %s", said)
	}
	if said := command("purge"); !strings.Contains(said, `"entries":0`) {
		t.Errorf("once purged the cache has %s", said)
	}
	ask()
	if n := len(upstream.Requests()); n != 2 {
		t.Errorf("the upstream was asked %d times", n)
	}
}

// TestCacheCosts: an answer from the cache is a request, and takes no tokens.
func TestCacheCosts(t *testing.T) {
	t.Parallel()
	g, _ := cached(t, "", "limits: [{requests: 1000/hour}, {tokens: 1000/hour}]\n")
	alice := side{g.url, clientKey}
	ask := func() seen {
		return alice.do(t, post("/v1/chat/completions", question("a b c", false, `"max_tokens":100`)))
	}
	left := func(of string, got seen) string { return got.Header.Get("x-ratelimit-remaining-" + of) }
	tokens := func() string { // an error takes none
		return left("tokens", alice.do(t, post("/v1/chat/completions", question("d e f", false, `"max_tokens":100`), header{"mock-status", "500"})))
	}
	ask()
	if got := ask(); left("requests", got) != "998" || left("tokens", got) != "" {
		t.Errorf("a hit leaves %s requests and %s tokens", left("requests", got), left("tokens", got))
	}
	before := ""
	eventually(t, "the first call is settled", func() bool {
		last := before
		before = tokens()
		return before == last && strings.Contains(g.get(t, g.admin+"/metrics", nil), `tollgate_limit_tokens_total{route="/",what="used"}`)
	})
	for range 5 {
		ask()
	}
	if after := tokens(); after != before {
		t.Errorf("of the tokens %s are left after some hits, and %s before", after, before)
	}
}

// TestCacheInShadow answers nothing from the cache, and says what it would have.
func TestCacheInShadow(t *testing.T) {
	t.Parallel()
	g, upstream := cached(t, "shadow: true", "")
	alice := side{g.url, clientKey}
	eventually(t, "the cache would have answered", func() bool {
		alice.do(t, post("/v1/chat/completions", question("a", false)))
		return strings.Contains(g.get(t, g.admin+"/metrics", nil), `tollgate_cache_requests_total{result="would_hit",route="/"}`)
	})
	if n := len(upstream.Requests()); n < 2 {
		t.Errorf("the upstream was asked %d times", n)
	}
}

// TestCachePace has streams from the cache keep the pace, and end when their client leaves.
func TestCachePace(t *testing.T) {
	t.Parallel()
	g, _ := cached(t, "", "pace: [{events: 50/second, path: /v1/chat}]\n")
	alice := side{g.url, clientKey}
	send := func() request { return post("/v1/chat/completions", question("a", true), header{"mock-events", "30"}) }
	alice.do(t, send())
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	response := alice.send(ctx, t, send())
	if status := response.Header.Get("cache-status"); !strings.HasPrefix(status, "tollgate; hit") {
		t.Fatalf("the cache did not answer: %s", status)
	}
	first := make([]byte, 1<<16)
	n, err := response.Body.Read(first)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(first[:n]), "[DONE]") {
		t.Error("the whole stream came at once")
	}
	rest, err := io.ReadAll(response.Body)
	if err != nil || !strings.HasSuffix(string(rest), "data: [DONE]\n\n") {
		t.Errorf("it ends with %q, %v", rest, err)
	}
}
