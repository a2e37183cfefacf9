package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

// post is a request with a JSON body.
func post(path, body string, headers ...header) request {
	return request{
		method: http.MethodPost, path: path, body: strings.NewReader(body),
		headers: append(headers, header{"content-type", "application/json"}),
	}
}

// TestModels: a client that may use only some models gets at no other, however a request names it, and
// what it may not have never reaches the upstream.
func TestModels(t *testing.T) {
	t.Parallel()
	url, upstream := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	gateway := start(t, fmt.Sprintf(`
clients: [{name: alice, keys: [%s], models: ["gpt-4o*", o3]}, {name: bob, keys: [fk-bob-0123456789]}]
upstreams: [{name: openai, url: %q, keys: [%s]}]
routes: [{prefix: /, upstream: openai}]
`, clientKey, url, upstreamKey))
	alice, bob := side{gateway, clientKey}, side{gateway, "fk-bob-0123456789"}
	const chat, messages = "/v1/chat/completions", `"messages":[{"role":"user","content":"hello"}]}`
	passes := map[string]request{
		"by name":       post(chat, `{"model":"o3",`+messages),
		"by pattern":    post(chat, `{"model":"gpt-4o-mini","stream":true,`+messages),
		"in the path":   post("/echo/openai/deployments/gpt-4o/chat/completions", `{`+messages),
		"list":          {method: http.MethodGet, path: "/v1/models"},
		"one":           {method: http.MethodGet, path: "/echo/v1/models/gpt-4o"},
		"in the query":  {method: http.MethodGet, path: "/echo/realtime?model=gpt-4o-realtime"},
		"without model": post("/echo/v1/moderations", `{"input":"a"}`),
		"form":          form(t, "/echo/v1/images/edits", "model", "gpt-4o-image"),
	}
	for name, r := range passes {
		if got := alice.do(t, r); got.Status != http.StatusOK {
			t.Errorf("%s: got %d %s", name, got.Status, got.Body)
		}
	}
	before := len(upstream.Requests())
	for name, test := range map[string]struct {
		status int
		code   string
		request
	}{
		"another":              {403, "model_not_allowed", post(chat, `{"model":"gpt-4",`+messages)},
		"another's stream":     {403, "model_not_allowed", post(chat, `{"model":"gpt-4","stream":true,`+messages)},
		"escaped":              {403, "model_not_allowed", post(chat, `{"mod\u0065l":"gpt-4",`+messages)},
		"escaped path":         {403, "model_not_allowed", post("/v1/chat%2Fcompletions", `{"model":"gpt-4",`+messages)},
		"no model":             {403, "model_not_allowed", post(chat, `{`+messages)},
		"in the path":          {403, "model_not_allowed", post("/echo/deployments/gpt-4/chat/completions", `{"model":"gpt-4o",`+messages)},
		"in the escaped path":  {403, "model_not_allowed", post("/echo/deployments%2Fgpt-4/chat/completions", `{"model":"gpt-4o",`+messages)},
		"Gemini's path":        {403, "model_not_allowed", post("/echo/v1beta/models/gemini-pro:generateContent", `{}`)},
		"in the query":         {403, "model_not_allowed", request{method: http.MethodGet, path: "/echo/realtime?model=gpt-4"}},
		"another API":          {403, "model_not_allowed", post("/echo/v1/images/generations", `{"model":"dall-e-3"}`)},
		"a form":               {403, "model_not_allowed", form(t, "/echo/v1/images/edits", "model", "dall-e-3")},
		"a false WebSocket":    {403, "model_not_allowed", post(chat, `{"model":"gpt-4",`+messages, header{"upgrade", "websocket"})},
		"twice":                {400, "ambiguous_model", post(chat, `{"model":"gpt-4","model":"gpt-4o",`+messages)},
		"twice in a form":      {400, "ambiguous_model", form(t, "/echo/v1/images/edits", "model", "gpt-4", "model", "gpt-4o")},
		"in capitals":          {400, "ambiguous_model", post(chat, `{"model":"gpt-4o","Model":"gpt-4",`+messages)},
		"a list":               {400, "ambiguous_model", post(chat, `{"model":["gpt-4"],`+messages)},
		"not JSON":             {400, "unreadable_request", post(chat, `{model:"gpt-4",`+messages)},
		"not JSON, elsewhere":  {400, "unreadable_request", post("/echo/v1/images/generations", `{model:"gpt-4"}`)},
		"encoded":              {415, "encoded_request", post(chat, `xx`, header{"content-encoding", "gzip"})},
		"too large":            {413, "request_too_large", request{method: http.MethodPost, path: chat, body: io.LimitReader(spaces{}, 65<<20)}},
		"another in the chunk": {403, "model_not_allowed", request{method: http.MethodPost, path: chat, body: chunked(`{"model":"gpt-4",` + messages)}},
	} {
		t.Run(name, func(t *testing.T) {
			alice.do(t, test.request).isError(t, test.status, test.code, "Tollgate")
		})
	}
	if seen := upstream.Requests()[before:]; len(seen) > 0 {
		t.Errorf("the upstream saw %d of the refused requests: %v", len(seen), seen[0])
	}
	if got := bob.do(t, post(chat, `{"model":"gpt-4",`+messages)); got.Status != http.StatusOK {
		t.Errorf("bob, who may use all models, got %d", got.Status)
	}
}

