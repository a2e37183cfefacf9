package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

const chatStream = `{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"Grüße"}]}`

// chunked hides how long a body is.
func chunked(body string) io.Reader { return io.MultiReader(strings.NewReader(body)) }

// inEachMode runs a test with a gateway for each way in which Envoy shows requests and answers to
// Tollgate: a client sees no difference.
func inEachMode(t *testing.T, test func(t *testing.T, direct, through side)) {
	url, _ := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	direct := side{url, upstreamKey}
	const bob = "clients: [{name: alice, keys: [" + clientKey + "]}, {name: bob, keys: [fk-bob-0123456789], models: [o3]}]\n"
	upstream := fmt.Sprintf("upstreams: [{name: openai, url: %q, keys: [%s]}]\n", url, upstreamKey)
	const route, tap, pace = "routes: [{prefix: /, upstream: openai}]\n", "telemetry: {usage: true}\n", "pace: [{events: 100000/second}]\n"
	for name, yaml := range map[string]string{
		"headers":          oneRoute(url),
		"headers and tap":  oneRoute(url) + tap,
		"requests":         bob + upstream + route,
		"requests and tap": bob + upstream + route + tap,
		"answers":          oneRoute(url) + pace,
		"everything":       bob + upstream + route + tap + pace,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, direct, side{start(t, yaml), clientKey})
		})
	}
}

// TestSameBytes sends requests of all kinds both ways. /echo tells what arrived, so what the gateway
// changes on the way in shows as well as what it changes on the way out.
func TestSameBytes(t *testing.T) {
	t.Parallel()
	inEachMode(t, sameBytes)
}

