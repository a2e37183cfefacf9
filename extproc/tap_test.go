package extproc_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"tollgate/config"
	"tollgate/extproc"
	"tollgate/extproc/exchange"
	"tollgate/extproc/openai"
	"tollgate/test/envoytest"
	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

// heard is all that a listener heard of one call.
type heard struct {
	call    *exchange.Call
	request *openai.Request
	events  int
	answer  *openai.Answer
	end     exchange.End
	times   int // that Done was called
}

// ear collects calls, and hands each out when it is done.
type ear struct{ done chan *heard }

func newEar() *ear { return &ear{done: make(chan *heard, 1000)} }

func (e *ear) observe(_ *config.Route, call *exchange.Call) extproc.Listener {
	return &listening{ear: e, heard: &heard{call: call}}
}

type listening struct {
	ear   *ear
	heard *heard
}

func (l *listening) Asked(request *openai.Request) { l.heard.request = request }
func (l *listening) Event(*openai.Event)           { l.heard.events++ }
func (l *listening) Words() bool                   { return true }
func (l *listening) Done(answer *openai.Answer, end exchange.End) {
	l.heard.answer, l.heard.end = answer, end
	l.heard.times++
	l.ear.done <- l.heard
}

// next waits for the next call that is done.
func (e *ear) next(t *testing.T) *heard {
	t.Helper()
	select {
	case h := <-e.done:
		return h
	case <-time.After(20 * time.Second):
		t.Fatal("no call was done")
		return nil
	}
}

// tapped runs a real Envoy with the gate and a tap, before the mock upstream.
func tapped(t *testing.T) (url string, e *ear) {
	t.Helper()
	e = newEar()
	gate := extproc.NewGate(extproc.Options{Log: zap.NewNop(), Observe: []func(*config.Route, *exchange.Call) extproc.Listener{e.observe}})
	upstream, _ := mocktest.Start(t, mock.Options{})
	running := envoytest.Start(t, gate, fmt.Sprintf(`
clients: [{name: alice, keys: [%s]}]
upstreams: [{name: up, url: %q, keys: [%s]}]
routes: [{prefix: /api, upstream: up}]
chat_log: {}
`, client, upstream, real))
	return running.URL + "/api", e
}

// post sends a chat, and returns the answer with its body still to be read.
func post(ctx context.Context, t *testing.T, url, body string, headers ...string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+client)
	request.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := (&http.Transport{DisableCompression: true}).RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

const question = `{"model":"gpt-4o","messages":[{"role":"user","content":"hello"}]%s}`

func TestTapHears(t *testing.T) {
	t.Parallel()
	url, e := tapped(t)
	tests := map[string]struct {
		path, body string
		headers    []string
		check      func(h *heard) bool
	}{
		"a plain answer": {"/v1/chat/completions", fmt.Sprintf(question, ""), nil, func(h *heard) bool {
			return h.end.Cause == exchange.Whole && h.answer.Finished && h.answer.Choices[0].Text != "" && h.answer.Usage != nil && h.end.Events == 0
		}},
		"a stream": {"/v1/chat/completions", fmt.Sprintf(question, `,"stream":true`), []string{"mock-events", "20"}, func(h *heard) bool {
			return h.end.Cause == exchange.Whole && h.answer.Finished && h.answer.Choices[0].Text != "" && h.events >= 20 && h.request.Stream
		}},
		"a stream in gzip": {"/v1/chat/completions", fmt.Sprintf(question, `,"stream":true`), []string{"mock-encoding", "gzip"}, func(h *heard) bool {
			return h.end.Cause == exchange.Whole && h.answer.Finished && h.answer.Choices[0].Text != ""
		}},
		"an error": {"/v1/chat/completions", fmt.Sprintf(question, ""), []string{"mock-status", "429"}, func(h *heard) bool {
			return h.end.Status == 429 && len(h.answer.Error) > 0
		}},
		"a refusal": {"/v1/chat/completions", fmt.Sprintf(question, ""), []string{"Authorization", "Bearer another"}, func(h *heard) bool {
			return h.end.Cause == exchange.Refused && h.end.Status == 401 && h.end.Code == "invalid_api_key" && h.call.Client == ""
		}},
	}
	for name, test := range tests { // one after the other: whatever is heard belongs to the one just sent
		response := post(t.Context(), t, url+test.path, test.body, test.headers...)
		if _, err := io.ReadAll(response.Body); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		h := e.next(t)
		if h.call.Path != "/v1/chat/completions" || h.call.Route != "/api" || h.call.ID == "" || h.times != 1 || !test.check(h) {
			t.Errorf("%s: heard %+v\ncall %+v\nanswer %+v", name, h, h.call, h.answer)
		}
		if h.end.Cause != exchange.Refused && (h.request == nil || h.request.Model != "gpt-4o" || h.call.Client != "alice") {
			t.Errorf("%s: heard the request %+v of %q", name, h.request, h.call.Client)
		}
	}
}

// TestTapHearsCuts: an answer that breaks off is heard as far as it came, whoever broke it off.
func TestTapHearsCuts(t *testing.T) {
	t.Parallel()
	url, e := tapped(t)
	body := fmt.Sprintf(question, `,"stream":true`)

	response := post(t.Context(), t, url+"/v1/chat/completions", body, "mock-break", "mid-body", "mock-events", "10")
	_, _ = io.ReadAll(response.Body)
	if h := e.next(t); h.end.Cause != exchange.Cut || h.events == 0 || h.answer.Finished {
		t.Errorf("the upstream broke off, and the tap heard %+v", h)
	}

	ctx, leave := context.WithCancel(t.Context())
	response = post(ctx, t, url+"/v1/chat/completions", body, "mock-interval", "50ms", "mock-events", "1000")
	if _, err := io.ReadFull(response.Body, make([]byte, 200)); err != nil {
		t.Fatal(err)
	}
	leave()
	if h := e.next(t); h.end.Cause != exchange.Cut || h.events == 0 || h.answer.Finished {
		t.Errorf("the client left, and the tap heard %+v", h)
	}
}
