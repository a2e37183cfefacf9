package cache

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tollgate/extproc/openai"
	"tollgate/test/mock"
)

// storable asks as the gate does: with what was read of the answer.
func storable(api openai.API, status int, stream bool, body string) error {
	assembler := openai.NewAssembler(api)
	if stream {
		var reader openai.Reader
		reader.Feed([]byte(body), assembler.Add)
		reader.Close(assembler.Add)
	} else {
		assembler.Add(&openai.Event{Data: []byte(body), Whole: true})
	}
	return Storable(api, status, assembler.Answer(), stream, []byte(body))
}

// whole is an answer that an upstream gives when all is well.
type whole struct {
	name   string
	api    openai.API
	stream bool
	body   string
}

// wholes are the mock's answers of all kinds, and what other upstreams send.
func wholes(t testing.TB) []whole {
	t.Helper()
	all := []whole{
		{"refusal", openai.Chat, false, `{"choices":[{"index":0,"message":{"content":null,"refusal":"No."},"finish_reason":"stop"}]}`},
		{"cut by max_tokens", openai.Chat, false, `{"choices":[{"message":{"content":"I"},"finish_reason":"length"}],"error":null}`},
		{"choices upside down", openai.Chat, false, `{"choices":[{"index":1,"message":{},"finish_reason":"stop"},{"index":0,"message":{},"finish_reason":"stop"}]}`},
		{"one long line", openai.Chat, false, `{"choices":[{"message":{"content":"` + strings.Repeat("x", 64<<10) + `"},"finish_reason":"stop"}]}`},
		{"no last blank line", openai.Chat, true, "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]"},
		{"CRLF and comments", openai.Chat, true, ": PROCESSING\r\n\r\ndata:{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\r\n\r\nid: 1\r\ndata: [DONE]\r\n\r\n"},
		{"empty finish reasons", openai.Chat, true, "data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"\"}],\"error\":null}\n\ndata: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"},
		{"usage without choices", openai.Chat, true, "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: {\"choices\":null,\"usage\":{\"total_tokens\":1}}\n\ndata: [DONE]\n\n"},
		{"annotation after the end of a choice", openai.Chat, true, "data: {\"choices\":[]}\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: {\"choices\":[{\"index\":0,\"finish_reason\":null,\"content_filter_offsets\":{}}]}\n\ndata: [DONE]\n\n"},
		{"as long as it may be", openai.Responses, false, `{"object":"response","status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"error":null,"output":[{"type":"message","status":"incomplete"}]}`},
		{"DONE after response.completed", openai.Responses, true, "event: response.completed\ndata: {\"response\":{\"status\":\"completed\",\"output\":[{}]}}\n\ndata: [DONE]\n\n"},
		{"base64", openai.Embeddings, false, `{"data":[{"index":0,"embedding":"AAAA"}]}`},
		{"exponents", openai.Embeddings, false, `{"data":[{"embedding":[1e-7, -2.5E3]}]}`},
	}
	server := mock.New(mock.Options{})
	for _, asked := range []struct {
		api           openai.API
		path, members string
		streams       bool
	}{
		{openai.Chat, "/v1/chat/completions", `"messages":[{"role":"user","content":"Grüße an alle 😀"}],"stream_options":{"include_usage":true}`, true},
		{openai.Chat, "/v1/chat/completions", `"messages":[{"role":"user","content":"hi"}],"n":3`, true},
		{openai.Chat, "/v1/chat/completions", `"messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"a"}},{"type":"function","function":{"name":"b"}}]`, true},
		{openai.Completions, "/v1/completions", `"prompt":["one","two"]`, true},
		{openai.Responses, "/v1/responses", `"input":"hi"`, true},
		{openai.Embeddings, "/v1/embeddings", `"input":["a","b"]`, false},
		{openai.Messages, "/v1/messages", `"messages":[{"role":"user","content":"hi"}],"max_tokens":9`, true},
	} {
		for _, stream := range []bool{false, true}[:1+btoi(asked.streams)] {
			body := `{"model":"m",` + asked.members
			if stream {
				body += `,"stream":true`
			}
			recorder := httptest.NewRecorder()
			server.ServeHTTP(recorder, httptest.NewRequest(http.MethodPost, asked.path, strings.NewReader(body+"}")))
			answer, err := io.ReadAll(recorder.Body)
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, recorder.Code, "%s", answer)
			all = append(all, whole{"the mock's " + asked.members, asked.api, stream, string(answer)})
		}
	}
	return all
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestStorable(t *testing.T) {
	t.Parallel()
	for _, w := range wholes(t) {
		require.NoError(t, storable(w.api, http.StatusOK, w.stream, w.body), "%s: %s", w.name, w.body)
		for _, status := range []int{0, 201, 204, 206, 400, 429, 500} {
			require.Error(t, storable(w.api, status, w.stream, w.body), "%s: status %d", w.name, status)
		}
		require.Error(t, storable(w.api, http.StatusOK, !w.stream, w.body), "%s: the other form", w.name)
		for _, api := range []openai.API{openai.Transcriptions, openai.Other} {
			require.Error(t, storable(api, http.StatusOK, w.stream, w.body), "%s: %s", w.name, api)
		}
		require.Error(t, Storable(w.api, http.StatusOK, nil, w.stream, []byte(w.body)), "%s: nobody read it", w.name)
	}
}

