package mock_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

const chat = `{"model":"m","messages":[{"role":"user","content":"one two"}]`

// ask sends one request; headers are pairs.
func ask(t *testing.T, method, url, body string, headers ...string) (*http.Response, string, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Add(headers[i], headers[i+1])
	}
	// No idle connections: a request must not be tried again on a new one.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}}
	response, err := client.Do(request)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = response.Body.Close() }()
	got, err := io.ReadAll(response.Body)
	return response, string(got), err
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	url, _ := mocktest.Start(t, mock.Options{})
	tests := map[string]struct {
		method, path, body string
		headers            []string
		status             int
		want               string // a part of the body
	}{
		"chat":                  {"POST", "/v1/chat/completions", chat + "}", nil, 200, `"content":"The mock answers: one two"`},
		"chat events":           {"POST", "/v1/chat/completions", chat + `,"stream":true}`, []string{"mock-events", "2"}, 200, `"delta":{"content":" mock"}`},
		"chat usage":            {"POST", "/v1/chat/completions", chat + `,"stream":true,"stream_options":{"include_usage":true}}`, nil, 200, `"usage":{"prompt_tokens":2,"completion_tokens":5,"total_tokens":7}`},
		"chat choices":          {"POST", "/v1/chat/completions", chat + `,"n":2}`, nil, 200, `"index":1`},
		"chat in a schema":      {"POST", "/v1/chat/completions", chat + `,"response_format":{"type":"json_schema","json_schema":{"name":"a","schema":{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"array","items":{"$ref":"#/$defs/b"}},"c":{"anyOf":[{"enum":["x","y"]},{"type":"null"}]}},"$defs":{"b":{"type":"object","properties":{"n":{"type":"integer"},"o":{"type":["boolean","null"]}}}}}}}}`, nil, 200, `"content":"{\"a\":\"one two\",\"b\":[{\"n\":1,\"o\":true}],\"c\":\"x\"}"`},
		"chat in JSON":          {"POST", "/v1/chat/completions", chat + `,"response_format":{"type":"json_object"}}`, nil, 200, `"content":"{\"answer\":\"one two\"}"`},
		"chat tools":            {"POST", "/v1/chat/completions", chat + `,"tools":[{"function":{"name":"f"}}]}`, nil, 200, `"arguments":"{\"input\":\"one two\"}","name":"f"`},
		"chat tool events":      {"POST", "/v1/chat/completions", chat + `,"stream":true,"tools":[{"function":{"name":"f"}}]}`, nil, 200, `"finish_reason":"tool_calls"`},
		"chat without model":    {"POST", "/v1/chat/completions", `{}`, nil, 400, "must provide a model"},
		"chat no JSON":          {"POST", "/v1/chat/completions", `{`, nil, 400, "could not parse"},
		"completions":           {"POST", "/v1/completions", `{"prompt":["a","b"]}`, nil, 200, `"text":"The mock answers: b"`},
		"completion events":     {"POST", "/v1/completions", `{"prompt":"a","stream":true}`, nil, 200, `"text":" a"`},
		"embeddings":            {"POST", "/v1/embeddings", `{"input":"a","dimensions":2}`, nil, 200, `"embedding":[0.34375,0.1015625]`},
		"embeddings in base64":  {"POST", "/v1/embeddings", `{"input":["a","b"],"dimensions":2,"encoding_format":"base64"}`, nil, 200, `"embedding":"AACwPgAA0D0="`},
		"responses":             {"POST", "/v1/responses", `{"model":"m","input":"a"}`, nil, 200, `"text":"The mock answers: a"`},
		"response events":       {"POST", "/v1/responses", `{"model":"m","input":[{"role":"user","content":"a"}],"stream":true}`, nil, 200, "event: response.completed\n"},
		"images":                {"POST", "/v1/images/generations", `{"prompt":"a","n":2}`, nil, 200, `"b64_json":"iVBOR`},
		"speech":                {"POST", "/v1/audio/speech", `{"input":"a"}`, []string{"mock-size", "3"}, 200, "\x00\x07\x0e"},
		"models":                {"GET", "/v1/models", "", nil, 200, `"id":"meta/llama"`},
		"model":                 {"GET", "/v1/models/meta%2Fllama", "", nil, 200, `"id":"meta/llama"`},
		"model without escape":  {"GET", "/v1/models/meta/llama", "", nil, 404, "Invalid URL"},
		"no such model":         {"GET", "/v1/models/x", "", nil, 404, `"code":"model_not_found"`},
		"no such file":          {"GET", "/v1/files/x", "", nil, 404, "No such File"},
		"messages":              {"POST", "/v1/messages", chat + "}", nil, 200, `"stop_reason":"end_turn"`},
		"message events":        {"POST", "/v1/messages", chat + `,"stream":true}`, nil, 200, "event: message_stop\n"},
		"benchmark":             {"POST", "/benchmark/v1/chat/completions", `{"model":"m","stream":true}`, []string{"mock-events", "3"}, 200, `"content":"Many"`},
		"echo":                  {"PUT", "/echo/a%2Fb?c=d;e&&f", "xyz", []string{"a", "1", "a", "2"}, 200, `"a":["1","2"]`},
		"echo tells the path":   {"PUT", "/echo/a%2Fb?c=d;e&&f", "xyz", nil, 200, `"uri":"/echo/a%2Fb?c=d;e&&f"`},
		"nowhere":               {"GET", "/v2", "", nil, 404, "Invalid URL (GET /v2)"},
		"wrong method":          {"GET", "/v1/completions", "", nil, 405, "Not allowed"},
		"status":                {"GET", "/v1/models", "", []string{"mock-status", "429"}, 429, `"code":"rate_limit_exceeded"`},
		"status of a good one":  {"GET", "/v1/models", "", []string{"mock-status", "202"}, 202, `"id":"gpt-4o-mini"`},
		"status without a body": {"GET", "/v1/models", "", []string{"mock-status", "204"}, 204, ""},
		"stall":                 {"GET", "/v1/models", "", []string{"mock-stall", "1ms", "mock-delay", "1ms"}, 200, `"id":"gpt-4o-mini"`},
		"bad status":            {"GET", "/v1/models", "", []string{"mock-status", "9"}, 400, "mock-status: \\\"9\\\" must be a whole number from 200 to 599"},
		"bad duration":          {"GET", "/v1/models", "", []string{"mock-delay", "soon"}, 400, "must be a duration"},
		"bad break":             {"GET", "/v1/models", "", []string{"mock-break", "here"}, 400, "must be after-headers, mid-body, mid-event, reset"},
		"bad header":            {"GET", "/v1/models", "", []string{"mock-header", "a"}, 400, "must be written Name: value"},
		"unknown order":         {"GET", "/v1/models", "", []string{"mock-x", "a"}, 400, "does not know"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			response, got, err := ask(t, test.method, url+test.path, test.body, test.headers...)
			if err != nil {
				t.Fatal(err)
			}
			if response.StatusCode != test.status || !strings.Contains(got, test.want) {
				t.Errorf("got %d %s\nwant %d …%s…", response.StatusCode, got, test.status, test.want)
			}
			_, again, err := ask(t, test.method, url+test.path, test.body, test.headers...)
			if err != nil || again != got {
				t.Errorf("the same request again: %v\ngot  %s\nthen %s", err, got, again)
			}
		})
	}
}

