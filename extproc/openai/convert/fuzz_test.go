package convert_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/extproc/openai"
	"tollgate/extproc/openai/convert"
)

var apis = []openai.API{openai.Chat, openai.Completions, openai.Responses, openai.Messages}

// FuzzThereAndBack: a body that can be streamed is the same when it is put together again.
func FuzzThereAndBack(f *testing.F) {
	for name, body := range bodies(f) {
		for i, api := range apis {
			if api == apiOf(name) && len(body) < 1<<14 {
				f.Add(uint8(i), body)
			}
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, body string) {
		api := apis[int(which)%len(apis)]
		stream, err := convert.StreamFromPlain(api, []byte(body), convert.Options{IncludeUsage: true})
		if err != nil {
			if !errors.Is(err, convert.ErrNotConvertible) {
				t.Error(err)
			}
			return
		}
		got := plainOf(t, api, stream)
		want := normal(meaning(t, []byte(body)))
		if diff := cmp.Diff(want, normal(meaning(t, got))); diff != "" {
			t.Errorf("(-before +after)\n%s", diff)
		}
	})
}

// normal is a chat's meaning with what the way there and back may add or take, as StreamFromPlain says.
func normal(answer any) any {
	object, _ := answer.(map[string]any)
	choices, _ := object["choices"].([]any)
	for _, c := range choices {
		choice, _ := c.(map[string]any)
		message, ok := choice["message"].(map[string]any)
		if !ok {
			continue
		}
		if _, has := message["content"]; !has {
			message["content"] = nil
		}
		if role := message["role"]; role == nil || role == "" {
			message["role"] = "assistant"
		}
		calls, _ := message["tool_calls"].([]any)
		for _, call := range calls {
			if call, ok := call.(map[string]any); ok {
				delete(call, "index")
			}
		}
	}
	return answer
}

// FuzzPlainFromStream wants no panic, JSON or the one error, and the same from any pieces.
func FuzzPlainFromStream(f *testing.F) {
	for _, file := range files(f, "../testdata/*.sse") {
		for i, api := range apis {
			if api == apiOf(file) {
				f.Add(uint8(i), []byte(load(f, file)), uint16(33))
			}
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, stream []byte, size uint16) {
		api := apis[int(which)%len(apis)]
		var pieces [][]byte
		for rest, n := stream, int(size)+1; len(rest) > 0; rest = rest[min(n, len(rest)):] {
			pieces = append(pieces, rest[:min(n, len(rest))])
		}
		body, err := convert.PlainFromStream(api, [][]byte{stream})
		inPieces, errInPieces := convert.PlainFromStream(api, pieces)
		if (err == nil) != (errInPieces == nil) || !bytes.Equal(body, inPieces) {
			t.Errorf("%v %s, in pieces %v %s", err, body, errInPieces, inPieces)
		}
		if err != nil && !errors.Is(err, convert.ErrNotConvertible) || err == nil && !json.Valid(body) {
			t.Errorf("%v %s", err, body)
		}
	})
}

// answer is a plain chat of about n bytes of text.
func answer(n int) []byte {
	text, _ := json.Marshal(strings.Repeat("Many hands make light \"work\", so they say.\n", n/44))
	return []byte(`{"id":"chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG","object":"chat.completion","created":1741570283,"model":"gpt-4o-2024-08-06",` +
		`"choices":[{"index":0,"message":{"role":"assistant","content":` + string(text) + `,"refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],` +
		`"usage":{"prompt_tokens":19,"completion_tokens":500,"total_tokens":519},"service_tier":"default","system_fingerprint":"fp_44709d6fcb"}`)
}

func BenchmarkStreamFromPlain(b *testing.B) {
	body := answer(2 << 10)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := convert.StreamFromPlain(openai.Chat, body, convert.Options{IncludeUsage: true}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPlainFromStream reads the events as upstreams send them: one a token.
func BenchmarkPlainFromStream(b *testing.B) {
	var stream []byte
	head := `data: {"id":"chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG","object":"chat.completion.chunk","created":1741570283,"model":"gpt-4o-2024-08-06","service_tier":"default","system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,"delta":`
	stream = append(stream, head+`{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}]}`+"\n\n"...)
	for range 2 << 10 / 4 {
		stream = append(stream, head+`{"content":" and"},"logprobs":null,"finish_reason":null}]}`+"\n\n"...)
	}
	stream = append(stream, head+`{},"logprobs":null,"finish_reason":"stop"}]}`+"\n\ndata: [DONE]\n\n"...)
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := convert.PlainFromStream(openai.Chat, [][]byte{stream}); err != nil {
			b.Fatal(err)
		}
	}
}
