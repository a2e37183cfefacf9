package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"tollgate/test/envoytest"
	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

// framed are requests whose framing is wrong, doubtful or without end, and what they are answered. After the
// key's header comes what stands here.
func framed() map[string]struct {
	head, body string
	status     int // 0: as bare Envoy answers
} {
	const chunked = "transfer-encoding: chunked\r\n"
	many := ""
	for n := range 150 {
		many += fmt.Sprintf("x-%d: 1\r\n", n)
	}
	smuggled := "GET /echo/smuggled HTTP/1.1\r\nhost: b\r\n\r\n"
	return map[string]struct {
		head, body string
		status     int
	}{
		"length and chunks":       {"content-length: 6\r\n" + chunked, "0\r\n\r\n" + smuggled, 400},
		"chunks and length":       {chunked + "content-length: 6\r\n", "0\r\n\r\n" + smuggled, 400},
		"two lengths":             {"content-length: 6\r\ncontent-length: 0\r\n", "abcdef" + smuggled, 400},
		"a list of lengths":       {"content-length: 6, 6\r\n", "abcdef", 400},
		"a negative length":       {"content-length: -6\r\n", "abcdef", 400},
		"a length with a sign":    {"content-length: +6\r\n", "abcdef", 400},
		"a hexadecimal length":    {"content-length: 0x6\r\n", "abcdef", 400},
		"a length beyond numbers": {"content-length: 99999999999999999999\r\n", "abcdef", 400},
		"two encodings":           {chunked + "transfer-encoding: identity\r\n", "0\r\n\r\n" + smuggled, 501},
		"chunked, then another":   {"transfer-encoding: chunked, identity\r\n", "0\r\n\r\n" + smuggled, 501},
		"an encoding like it":     {"transfer-encoding: xchunked\r\n", "0\r\n\r\n" + smuggled, 501},
		"a space before a colon":  {"transfer-encoding : chunked\r\n", "0\r\n\r\n" + smuggled, 400},
		"a vertical tab":          {"transfer-encoding: \vchunked\r\n", "0\r\n\r\n" + smuggled, 400},
		"a folded encoding":       {"transfer-encoding:\r\n chunked\r\n", "0\r\n\r\n", 0},
		"a folded header":         {"x-a: b\r\n c\r\n", "", 0},
		"a bare CR":               {"x-a: b\rc\r\n", "", 0},
		"a null byte":             {"x-a: b\x00c\r\n", "", 400},
		"no colon":                {"x-a\r\n", "", 400},
		"a space in a name":       {"x a: b\r\n", "", 400},
		"an underscore in a name": {"api_key: b\r\n", "", 400},
		"a second host":           {"host: b\r\n", "", 0},
		"a negative chunk":        {chunked, "-1\r\na\r\n0\r\n\r\n" + smuggled, 400},
		"no number of a chunk":    {chunked, "zz\r\na\r\n0\r\n\r\n" + smuggled, 400},
		"a chunk with a 0x":       {chunked, "0x3\r\nabc\r\n0\r\n\r\n" + smuggled, 400},
		"a chunk beyond numbers":  {chunked, "fffffffffffffffff\r\na\r\n0\r\n\r\n" + smuggled, 400},
		"a chunk's bare LF":       {chunked, "3\nabc\n0\n\n" + smuggled, 400},
		"a chunk that is longer":  {chunked, "3\r\nabcde\r\n0\r\n\r\n", 0},
		"a huge header":           {"x-a: " + strings.Repeat("a", 70_000) + "\r\n", "", 431},
		"a header without end":    {"x-a: " + strings.Repeat("a", 1<<20), "", 431},
		"too many headers":        {many, "", 431},
	}
}