func TestHeadersTrailersAndEncoding(t *testing.T) {
	t.Parallel()
	url, _ := mocktest.Start(t, mock.Options{})
	response, body, err := ask(t, "POST", url+"/v1/chat/completions", chat+`,"stream":true}`,
		"mock-header", "x-a: 1", "mock-header", "x-a: 2", "mock-trailers", "x-b: 3", "mock-encoding", "gzip")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"1", "2"}, response.Header.Values("x-a")); diff != "" {
		t.Error(diff)
	}
	if got := response.Trailer.Get("x-b"); got != "3" {
		t.Errorf("the trailer is %q", got)
	}
	if response.Header.Get("content-encoding") != "gzip" || !strings.HasPrefix(body, "\x1f\x8b") {
		t.Errorf("not compressed: %v %q", response.Header, body)
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	url, upstream := mocktest.Start(t, mock.Options{Keys: []string{"sk-1"}})
	tests := map[string]struct {
		name, value string
		status      int
	}{
		"bearer":     {"authorization", "Bearer sk-1", 200},
		"x-api-key":  {"x-api-key", "sk-1", 200},
		"api-key":    {"api-key", "sk-1", 200},
		"websocket":  {"sec-websocket-protocol", "realtime, openai-insecure-api-key.sk-1", 200},
		"wrong":      {"authorization", "Bearer sk-2", 401},
		"no bearer":  {"authorization", "sk-1", 401},
		"none":       {"x-other", "sk-1", 401},
		"with order": {"mock-status", "500", 401},
	}
	for name, test := range tests {
		response, body, err := ask(t, "GET", url+"/v1/models", "", test.name, test.value)
		if err != nil || response.StatusCode != test.status {
			t.Errorf("%s: got %v %s, %v", name, response, body, err)
		}
	}
	if got := len(upstream.Requests()); got != len(tests) {
		t.Errorf("recorded %d of %d requests", got, len(tests))
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	url, upstream := mocktest.Start(t, mock.Options{})
	form := "--x\r\ncontent-disposition: form-data; name=purpose\r\n\r\nbatch\r\n" +
		"--x\r\ncontent-disposition: form-data; name=file; filename=a.txt\r\n\r\nhello\r\n--x--\r\n"
	const digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
	steps := []struct{ method, path, body, want string }{
		{"POST", "/v1/audio/transcriptions", form, "a.txt: 5 bytes, sha256 " + digest},
		{"POST", "/v1/files", form, `"bytes":5`},
		{"GET", "/v1/files", "", `"purpose":"batch"`},
		{"GET", "/v1/files/file-" + digest[:24], "", digest},
		{"GET", "/v1/files/file-" + digest[:24] + "/content", "", "hello"},
		{"DELETE", "/v1/files/file-" + digest[:24], "", `"deleted":true`},
		{"GET", "/v1/files", "", `"data":[]`},
		{"POST", "/v1/files", "no form", "must send a multipart form"},
	}
	for _, step := range steps {
		_, got, err := ask(t, step.method, url+step.path, step.body, "content-type", "multipart/form-data; boundary=x")
		if err != nil || !strings.Contains(got, step.want) {
			t.Errorf("%s %s: got %s, %v; want …%s…", step.method, step.path, got, err, step.want)
		}
	}
	seen := upstream.Requests()[1]
	if !seen.Whole || seen.BodyLength != int64(len(form)) || seen.URI != "/v1/files" {
		t.Errorf("recorded %+v", seen)
	}
}

func TestBreaks(t *testing.T) {
	t.Parallel()
	url, _ := mocktest.Start(t, mock.Options{})
	tests := map[string]struct {
		where, body, ends string
		want              error
	}{
		"reset":         {"reset", "}", "", syscall.ECONNRESET},
		"after headers": {"after-headers", "}", "", io.ErrUnexpectedEOF},
		"whole answer":  {"mid-body", "}", "", io.ErrUnexpectedEOF},
		"stream":        {"mid-body", `,"stream":true}`, "\n\n", io.ErrUnexpectedEOF},
		"event":         {"mid-event", `,"stream":true}`, "", io.ErrUnexpectedEOF},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, body, err := ask(t, "POST", url+"/v1/chat/completions", chat+test.body, "mock-break", test.where)
			if !errors.Is(err, test.want) || !strings.HasSuffix(body, test.ends) {
				t.Errorf("got %q, %v; want %v", body, err, test.want)
			}
			if name == "event" && strings.HasSuffix(body, "\n\n") {
				t.Errorf("not cut in an event: %q", body)
			}
		})
	}
}