// TestNoBeginningIsStorable: wherever an answer breaks off, it is not kept, but where only its last line
// ends are missing.
func TestNoBeginningIsStorable(t *testing.T) {
	t.Parallel()
	for _, w := range wholes(t) {
		if strings.HasPrefix(w.name, "DONE after") || len(w.body) > 64<<10 {
			continue
		}
		for cut := range len(strings.TrimRight(w.body, "\r\n")) {
			require.Error(t, storable(w.api, http.StatusOK, w.stream, w.body[:cut]), "%s: %s", w.name, w.body[:cut])
		}
	}
}

// TestNoErrorIsStorable: with an error anywhere in it, in any of the shapes that upstreams know, an answer
// is not kept.
func TestNoErrorIsStorable(t *testing.T) {
	t.Parallel()
	for _, w := range wholes(t) {
		if !w.stream {
			for _, e := range []string{`"error":{"message":"m"}`, `"error":"m"`, `"error":{}`, `"error":true`, `"object":"error"`} {
				require.Error(t, storable(w.api, http.StatusOK, false, "{"+e+","+strings.TrimLeft(w.body, " \n")[1:]), "%s", w.name)
			}
			continue
		}
		events := strings.SplitAfter(w.body, "\n\n")
		if len(events) < 2 { // with other line ends
			continue
		}
		for i := range events {
			for _, e := range []string{
				"data: {\"error\":{\"message\":\"m\"}}\n\n", "event: error\ndata: {\"message\":\"m\"}\n\n", "data: {\"type\":\"error\",\"message\":\"m\"}\n\n",
				"data: {\"object\":\"error\",\"message\":\"m\"}\n\n", "{\"error\":{\"message\":\"m\"}}\n\n", "Internal Server Error\n\n", "data: Internal Server Error\n\n",
				"data: {\"broken\n\n", "data: null\n\n", "data: []\n\n", "data\n\n", "<html>\n\n",
			} {
				broken := strings.Join(events[:i], "") + e + strings.Join(events[i:], "")
				require.Error(t, storable(w.api, http.StatusOK, true, broken), "%s: %s", w.name, broken)
			}
		}
	}
}

