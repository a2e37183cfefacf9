package e2e

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/test/mock"
)

// patience bounds every exchange in these tests.
const patience = time.Minute

// request is what a test sends. The path goes out byte by byte as it stands.
type request struct {
	method, path string
	body         io.Reader // a reader of unknown length goes out chunked
	length       int64     // the body's, where its reader does not tell
	headers      []header
	trailers     http.Header
}

type header struct{ name, value string }

// seen is all that a client sees of an answer, but for the time of day.
type seen struct {
	Status           int
	Proto            string
	Header, Trailer  http.Header
	ContentLength    int64
	TransferEncoding []string
	Body             string
	Err              string // how the body ended, if not well
}

// newClient makes a client that changes nothing: no retries on kept connections, no unpacking.
func newClient(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// send sends a request and returns the answer with its body still to be read.
func (s side) send(ctx context.Context, t *testing.T, r request) *http.Response {
	t.Helper()
	return s.sendBy(ctx, t, newClient(t), r)
}

func (s side) sendBy(ctx context.Context, t *testing.T, client *http.Client, r request) *http.Response {
	t.Helper()
	out, err := s.outgoing(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(out)
	if err != nil {
		t.Fatalf("%s %s: %v", r.method, r.path, err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

// outgoing is a request as it is sent.
func (s side) outgoing(ctx context.Context, r request) (*http.Request, error) {
	out, err := http.NewRequestWithContext(ctx, r.method, s.url, r.body)
	if err != nil {
		return nil, err
	}
	path, query, asked := strings.Cut(r.path, "?")
	out.URL = &url.URL{Scheme: out.URL.Scheme, Host: out.URL.Host, Opaque: path, RawQuery: query, ForceQuery: asked}
	if strings.HasPrefix(path, "//") { // an opaque one would be read as a host
		out.URL.Opaque, out.URL.Path = "", path
	}
	if s.key != "" {
		out.Header.Set("authorization", "Bearer "+s.key)
	}
	for _, h := range r.headers {
		out.Header[http.CanonicalHeaderKey(h.name)] = append(out.Header.Values(h.name), h.value)
	}
	out.Trailer = r.trailers
	if r.length != 0 {
		out.ContentLength = r.length
	}
	return out, nil
}

// do sends a request and reads the whole answer.
func (s side) do(t *testing.T, r request) seen {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	client := newClient(t)
	defer client.CloseIdleConnections() // else thousands of requests keep as many connections
	response := s.sendBy(ctx, t, client, r)
	body, err := io.ReadAll(response.Body)
	got := seen{
		Status: response.StatusCode, Proto: response.Proto, Header: response.Header, Trailer: response.Trailer,
		ContentLength: response.ContentLength, TransferEncoding: response.TransferEncoding, Body: string(body),
	}
	if err != nil {
		got.Err = err.Error()
	}
	got.Header.Del("date")
	return got
}

// echo asks /echo, or what leads there, what arrived.
func (s side) echo(t *testing.T, r request) mock.Echo {
	t.Helper()
	got := s.do(t, r)
	var echo mock.Echo
	if err := json.Unmarshal([]byte(got.Body), &echo); err != nil || got.Status != http.StatusOK {
		t.Fatalf("%s %s: %d %s, %v", r.method, r.path, got.Status, got.Body, err)
	}
	return echo
}

// isError wants an error in OpenAI's shape, from the one that names itself so.
func (s seen) isError(t *testing.T, status int, code, who string) {
	t.Helper()
	var body struct {
		Error map[string]any `json:"error"`
	}
	if err := json.Unmarshal([]byte(s.Body), &body); err != nil {
		t.Fatalf("no JSON: %d %q: %v", s.Status, s.Body, err)
	}
	message, _ := body.Error["message"].(string)
	kind, _ := body.Error["type"].(string)
	if _, has := body.Error["param"]; !has || len(body.Error) != 4 || kind == "" {
		t.Errorf("not in OpenAI's shape: %s", s.Body)
	}
	if s.Status != status || body.Error["code"] != code || !strings.HasPrefix(message, who+": ") {
		t.Errorf("got %d %s, want %d with the code %s from %s", s.Status, s.Body, status, code, who)
	}
	if got := s.Header.Get("content-type"); got != "application/json" {
		t.Errorf("content-type is %q", got)
	}
}

// same wants both sides to answer alike.
func same(t *testing.T, direct, through side, r func() request) {
	t.Helper()
	if diff := cmp.Diff(direct.do(t, r()), through.do(t, r())); diff != "" {
		t.Errorf("through the gateway it is different (- direct, + through):\n%s", diff)
	}
}