// spaces never ends.
type spaces struct{}

func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// form is a request with a multipart body, as for files.
func form(t *testing.T, path string, fields ...string) request {
	t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for pair := range slices.Chunk(fields, 2) {
		if err := w.WriteField(pair[0], pair[1]); err != nil {
			t.Fatal(err)
		}
	}
	file, err := w.CreateFormFile("image", "a.png")
	if err == nil {
		_, err = file.Write(everyByte())
	}
	if err != nil || w.Close() != nil {
		t.Fatal("no form can be written")
	}
	return request{method: http.MethodPost, path: path, body: &body, headers: []header{{"content-type", w.FormDataContentType()}}}
}

// TestInFlight: one more call than may be under way is refused at once, and a place is free again when
// a call has ended, however it did.
func TestInFlight(t *testing.T) {
	t.Parallel()
	url, _ := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	g := launch(t, fmt.Sprintf(`
clients: [{name: alice, keys: [%s], max_in_flight: 2}, {name: bob, keys: [fk-bob-0123456789]}]
upstreams: [{name: openai, url: %q, keys: [%s]}]
routes: [{prefix: /, upstream: openai, max_in_flight: 3}]
telemetry: {usage: true}
`, clientKey, url, upstreamKey))
	alice, bob := side{g.url, clientKey}, side{g.url, "fk-bob-0123456789"}
	var streams sync.WaitGroup
	for range 2 {
		streams.Go(func() {
			if got := alice.do(t, chat(20, "50ms")); got.Status != http.StatusOK {
				t.Errorf("one of two streams got %d", got.Status)
			}
		})
	}
	eventually(t, "two streams are under way", func() bool {
		return strings.Contains(g.get(t, g.admin+"/metrics", nil), `tollgate_calls_in_flight{route="/"} 2`)
	})
	alice.do(t, chat(1, "1ms")).isError(t, http.StatusTooManyRequests, "too_many_in_flight", "Tollgate")
	streams.Go(func() { bob.do(t, chat(20, "50ms")) })
	eventually(t, "three are under way", func() bool {
		return strings.Contains(g.get(t, g.admin+"/metrics", nil), `tollgate_calls_in_flight{route="/"} 3`)
	})
	bob.do(t, chat(1, "1ms")).isError(t, http.StatusTooManyRequests, "too_many_in_flight", "Tollgate")
	streams.Wait()
	for _, how := range []string{"reset", "mid-body", "after-headers"} {
		for range 3 {
			broken := chat(3, "1ms")
			broken.headers = append(broken.headers, header{"mock-break", how})
			eventually(t, "there is a place", func() bool { return bob.do(t, broken).Status != http.StatusTooManyRequests })
		}
	}
	eventually(t, "all places are free", func() bool { return alice.do(t, chat(1, "1ms")).Status == http.StatusOK })
}

// TestAccessLog: Envoy's own log says who asked for which model, on which route and by which call, and
// what a limit that is tried out would have refused.
func TestAccessLog(t *testing.T) {
	t.Parallel()
	url, _ := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	g := newGateway(t)
	path := filepath.Join(g.dir, "access.log")
	g.write(t, "tollgate.yaml", g.addresses+limited(url, fmt.Sprintf(`
routes: [{prefix: /, upstream: openai, limits: [{requests: 1/hour, shadow: true}]}]
telemetry: {usage: true, access_log: %q}
`, path)))
	g.args = []string{"run"}
	g.start(t)
	alice := side{g.url, clientKey}
	alice.do(t, chat(1, "1ms"))
	alice.do(t, chat(1, "1ms"))
	alice.do(t, request{method: http.MethodGet, path: "/v1/models"})
	type line struct{ Call, Client, Model, Shadow, Verdict string }
	var lines []line
	eventually(t, "the access log is written", func() bool {
		written, _ := os.ReadFile(path)
		lines = nil
		for text := range strings.Lines(string(written)) {
			var l line
			if json.Unmarshal([]byte(text), &l) == nil && l.Call != "" {
				lines = append(lines, l)
			}
		}
		return len(lines) == 3
	})
	for i, want := range []line{{Model: "gpt-4o"}, {Model: "gpt-4o", Shadow: "refuse"}, {Shadow: "refuse"}} {
		want.Call, want.Client, want.Verdict = lines[i].Call, "alice", "pass"
		if lines[i] != want {
			t.Errorf("line %d is %+v, want %+v", i+1, lines[i], want)
		}
		g.await(t, lines[i].Call, 1)
	}
	if metrics := g.get(t, g.admin+"/metrics", nil); !strings.Contains(metrics, `tollgate_limit_shadowed_total{route="/"} 2`) {
		t.Error("the metrics do not tell of what a limit would have refused")
	}
}