func TestNotStorable(t *testing.T) {
	t.Parallel()
	const done = "data: [DONE]\n\n"
	event := func(data string) string { return "data: " + data + "\n\n" }
	stop := event(`{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`)
	for _, c := range []struct {
		api    openai.API
		stream bool
		body   string
	}{
		{openai.Chat, false, ``},
		{openai.Chat, false, `null`},
		{openai.Chat, false, `{}`},
		{openai.Chat, false, `[]`},
		{openai.Chat, false, `"stop"`},
		{openai.Chat, false, `OK`},
		{openai.Chat, false, `<html>502 Bad Gateway</html>`},
		{openai.Chat, false, `{"detail":"Not Found"}`},
		{openai.Chat, false, `{"code":500,"msg":"busy"}`},
		{openai.Chat, false, `[{"error":{"code":429}}]`},
		{openai.Chat, false, `{"choices":[]}`},
		{openai.Chat, false, `{"choices":null}`},
		{openai.Chat, false, `{"choices":{}}`},
		{openai.Chat, false, `{"choices":[null]}`},
		{openai.Chat, false, `{"choices":["stop"]}`},
		{openai.Chat, false, `{"choices":[{"finish_reason":"stop"}]}`},
		{openai.Chat, false, `{"choices":[{"message":null,"finish_reason":"stop"}]}`},
		{openai.Chat, false, `{"choices":[{"message":{}}]}`},
		{openai.Chat, false, `{"choices":[{"message":{},"finish_reason":null}]}`},
		{openai.Chat, false, `{"choices":[{"message":{},"finish_reason":""}]}`},
		{openai.Chat, false, `{"choices":[{"message":{},"finish_reason":1}]}`},
		{openai.Chat, false, `{"choices":[{"message":{},"finish_reason":["stop"]}]}`},
		{openai.Chat, false, `{"choices":[{"message":{},"finish_reason":"content_filter"}]}`},
		{openai.Chat, false, `{"choices":[{"message":{},"finish_reason":"insufficient_system_resource"}]}`},
		{openai.Chat, false, `{"choices":[{"message":{},"finish_reason":"error"}]}`},
		{openai.Chat, false, `{"choices":[{"message":{},"finish_reason":"abort"}]}`},
		{openai.Chat, false, `{"choices":[{"message":{},"finish_reason":"a reason of tomorrow"}]}`},
		{openai.Chat, false, `{"choices":[{"message":{},"finish_reason":"stop","error":{"code":502}}]}`},
		{openai.Chat, false, `{"choices":[{"message":{},"finish_reason":"stop"},{"index":1,"message":{},"finish_reason":null}]}`},
		{openai.Chat, false, `{"choices":[{"index":1,"message":{},"finish_reason":"stop"}]}`},
		{openai.Chat, false, `{"choices":[{"index":0,"message":{},"finish_reason":"stop"},{"index":2,"message":{},"finish_reason":"stop"}]}`},
		{openai.Chat, false, `{"choices":[{"index":-1,"message":{},"finish_reason":"stop"}]}`},
		{openai.Chat, false, `{"choices":[{"index":0.5,"message":{},"finish_reason":"stop"}]}`},
		{openai.Chat, false, `{"choices":[{"index":"0","message":{},"finish_reason":"stop"}]}`},
		{openai.Chat, false, `{"choices":[{"message":{},"finish_reason":"content_filter","finish_reason":"stop"}]}`},
		{openai.Chat, false, `{"choices":[{"message":{},"finish_reason":"stop","message":{}}]}`},
		{openai.Chat, false, `{"choices":[{"message":{},"finish_reason":"stop"}]}{"choices":[]}`},
		{openai.Chat, false, `{"choices":[{"message":{},"finish_reason":"stop"}],}`},
		{openai.Chat, false, `{"choices":[{"message":{},"finish_reason":"stop"}]}` + "\x00"},
		{openai.Chat, false, `{"choices":[{"message":{},"finish_reason":"stop"}],"x":` + strings.Repeat("[", 64<<10) + strings.Repeat("]", 64<<10) + `}`},
		{openai.Completions, false, `{"choices":[{"finish_reason":"stop"}]}`},
		{openai.Completions, false, `{"choices":[{"text":null,"finish_reason":"stop"}]}`},

		{openai.Chat, true, ``},
		{openai.Chat, true, "\n\n"},
		{openai.Chat, true, ": PROCESSING\n\n"},
		{openai.Chat, true, done},
		{openai.Chat, true, stop},
		{openai.Chat, true, event(`{"choices":[]}`) + done},
		{openai.Chat, true, event(`{"choices":[{"delta":{"content":"a"},"finish_reason":null}]}`) + done},
		{openai.Chat, true, stop + event(`{"choices":[{"index":1,"delta":{},"finish_reason":null}]}`) + done},
		{openai.Chat, true, event(`{"choices":[{"index":1,"delta":{},"finish_reason":"stop"}]}`) + done},
		{openai.Chat, true, stop + event(`{"choices":[{"index":0,"delta":{},"finish_reason":"content_filter"}]}`) + done},
		{openai.Chat, true, stop + event(`{"choices":["stop"]}`) + done},
		{openai.Chat, true, stop + event(`{"choices":[{"delta":"a"}]}`) + done},
		{openai.Chat, true, stop + event(`{"usage":null}`) + done},
		{openai.Chat, true, stop + event(`{"detail":"too late"}`) + done},
		{openai.Chat, true, done + stop},
		{openai.Chat, true, stop + done + stop},
		{openai.Chat, true, stop + "data: [DONE]x\n\n"},
		{openai.Chat, true, stop + "data: [DON\n\n"},
		{openai.Chat, true, stop + "[DONE]\n\n"},
		{openai.Chat, true, strings.ReplaceAll(stop, "\n\n", "\n") + done}, // two events in one
		{openai.Chat, true, stop + done + `{"error":{"message":"too late"}}`},
		{openai.Chat, true, stop + event(`{"choices":[],"x":"`+strings.Repeat("x", 8<<20)+`"}`) + done},
		{openai.Embeddings, true, event(`{"data":[{"embedding":[1]}]}`) + done},

		{openai.Responses, false, `{}`},
		{openai.Responses, false, `{"status":"completed"}`},
		{openai.Responses, false, `{"status":"completed","output":[]}`},
		{openai.Responses, false, `{"status":"completed","output":["a"]}`},
		{openai.Responses, false, `{"status":"completed","output":[{"status":"in_progress"}]}`},
		{openai.Responses, false, `{"status":"completed","output":[{"status":"incomplete"}]}`},
		{openai.Responses, false, `{"status":"completed","output":[{"type":"mcp_call","error":"timeout"}]}`},
		{openai.Responses, false, `{"status":"completed","error":{"code":"server_error"},"output":[{}]}`},
		{openai.Responses, false, `{"status":"incomplete","incomplete_details":{"reason":"content_filter"},"output":[{}]}`},
		{openai.Responses, false, `{"status":"incomplete","output":[{}]}`},
		{openai.Responses, false, `{"status":"queued","output":[{}]}`},
		{openai.Responses, false, `{"status":"in_progress","output":[{}]}`},
		{openai.Responses, false, `{"status":"failed","output":[{}]}`},
		{openai.Responses, false, `{"status":"cancelled","output":[{}]}`},
		{openai.Responses, true, done},
		{openai.Responses, true, event(`{"type":"response.completed"}`)},
		{openai.Responses, true, event(`{"type":"response.completed","response":{"status":"completed"}}`)},
		{openai.Responses, true, event(`{"type":"response.completed","response":{"status":"completed","output":[{}],"error":{}}}`)},
		{openai.Responses, true, event(`{"type":"response.completed","response":{"status":"failed","output":[{}]}}`)},
		{openai.Responses, true, event(`{"type":"response.incomplete","response":{"status":"incomplete","incomplete_details":{"reason":"content_filter"},"output":[{}]}}`)},
		{openai.Responses, true, event(`{"type":"response.failed","response":{"status":"completed","output":[{}]}}`)},
		{openai.Responses, true, event(`{"response":{"status":"completed","output":[{}]}}`)},
		{openai.Responses, true, event(`{"type":"response.completed","response":{"status":"completed","output":[{}]}}`) + event(`{"type":"response.output_text.delta"}`)},

		{openai.Embeddings, false, `{"data":[]}`},
		{openai.Embeddings, false, `{"data":[{}]}`},
		{openai.Embeddings, false, `{"data":[1]}`},
		{openai.Embeddings, false, `{"data":[{"embedding":[]}]}`},
		{openai.Embeddings, false, `{"data":[{"embedding":[ ]}]}`},
		{openai.Embeddings, false, `{"data":[{"embedding":""}]}`},
		{openai.Embeddings, false, `{"data":[{"embedding":null}]}`},
		{openai.Embeddings, false, `{"data":[{"embedding":{}}]}`},
		{openai.Embeddings, false, `{"data":[{"embedding":[1]},{"embedding":[null]}]}`},
		{openai.Embeddings, false, `{"data":[{"embedding":["1"]}]}`},
		{openai.Embeddings, false, `{"data":[{"embedding":[1]},{}]}`},

		{openai.Messages, false, `{"type":"message","content":[],"stop_reason":null}`},
		{openai.Messages, false, `{"type":"message","content":[],"stop_reason":"refusal"}`},
		{openai.Messages, false, `{"type":"message","stop_reason":"end_turn"}`},
		{openai.Messages, false, `{"content":[],"stop_reason":"end_turn"}`},
		{openai.Messages, true, event(`{"type":"message_delta","delta":{"stop_reason":"end_turn"}}`) + event(`{"type":"message_stop"}`)},
		{openai.Messages, true, event(`{"type":"message_start","message":{}}`) + event(`{"type":"message_stop"}`)},
		{openai.Messages, true, event(`{"type":"message_start","message":{}}`) + event(`{"type":"content_block_start","index":0}`) + event(`{"type":"message_delta","delta":{"stop_reason":"end_turn"}}`) + event(`{"type":"message_stop"}`)},
		{openai.Messages, true, event(`{"type":"message_start","message":{}}`) + event(`{"type":"content_block_delta","index":0}`) + event(`{"type":"message_delta","delta":{"stop_reason":"end_turn"}}`) + event(`{"type":"message_stop"}`)},
		{openai.Messages, true, event(`{"type":"message_start","message":{}}`) + event(`{"type":"message_delta","delta":{"stop_reason":"refusal"}}`) + event(`{"type":"message_stop"}`)},
	} {
		if err := storable(c.api, http.StatusOK, c.stream, c.body); err == nil {
			t.Errorf("%s, stream %v: %.200s", c.api, c.stream, c.body)
		} else if strings.Contains(err.Error(), "busy") || strings.Contains(err.Error(), "timeout") {
			t.Errorf("the error quotes the answer: %v", err)
		}
	}
}

// FuzzStorable: what is kept is whole to its last byte, and nothing comes after it.
func FuzzStorable(f *testing.F) {
	apis := []openai.API{openai.Chat, openai.Completions, openai.Responses, openai.Embeddings, openai.Messages}
	for _, w := range wholes(f) {
		f.Add(uint8(slices.Index(apis, w.api)), w.stream, []byte(w.body))
	}
	f.Fuzz(func(t *testing.T, n uint8, stream bool, body []byte) {
		api := apis[int(n)%len(apis)]
		if storable(api, http.StatusOK, stream, string(body)) != nil {
			return
		}
		if !stream {
			short := bytes.TrimSpace(body)
			require.Error(t, storable(api, http.StatusOK, false, string(short[:len(short)-1])), "%q", body)
		}
		require.Error(t, storable(api, http.StatusOK, stream, string(body)+"\n\n{\"error\":1}\n\n"), "%q", body)
	})
}