// TestFraming: what can be read in two ways, or has no end, is refused in OpenAI's shape, and nothing hides in it:
// what bare Envoy does not let through this gateway does not.
func TestFraming(t *testing.T) {
	t.Parallel()
	url, upstream := mocktest.Start(t, mock.Options{})
	gateway := start(t, oneRoute(url))
	bareURL, bareUpstream := mocktest.Start(t, mock.Options{})
	bare := envoytest.StartBare(t, bareURL, envoytest.Certificate{})
	for name, test := range framed() {
		raw := "POST /echo HTTP/1.1\r\nhost: a\r\nauthorization: Bearer " + clientKey + "\r\n" + test.head + "\r\n" + test.body
		before, bareBefore := len(upstream.Requests()), len(bareUpstream.Requests())
		got, want := exchangeRaw(t, gateway, raw), exchangeRaw(t, bare.URL, raw)
		passed, barePassed := len(upstream.Requests())-before, len(bareUpstream.Requests())-bareBefore
		switch {
		case passed > barePassed:
			t.Errorf("%s: %d requests reached the upstream, and %d from bare Envoy", name, passed, barePassed)
		case test.status == 0 && got.Status != want.Status:
			t.Errorf("%s: got %d, and %d from bare Envoy", name, got.Status, want.Status)
		case test.status > 0:
			got.isError(t, test.status, map[int]string{400: "bad_request", 431: "headers_too_large", 501: "bad_request"}[test.status], "Envoy")
		}
		if t.Failed() {
			t.Fatalf("%s: %+v", name, got)
		}
	}
	for _, r := range upstream.Requests() {
		if strings.Contains(r.URI, "smuggled") {
			t.Errorf("the upstream got %s %s", r.Method, r.URI)
		}
	}
	got := exchangeRaw(t, gateway, "CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n")
	got.isError(t, http.StatusNotFound, "unknown_route", "Tollgate")
}

// exchangeRaw sends bytes as they are, and reads one answer.
func exchangeRaw(t *testing.T, url, raw string) seen {
	t.Helper()
	connection, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	if err := connection.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.WriteString(connection, raw) }() // which need not be read to its end
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		t.Fatalf("no answer to %.200q: %v", raw, err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("half an answer to %.200q: %v", raw, err)
	}
	return seen{Status: response.StatusCode, Header: response.Header, Body: string(body)}
}

// TestLargeBodies: a body beyond the bound is refused, whether it says its length or has no end, on routes whose
// bodies the gate reads and on others; a route can have a bound of its own, and a WebSocket has none.
func TestLargeBodies(t *testing.T) {
	t.Parallel()
	url, _ := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	g := newGateway(t)
	g.write(t, "tollgate.yaml", strings.Replace(g.addresses, `listener: {`, `listener: {max_body_bytes: 100000, `, 1)+fmt.Sprintf(`
clients: [{name: alice, keys: [%s]}]
upstreams: [{name: openai, url: %q, keys: [%s]}]
routes:
  - {prefix: /, upstream: openai}
  - {prefix: /read, upstream: openai, limits: [{requests: 100000/hour, models: ["*"]}]}
  - {prefix: /large, upstream: openai, max_body_bytes: 80000000}
  - {prefix: /read/large, upstream: openai, max_body_bytes: 80000000, limits: [{requests: 100000/hour, models: ["*"]}]}
`, clientKey, url, upstreamKey))
	g.args = []string{"run"}
	g.start(t)
	alice := side{g.url, clientKey}
	for _, test := range []struct {
		path   string
		size   int64
		status int
		who    string
	}{
		{"/echo", 100_000, 200, ""},
		{"/echo", 100_001, 413, "Envoy"},
		{"/read/echo", 100_000, 200, ""},
		{"/read/echo", 100_001, 413, "Envoy"},
		{"/large/echo", 79_000_000, 200, ""},
		{"/large/echo", 80_000_001, 413, "Envoy"},
		{"/read/large/echo", 64 << 20, 200, ""},
		{"/read/large/echo", 64<<20 + 1, 413, "Tollgate"},
	} {
		for _, length := range []int64{0, test.size} { // chunked, then of a known length
			got := alice.do(t, request{method: "POST", path: test.path, body: io.LimitReader(endless{}, test.size), length: length})
			if test.status == http.StatusOK {
				if got.Status != test.status {
					t.Errorf("%s: %d bytes (%d): got %d %s", test.path, test.size, length, got.Status, got.Body)
				}
				continue
			}
			got.isError(t, test.status, "request_too_large", test.who)
		}
	}
	for _, path := range []string{"/echo", "/read/echo", "/large/echo", "/read/large/echo"} {
		got := alice.do(t, request{method: "POST", path: path, body: endless{}})
		got.isError(t, http.StatusRequestEntityTooLarge, "request_too_large", map[bool]string{false: "Envoy", true: "Tollgate"}[path == "/read/large/echo"])
	}
	echoes(t, g.url, &websocket.DialOptions{Subprotocols: []string{"realtime"}, HTTPHeader: http.Header{"Authorization": {"Bearer " + clientKey}}})
}

// endless is a body without end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'a'
	}
	return len(p), nil
}