func sameBytes(t *testing.T, direct, through side) {
	text := func(s string) func() io.Reader { return func() io.Reader { return strings.NewReader(s) } }
	none := func() io.Reader { return nil }
	zip := header{"mock-encoding", "gzip"}
	tests := map[string]struct {
		method, path string
		body         func() io.Reader
		headers      []header
	}{
		"plain":             {"GET", "/echo", none, nil},
		"query":             {"GET", "/echo/a?b=c&b=d&&e=%20+%2B&f=%C3%A9&g[]=1;h|i{}'\"", none, nil},
		"empty query":       {"GET", "/echo/a?", none, nil},
		"question in query": {"GET", "/echo/a?b=c?d=/e//f/../g/", none, nil},
		"escaped slash":     {"GET", "/echo/models/meta%2Fllama%2fb", none, nil},
		"other escapes":     {"GET", "/echo/a%20b%3Fc%23d%25e%E4%B8%96", none, nil},
		"odd characters":    {"GET", "/echo/a:b@c;d=e,f$g!h*i(j)~k'l+m", none, nil},
		"post":              {"POST", "/echo/a", text(`{"a": "Grüße"}`), []header{{"content-type", "application/json"}}},
		"post of nothing":   {"POST", "/echo/a", text(""), nil},
		"chunked":           {"POST", "/echo/a", func() io.Reader { return chunked("some text") }, nil},
		"a megabyte":        {"POST", "/echo/a", text(strings.Repeat("0123456789abcdef", 1<<16)), nil},
		"five megabytes": {"POST", "/v1/chat/completions", func() io.Reader {
			return chunked(`{"model":"m","messages":[{"role":"user","content":"` + strings.Repeat("a", 5<<20) + `"}]}`)
		}, nil},
		"not what it says":      {"POST", "/v1/chat/completions", text("{"), nil},
		"every byte":            {"POST", "/echo/a", text(string(everyByte())), nil},
		"put":                   {"PUT", "/echo/a", text("x"), nil},
		"patch":                 {"PATCH", "/echo/a", text("x"), nil},
		"delete":                {"DELETE", "/echo/a", none, nil},
		"delete with a body":    {"DELETE", "/echo/a", text("x"), nil},
		"get with a body":       {"GET", "/echo/a", text("x"), nil},
		"head":                  {"HEAD", "/echo/a", none, nil},
		"repeated headers":      {"GET", "/echo/a", none, []header{{"x-a", "1"}, {"x-a", "2"}, {"x-a", ""}, {"accept", "a, b"}}},
		"long header":           {"GET", "/echo/a", none, []header{{"x-a", strings.Repeat("a", 20_000)}}},
		"openai's headers":      {"GET", "/echo/a", none, []header{{"openai-organization", "o"}, {"openai-project", "p"}, {"openai-beta", "assistants=v2"}, {"x-stainless-lang", "go"}, {"anthropic-version", "2023-06-01"}}},
		"cookies":               {"GET", "/echo/a", none, []header{{"cookie", "a=b; c=d"}}},
		"referer":               {"GET", "/echo/a", none, []header{{"referer", "https://example.com/a"}}},
		"request id":            {"GET", "/echo/a", none, []header{{"x-request-id", "mine"}, {"traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}}},
		"answer's headers":      {"GET", "/echo/a", none, []header{{"mock-header", "x-a: 1"}, {"mock-header", "x-a: 2"}, {"mock-header", "set-cookie: a=b"}, {"mock-header", "set-cookie: c=d"}}},
		"rate headers":          {"GET", "/echo/a", none, []header{{"mock-header", "x-ratelimit-remaining-requests: 59"}, {"mock-header", "retry-after: 7"}, {"mock-header", "server: upstream"}, {"mock-header", "openai-processing-ms: 12"}}},
		"redirect":              {"GET", "/echo/a", none, []header{{"mock-status", "307"}, {"mock-header", "location: /elsewhere"}}},
		"gzip":                  {"GET", "/echo/a", none, []header{zip, {"accept-encoding", "gzip, br"}}},
		"gzip stream":           {"POST", "/v1/chat/completions", text(chatStream), []header{zip}},
		"binary":                {"POST", "/v1/audio/speech", text(`{"input":"a"}`), []header{{"mock-size", "1000000"}}},
		"binary of nothing":     {"POST", "/v1/audio/speech", text(`{"input":"a"}`), []header{{"mock-size", "0"}}},
		"stream":                {"POST", "/v1/chat/completions", text(chatStream), []header{{"mock-events", "300"}}},
		"anthropic stream":      {"POST", "/v1/messages", text(chatStream), nil},
		"trailers":              {"GET", "/echo/a", none, []header{{"mock-trailers", "x-a: 1"}, {"mock-trailers", "x-b: 2"}}},
		"trailers of a stream":  {"POST", "/v1/chat/completions", text(chatStream), []header{{"mock-trailers", "x-a: 1"}}},
		"model with a slash":    {"GET", "/v1/models/meta%2Fllama", none, nil},
		"model as two segments": {"GET", "/v1/models/meta/llama", none, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			same(t, direct, through, func() request {
				return request{method: test.method, path: test.path, body: test.body(), headers: test.headers}
			})
		})
	}
}

// TestSameStatuses answers with every usual status, plain and as a stream.
func TestSameStatuses(t *testing.T) {
	t.Parallel()
	inEachMode(t, sameStatuses)
}

func sameStatuses(t *testing.T, direct, through side) {
	for _, status := range []int{200, 201, 202, 204, 206, 301, 304, 400, 401, 402, 403, 404, 405, 408, 409, 410, 413, 415, 418, 422, 429, 431, 500, 501, 502, 503, 504, 529} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			t.Run(fmt.Sprint(method, " ", status), func(t *testing.T) {
				same(t, direct, through, func() request {
					return request{method: method, path: "/v1/models", headers: []header{{"mock-status", strconv.Itoa(status)}}}
				})
			})
		}
	}
}

// TestSameTrailers sends trailers to the upstream.
func TestSameTrailers(t *testing.T) {
	t.Parallel()
	inEachMode(t, func(t *testing.T, direct, through side) {
		same(t, direct, through, func() request {
			return request{method: "POST", path: "/echo/a", body: chunked("abc"), trailers: http.Header{"X-Sum": {"1"}}}
		})
	})
}

// TestSameButForFraming is for what each hop says for itself: that there is no body, that it waits
// for leave to send one.
func TestSameButForFraming(t *testing.T) {
	t.Parallel()
	inEachMode(t, sameButForFraming)
}

func sameButForFraming(t *testing.T, direct, through side) {
	for _, r := range []request{
		{method: "OPTIONS", path: "/echo/a"},
		{method: "PURGE", path: "/echo/a"},
		{method: "POST", path: "/echo/a", body: strings.NewReader("abc"), headers: []header{{"expect", "100-continue"}}},
	} {
		t.Run(r.method, func(t *testing.T) {
			want := direct.echo(t, r)
			if again, ok := r.body.(io.Seeker); ok {
				_, _ = again.Seek(0, io.SeekStart) // in memory
			}
			got := through.echo(t, r)
			for _, echo := range []mock.Echo{want, got} {
				delete(echo.Headers, "content-length")
				delete(echo.Headers, "expect")
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func everyByte() []byte {
	var all bytes.Buffer
	for i := range 256 {
		all.WriteByte(byte(i))
	}
	return all.Bytes()
}
