package convert_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/extproc/openai"
	"tollgate/extproc/openai/convert"
)

// bodies are plain answers, by a name that begins with the API.
func bodies(t testing.TB) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, file := range files(t, "testdata/*.json") {
		all[strings.TrimSuffix(filepath.Base(file), ".json")] = load(t, file)
	}
	for _, file := range files(t, "../testdata/*-whole.body") {
		all[strings.TrimSuffix(filepath.Base(file), ".body")] = load(t, file)
	}
	delete(all, "embeddings-whole")
	delete(all, "transcriptions-whole")
	long, err := json.Marshal(strings.Repeat("Ein langer Text – \"mit\" allem\n\t\U0001F600 日本語 </b>. ", 20_000))
	if err != nil {
		t.Fatal(err)
	}
	all["chat-long"] = strings.Replace(all["chat-text"], `"Hi there! How can I help?"`, string(long), 1)
	all["completions-long"] = strings.Replace(all["completions-text"], `"\n\nThis is a test"`, string(long), 1)
	return all
}

func files(t testing.TB, pattern string) []string {
	t.Helper()
	list, err := filepath.Glob(pattern)
	if err != nil || len(list) == 0 {
		t.Fatalf("no files %s: %v", pattern, err)
	}
	return list
}

func load(t testing.TB, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func apiOf(name string) openai.API {
	api, _, _ := strings.Cut(filepath.Base(name), "-")
	return openai.API(api)
}

// meaning is JSON without what does not matter: numbers as they were written, no order of members.
func meaning(t testing.TB, text []byte) any {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		t.Fatalf("%v in %.200q", err, text)
	}
	return value
}

