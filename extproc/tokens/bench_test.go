package tokens_test

import (
	"strings"
	"testing"

	"tollgate/extproc/openai"
	"tollgate/extproc/tokens"
)

// chatOf is a chat of as much text.
func chatOf(tb testing.TB, text string) *openai.Request {
	tb.Helper()
	return ask(tb, openai.Chat, `{"model":"gpt-4o","max_tokens":100,"stream":true,"messages":[{"role":"system","content":"You are a helpful assistant."},{"role":"user","content":`+quote(tb, text)+`}]}`)
}

func BenchmarkReserve(b *testing.B) {
	text := strings.Repeat(corpus(b)["english"].text, 10)
	for name, request := range map[string]*openai.Request{"2KB": chatOf(b, text[:2<<10]), "1MB of a": chatOf(b, strings.Repeat("a", 1<<20))} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(request.Fields["messages"])))
			b.ReportAllocs()
			for b.Loop() {
				tokens.Reserve(request)
			}
		})
	}
}

// BenchmarkCount: all but the first are texts that byte pair encoding is slow at.
func BenchmarkCount(b *testing.B) {
	for name, text := range map[string]string{
		"2KB":              strings.Repeat(corpus(b)["english"].text, 10)[:2<<10],
		"1MB":              strings.Repeat(corpus(b)["english"].text, 2<<10)[:1<<20],
		"1MB of a":         strings.Repeat("a", 1<<20),
		"1MB of \\n":       strings.Repeat(" \n", 1<<19),
		"1MB of no spaces": strings.Repeat("qzxjkvbwpy", 1<<20/10),
		"1MB of signs":     strings.Repeat("\u0301\xff\u2028", 1<<20/6),
	} {
		request := chatOf(b, text)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				tokens.Count(request, nil)
			}
		})
	}
}
