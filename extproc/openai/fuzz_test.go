package openai_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"tollgate/extproc/openai"
)

// FuzzAssembler wants no panic, the same from any pieces, and no more text than allowed.
func FuzzAssembler(f *testing.F) {
	apis := []openai.API{openai.Chat, openai.Completions, openai.Responses, openai.Embeddings, openai.Transcriptions, openai.Messages, openai.Other}
	which := map[openai.API]uint8{}
	for i, api := range apis {
		which[api] = uint8(i)
	}
	for _, file := range append(recorded(f, "*.sse"), recorded(f, "*.body")...) {
		f.Add(which[apiOf(file)], load(f, file), uint16(33))
	}
	f.Fuzz(func(t *testing.T, which uint8, stream []byte, size uint16) {
		api := apis[int(which)%len(apis)]
		whole := assemble(api, stream, max(1, len(stream)))
		if diff := cmp.Diff(golden(t, whole), golden(t, assemble(api, stream, int(size)+1))); diff != "" {
			t.Error(diff)
		}
		body := assembleWhole(api, stream)
		golden(t, body)
		small := openai.NewAssembler(api)
		small.MaxAnswer = 10
		small.Add(&openai.Event{Data: stream, Whole: true})
		kept := 0
		for _, c := range small.Answer().Choices {
			kept += len(c.Text) + len(c.Refusal) + len(c.Reasoning)
			if utf8.Valid(stream) && !utf8.ValidString(c.Text) {
				t.Errorf("text cut within a rune: %q", c.Text)
			}
			for _, call := range c.ToolCalls {
				kept += len(call.Function.Name) + len(call.Function.Arguments)
			}
		}
		if kept > 10 {
			t.Errorf("%d bytes kept", kept)
		}
	})
}

// TestDeepNesting: a stack that overflows ends the program, and nothing recovers from it.
func TestDeepNesting(t *testing.T) {
	for _, n := range []int{1000, 30_000, 4 << 20} {
		deep := []byte(`{"choices":` + strings.Repeat("[", n) + strings.Repeat("]", n) + "}")
		if _, err := openai.ParseRequest(openai.Chat, "", deep); (err != nil) != (n > 1<<20) {
			t.Errorf("%d levels: %v", n, err)
		}
		if a := assembleWhole(openai.Chat, deep); a.Answer().Finished != (n < 1<<20) {
			t.Errorf("%d levels: %d malformed", n, a.Malformed())
		}
		open := deep[:n]
		if a := assembleWhole(openai.Messages, open); a.Malformed() != 1 {
			t.Errorf("%d levels without end: %d malformed", n, a.Malformed())
		}
	}
}

// BenchmarkAssembler adds a chunk as OpenAI sends hundreds of.
func BenchmarkAssembler(b *testing.B) {
	text := `{"type":"response.output_text.delta","sequence_number":7,"item_id":"msg_67c9fdcf37fc8190ba82116e33fb28c507b8b0ad4e5eb654","output_index":0,"content_index":0,"delta":" something"}`
	block := `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" something"}}`
	for api, data := range map[openai.API]string{openai.Chat: delta[len("data: "):], openai.Responses: text, openai.Messages: block} {
		b.Run(string(api), func(b *testing.B) {
			a, e := openai.NewAssembler(api), event(data)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				a.Add(e)
			}
		})
	}
}