func streamOf(t testing.TB, api openai.API, body string, usage bool) [][]byte {
	t.Helper()
	stream, err := convert.StreamFromPlain(api, []byte(body), convert.Options{IncludeUsage: usage})
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func plainOf(t testing.TB, api openai.API, stream [][]byte) []byte {
	t.Helper()
	body, err := convert.PlainFromStream(api, stream)
	if err != nil {
		t.Fatalf("%v:\n%s", err, bytes.Join(stream, nil))
	}
	return body
}

// TestThereAndBack: a body that was made a stream is the same when it is put together again.
func TestThereAndBack(t *testing.T) {
	for name, body := range bodies(t) {
		t.Run(name, func(t *testing.T) {
			stream := streamOf(t, apiOf(name), body, true)
			got := plainOf(t, apiOf(name), stream)
			if diff := cmp.Diff(meaning(t, []byte(body)), meaning(t, got)); diff != "" {
				t.Errorf("(-before +after)\n%.5000s", diff)
			}
			whole := bytes.Join(stream, nil)
			if !slices.EqualFunc(stream, convert.Split(whole), bytes.Equal) {
				t.Errorf("an event is not one:\n%.2000s", whole)
			}
		})
	}
}

// TestSameAnswer: whoever puts the answer together makes the same of both forms.
func TestSameAnswer(t *testing.T) {
	for name, body := range bodies(t) {
		plain, streamed := openai.NewAssembler(apiOf(name)), openai.NewAssembler(apiOf(name))
		plain.Add(&openai.Event{Data: []byte(body), Whole: true})
		var reader openai.Reader
		for _, event := range streamOf(t, apiOf(name), body, true) {
			reader.Feed(event, streamed.Add)
		}
		if diff := cmp.Diff(plain.Answer(), streamed.Answer()); diff != "" || streamed.Malformed() > 0 {
			t.Errorf("%s (-plain +streamed)\n%.3000s", name, diff)
		}
		if !streamed.Answer().Finished {
			t.Errorf("%s: the stream has no end", name)
		}
	}
}

// TestRecordedStreams: the plain body of a recorded stream means the same, or there is none.
func TestRecordedStreams(t *testing.T) {
	refused := map[string]string{
		"chat-audio": "audio", "chat-error": "error", "chat-cut-short": "JSON", "chat-odd": "JSON",
		"messages-cut-short": "end", "messages-error": "type", "responses-cut-short": "end", "responses-error": "failed",
		"responses-failed": "failed", "responses-no-output": "output", "transcriptions-text": "API",
	}
	for _, file := range files(t, "../testdata/*.sse") {
		name := strings.TrimSuffix(filepath.Base(file), ".sse")
		raw := []byte(load(t, file))
		body, err := convert.PlainFromStream(apiOf(name), [][]byte{raw})
		if why, ok := refused[name]; ok || err != nil {
			if !errors.Is(err, convert.ErrNotConvertible) || !strings.Contains(err.Error(), why) || why == "" {
				t.Errorf("%s: %v, wanted %q", name, err, why)
			}
			continue
		}
		var reader openai.Reader
		streamed, plain := openai.NewAssembler(apiOf(name)), openai.NewAssembler(apiOf(name))
		reader.Feed(raw, streamed.Add)
		plain.Add(&openai.Event{Data: body, Whole: true})
		if diff := cmp.Diff(withoutSpaces(t, streamed.Answer()), plain.Answer()); diff != "" {
			t.Errorf("%s (-streamed +plain)\n%s", name, diff)
		}
	}
}

// withoutSpaces takes the spaces out of calls' arguments: Anthropic's plain form has JSON in their place.
func withoutSpaces(t *testing.T, answer *openai.Answer) *openai.Answer {
	t.Helper()
	if !strings.HasPrefix(answer.ID, "msg_") {
		return answer
	}
	for i := range answer.Choices[0].ToolCalls {
		call := &answer.Choices[0].ToolCalls[i].Function
		var compact bytes.Buffer
		if err := json.Compact(&compact, []byte(call.Arguments)); err != nil {
			t.Fatal(err)
		}
		call.Arguments = compact.String()
	}
	return answer
}

// TestPieces: the pieces of a stream may be cut anywhere.
func TestPieces(t *testing.T) {
	raw := []byte(load(t, "../testdata/chat-tools.sse"))
	want := plainOf(t, openai.Chat, [][]byte{raw})
	var bytewise [][]byte
	for i := range raw {
		bytewise = append(bytewise, raw[i:i+1])
	}
	for _, stream := range [][][]byte{bytewise, convert.Split(raw)} {
		if got := plainOf(t, openai.Chat, stream); !bytes.Equal(got, want) {
			t.Errorf("%s\n%s", got, want)
		}
	}
}

// TestPlainByHand says what plain bodies are made of odd events.
func TestPlainByHand(t *testing.T) {
	const tail = `,"finish_reason":"stop"}]}`
	for name, c := range map[string]struct {
		api    openai.API
		events []string
		want   string // "" if it is refused
	}{
		"calls without an index": {openai.Chat, []string{
			`{"choices":[{"delta":{"role":"assistant","tool_calls":[{"id":"1","type":"function","function":{"name":"a","arguments":"{}"}},{"id":"2","type":"function","function":{"name":"b","arguments":"{}"}}]}` + tail,
		}, `{"choices":[{"message":{"role":"assistant","tool_calls":[{"id":"1","type":"function","function":{"name":"a","arguments":"{}"}},{"id":"2","type":"function","function":{"name":"b","arguments":"{}"}}],"content":null}` + tail},
		"calls that say no index may mean any": {openai.Chat, []string{
			`{"choices":[{"delta":{"tool_calls":[{"function":{"name":"a","arguments":"{}"}},{"function":{"name":"b","arguments":"{}"}}]}` + tail,
		}, ""},
		"Bedrock's only call": {openai.Chat, []string{
			`{"choices":[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":[{"index":-1,"id":"1","function":{"name":"a","arguments":"{"}}]}}]}`,
			`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":-1,"function":{"arguments":"}"}}]}` + tail,
		}, `{"choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"1","function":{"name":"a","arguments":"{}"}}]}` + tail},
		"two calls with one index": {openai.Chat, []string{
			`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"1","function":{"name":"a","arguments":"{}"}}]}}]}`,
			`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"2","function":{"name":"b","arguments":"{}"}}]}` + tail,
		}, ""},
		"a name in two pieces": {openai.Chat, []string{
			`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"1","function":{"name":"a"}}]}}]}`,
			`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"name":"b"}}]}` + tail,
		}, ""},
		"half a pair of surrogates each": {openai.Chat, []string{
			`{"choices":[{"index":0,"delta":{"role":"assistant","content":"\ud83d"}}]}`, `{"choices":[{"index":0,"delta":{"content":"\ude00"}` + tail,
		}, `{"choices":[{"index":0,"message":{"role":"assistant","content":"😀"}` + tail},
		"Azure's events without a choice": {openai.Chat, []string{
			`{"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0}]}`,
			`{"choices":[{"index":0,"delta":{"role":"assistant","content":"a"},"content_filter_results":{}` + tail[:len(tail)-1] + `,"id":"x","created":7,"model":"m","object":"chat.completion.chunk"}`,
			`{"choices":[{"index":0,"delta":{},"finish_reason":null,"content_filter_results":{"hate":{"filtered":false}}}],"created":0,"id":"","model":"","object":""}`,
		}, `{"choices":[{"index":0,"message":{"role":"assistant","content":"a"},"content_filter_results":{"hate":{"filtered":false}}` + tail[:len(tail)-1] + `,"id":"x","created":7,"model":"m","object":"chat.completion","prompt_filter_results":[{"prompt_index":0}]}`},
		"Groq's usage": {openai.Chat, []string{
			`{"choices":[{"index":0,"delta":{"role":"assistant","content":"a"}` + tail[:len(tail)-1] + `,"x_groq":{"id":"r","usage":{"total_tokens":3}}}`,
		}, `{"choices":[{"index":0,"message":{"role":"assistant","content":"a"}` + tail[:len(tail)-1] + `,"usage":{"total_tokens":3},"x_groq":{"id":"r"}}`},
		"usage with each event: the last": {openai.Chat, []string{
			`{"choices":[{"index":0,"delta":{"role":"assistant","content":"a"}}],"usage":{"total_tokens":3}}`,
			`{"choices":[{"index":0,"delta":{}` + tail[:len(tail)-1] + `,"usage":{"total_tokens":4}}`, `{"choices":[],"usage":null,"obfuscation":"xx"}`,
		}, `{"choices":[{"index":0,"message":{"role":"assistant","content":"a"}` + tail[:len(tail)-1] + `,"usage":{"total_tokens":4}}`},
		"a choice that never ends":       {openai.Chat, []string{`{"choices":[{"index":0,"delta":{"content":"a"}}]}`}, ""},
		"no choice":                      {openai.Chat, []string{`{"id":"x","choices":[]}`}, ""},
		"a choice is missing":            {openai.Chat, []string{`{"choices":[{"index":1,"delta":{"content":"a"}` + tail}, ""},
		"content in parts":               {openai.Chat, []string{`{"choices":[{"index":0,"delta":{"content":[{"type":"text","text":"a"}]}` + tail}, ""},
		"lists that nobody knows":        {openai.Chat, []string{`{"choices":[{"index":0,"token_ids":[1],"delta":{"content":"a"}}]}`, `{"choices":[{"index":0,"token_ids":[2],"delta":{}` + tail}, ""},
		"the answer so far":              {openai.Chat, []string{`{"choices":[{"index":0,"message":{"content":"a"},"delta":{"content":"a"}` + tail}, ""},
		"a member twice":                 {openai.Chat, []string{`{"choices":[{"index":0,"delta":{"content":"a","content":"b"}` + tail}, ""},
		"an error in mid-stream":         {openai.Chat, []string{`{"choices":[{"index":0,"delta":{"content":"a"}` + tail, `{"error":{"message":"x"}}`}, ""},
		"a chat is no completion":        {openai.Completions, []string{`{"choices":[{"index":0,"delta":{"content":"a"}` + tail}, ""},
		"another object":                 {openai.Chat, []string{`{"object":"list","choices":[{"index":0,"delta":{"content":"a"}` + tail}, ""},
		"a completion with logprobs":     {openai.Completions, []string{`{"choices":[{"index":0,"text":"a","logprobs":{"tokens":["a"],"token_logprobs":[-1],"top_logprobs":null,"text_offset":[0]}}]}`, `{"choices":[{"index":0,"text":"b","logprobs":{"tokens":["b"],"token_logprobs":[-2],"top_logprobs":null,"text_offset":[1]}` + tail}, `{"choices":[{"index":0,"text":"ab","logprobs":{"tokens":["a","b"],"token_logprobs":[-1,-2],"top_logprobs":null,"text_offset":[0,1]}` + tail},
		"choices that nobody tells":      {openai.Chat, []string{`{"choices":[{"delta":{"content":"a"},"finish_reason":"stop"},{"delta":{"content":"b"}` + tail}, ""},
		"an index that is no index":      {openai.Chat, []string{`{"choices":[{"index":0.5,"delta":{"content":"a"}` + tail}, ""},
		"an index beyond all measure":    {openai.Chat, []string{`{"choices":[{"index":1e18,"delta":{"content":"a"}` + tail}, ""},
		"an event that is not an object": {openai.Chat, []string{`[]`}, ""},
	} {
		var stream [][]byte
		for _, e := range append(c.events, "[DONE]") {
			stream = append(stream, []byte("data: "+e+"\n\n"))
		}
		got, err := convert.PlainFromStream(c.api, stream)
		if c.want == "" {
			if !errors.Is(err, convert.ErrNotConvertible) {
				t.Errorf("%s: %v %s", name, err, got)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(meaning(t, []byte(c.want)), meaning(t, got)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
		if _, err := convert.PlainFromStream(c.api, stream[:len(stream)-1]); !errors.Is(err, convert.ErrNotConvertible) {
			t.Errorf("%s, without its end: %v", name, err)
		}
	}
}

// TestMessageByHand: null in the last counts says no more than what the first event told.
func TestMessageByHand(t *testing.T) {
	stream := lines(
		`{"type":"message_start","message":{"id":"m","type":"message","content":[],"stop_reason":null,"container":{"id":"c"},"usage":{"input_tokens":3,"output_tokens":1}}}`,
		`{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_details":null,"container":null},"usage":{"input_tokens":null,"output_tokens":2}}`,
		`{"type":"message_stop"}`)
	want := `{"id":"m","type":"message","content":[],"stop_reason":"end_turn","stop_details":null,"container":{"id":"c"},"usage":{"input_tokens":3,"output_tokens":2}}`
	if diff := cmp.Diff(meaning(t, []byte(want)), meaning(t, plainOf(t, openai.Messages, stream))); diff != "" {
		t.Error(diff)
	}
	for i := range stream {
		if body, err := convert.PlainFromStream(openai.Messages, slices.Delete(slices.Clone(stream), i, i+1)); !errors.Is(err, convert.ErrNotConvertible) {
			t.Errorf("without event %d: %v %s", i, err, body)
		}
	}
}

// TestTooLarge: a stream whose reader left an event out is not whole.
func TestTooLarge(t *testing.T) {
	huge := `{"choices":[{"index":0,"delta":{"content":"` + strings.Repeat("a", 9<<20) + `"}}]}`
	end := `{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`
	if _, err := convert.PlainFromStream(openai.Chat, lines(huge, end, "[DONE]")); !errors.Is(err, convert.ErrNotConvertible) {
		t.Error(err)
	}
	members := `{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]`
	for i := range 1000 {
		members += `,"member` + strconv.Itoa(i) + `":1`
	}
	if _, err := convert.PlainFromStream(openai.Chat, lines(members+"}", "[DONE]")); !errors.Is(err, convert.ErrNotConvertible) {
		t.Error(err)
	}
	if _, err := convert.StreamFromPlain(openai.Chat, []byte(members+"}"), convert.Options{}); !errors.Is(err, convert.ErrNotConvertible) {
		t.Error(err)
	}
}

// TestEvents: no piece of a text ends within a character; what is told once is told once; who appends
// to an event leaves the next alone.
func TestEvents(t *testing.T) {
	emoji := `\u00e9` + strings.Repeat(`\ud83d\ude00`, 40) + strings.Repeat("é日", 40) + strings.Repeat(`\\\"`, 40)
	body := `{"id":"x","object":"chat.completion","citations":["u"],"choices":[{"index":0,"message":{"role":"assistant","content":"` + emoji + `"},"finish_reason":"stop"}]}`
	stream := streamOf(t, openai.Chat, body, false)
	whole := bytes.Join(stream, nil)
	if bytes.Count(whole, []byte(`"citations"`)) != 1 || len(stream) < 10 {
		t.Errorf("%s", whole)
	}
	for _, event := range stream[:len(stream)-1] {
		tree := meaning(t, bytes.TrimPrefix(event, []byte("data: ")))
		text, err := json.Marshal(tree)
		if err != nil || bytes.Contains(text, []byte(`\ufffd`)) || bytes.ContainsRune(text, '\ufffd') {
			t.Errorf("%v %s", err, text)
		}
	}
	for _, event := range stream {
		_ = append(event, "overwritten"...)
	}
	if !bytes.Equal(whole, bytes.Join(stream, nil)) {
		t.Error("an event lies in the next one's memory")
	}
}

// TestNoStream are bodies that have no streamed form, or none that is known.
func TestNoStream(t *testing.T) {
	for name, body := range map[string]string{
		"chat-error":           `{"error":{"message":"x"}}`,
		"chat-spoken":          load(t, "../testdata/chat-whole-audio.body"),
		"chat-html":            load(t, "../testdata/chat-whole-html.body"),
		"chat-list":            load(t, "../testdata/chat-whole-error-list.body"),
		"chat-parts":           `{"choices":[{"index":0,"message":{"role":"assistant","content":[{"type":"text","text":"a"}]},"finish_reason":"stop"}]}`,
		"chat-endless":         `{"choices":[{"index":0,"message":{"role":"assistant","content":"a"},"finish_reason":null}]}`,
		"chat-arguments":       `{"choices":[{"index":0,"message":{"tool_calls":[{"function":{"name":"a","arguments":{}}}]},"finish_reason":"stop"}]}`,
		"chat-order":           `{"choices":[{"index":1,"message":{"content":"a"},"finish_reason":"stop"}]}`,
		"chat-twice":           `{"choices":[{"index":0,"message":{"content":"a","content":"b"},"finish_reason":"stop"}]}`,
		"chat-cut":             `{"choices":[{"index":0,"message":{"content":"a`,
		"completions-chat":     `{"choices":[{"index":0,"message":{"content":"a"},"finish_reason":"stop"}]}`,
		"completions-logprobs": `{"choices":[{"index":0,"text":"ab","logprobs":{"tokens":["a","b"],"token_logprobs":[1]},"finish_reason":"stop"}]}`,
		"responses-failed":     `{"id":"r","status":"failed","error":{"code":"x"},"output":[]}`,
		"responses-queued":     `{"id":"r","status":"queued","output":[]}`,
		"responses-item":       `{"id":"r","status":"completed","output":[{"id":"w","type":"web_search_call","status":"completed"}]}`,
		"responses-part":       `{"id":"r","status":"completed","output":[{"id":"m","type":"message","content":[{"type":"hologram"}]}]}`,
		"messages-error":       load(t, "../testdata/messages-whole-error.body"),
		"messages-block":       `{"type":"message","role":"assistant","content":[{"type":"hologram"}],"stop_reason":"end_turn","usage":{"output_tokens":1}}`,
		"embeddings-whole":     load(t, "../testdata/embeddings-whole.body"),
	} {
		stream, err := convert.StreamFromPlain(apiOf(name), []byte(body), convert.Options{})
		if !errors.Is(err, convert.ErrNotConvertible) {
			t.Errorf("%s: %v\n%s", name, err, bytes.Join(stream, nil))
		}
	}
}

// TestErrorsKeepQuiet: an error must not quote the answer.
func TestErrorsKeepQuiet(t *testing.T) {
	for _, body := range []string{`{"choices":[{"index":0,"finish_reason":"SECRET","message":"SECRET"}]}`, `{"object":"SECRET"}`, `SECRET`, `{"choices":"SECRET"}`} {
		_, there := convert.StreamFromPlain(openai.Chat, []byte(body), convert.Options{})
		_, back := convert.PlainFromStream(openai.Chat, [][]byte{[]byte("data: " + body + "\n\n")})
		for _, err := range []error{there, back} {
			if err == nil || strings.Contains(err.Error(), "SECRET") {
				t.Errorf("%s: %v", body, err)
			}
		}
	}
}
