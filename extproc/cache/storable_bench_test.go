package cache_test

import (
	"strings"
	"testing"

	"tollgate/extproc/cache"
	"tollgate/extproc/openai"
)

// BenchmarkStorable is an answer of 2 KB, as it is read before it is kept.
func BenchmarkStorable(b *testing.B) {
	body := []byte(`{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-4o","choices":[{"index":0,"message":{"role":"assistant","content":"` +
		strings.Repeat("word ", 400) + `","refusal":null},"logprobs":null,"finish_reason":"stop"}],` +
		`"usage":{"prompt_tokens":250,"completion_tokens":400,"total_tokens":650,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}}}`)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		assembler := openai.NewAssembler(openai.Chat)
		assembler.Bare = true
		assembler.Add(&openai.Event{Data: body, Whole: true})
		if err := cache.Storable(openai.Chat, 200, assembler.Answer(), false, body); err != nil {
			b.Fatal(err)
		}
	}
}