// TestOrdersForSome: orders hold for the first requests with a name, or for those with a key.
func TestOrdersForSome(t *testing.T) {
	t.Parallel()
	url, _ := mocktest.Start(t, mock.Options{Keys: []string{"sk-a", "sk-b"}})
	for i, test := range []struct {
		key, header, value string
		want               int
	}{
		{"sk-a", "mock-times", "x 2", 503},
		{"sk-a", "mock-times", "y 1", 503},
		{"sk-a", "mock-times", "x 2", 503},
		{"sk-a", "mock-times", "x 2", 200},
		{"sk-a", "mock-for-key", "sk-b", 200},
		{"sk-b", "mock-for-key", "sk-b", 503},
		{"sk-a", "mock-times", "x", 400},
	} {
		got, _, err := ask(t, "GET", url+"/v1/models", "", "mock-status", "503", test.header, test.value, "x-api-key", test.key)
		if err != nil || got.StatusCode != test.want {
			t.Errorf("request %d: got %v, %v, want %d", i, got, err, test.want)
		}
	}
}

func TestSteps(t *testing.T) {
	t.Parallel()
	url, upstream := mocktest.Start(t, mock.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	request, _ := http.NewRequestWithContext(ctx, "POST", url+"/v1/messages", strings.NewReader(chat+`,"stream":true}`))
	request.Header.Set("mock-step", "s")
	response, err := http.DefaultTransport.RoundTrip(request)
	if err == nil {
		defer func() { _ = response.Body.Close() }()
		err = upstream.Step(ctx, "s")
	}
	if err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(response.Body).ReadString('\n')
	if err != nil || line != "event: message_start\n" {
		t.Errorf("got %q, %v", line, err)
	}
}

func TestRealtime(t *testing.T) {
	t.Parallel()
	url, _ := mocktest.Start(t, mock.Options{Keys: []string{"sk-1"}})
	conn, _, err := websocket.Dial(t.Context(), url+"/v1/realtime?model=m", &websocket.DialOptions{
		Subprotocols: []string{"realtime", "openai-insecure-api-key.sk-1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }()
	_, first, err := conn.Read(t.Context())
	var event struct{ Type string }
	if err != nil || json.Unmarshal(first, &event) != nil || event.Type != "session.created" || conn.Subprotocol() != "realtime" {
		t.Fatalf("got %s, %v, subprotocol %q", first, err, conn.Subprotocol())
	}
	if err := conn.Write(t.Context(), websocket.MessageBinary, []byte("abc")); err != nil {
		t.Fatal(err)
	}
	kind, echoed, err := conn.Read(t.Context())
	if err != nil || kind != websocket.MessageBinary || string(echoed) != "abc" {
		t.Errorf("got %v %q, %v", kind, echoed, err)
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"h2", "http/1.1"} {
		url, ca, upstream := mocktest.StartTLS(t, mock.Options{}, protocol)
		client := mocktest.Client(t, ca)
		response, err := client.Get(url + "/v1/models")
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if got := upstream.Requests()[0].ALPN; got != protocol {
			t.Errorf("negotiated %q, want %s", got, protocol)
		}
	}
}

func TestRequestsAreBounded(t *testing.T) {
	t.Parallel()
	upstream := mock.New(mock.Options{})
	for range 1001 {
		upstream.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/v1/models", nil))
	}
	if got := len(upstream.Requests()); got != 1000 {
		t.Errorf("%d requests are kept", got)
	}
}
