package chatlog

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"tollgate/extproc/exchange"
	"tollgate/extproc/openai"
)

type nowhere struct{}

func (nowhere) Write(lines []byte) (int, error) { return len(lines), nil }
func (nowhere) Close() error                    { return nil }

// BenchmarkRecord is the record of one chat: a prompt of 1 KB, and an answer of 2 KB.
func BenchmarkRecord(b *testing.B) {
	chosen := options(b.TempDir())
	chosen.open = func(string) io.WriteCloser { return nowhere{} }
	l := New(chosen)
	request, err := openai.ParseRequest(openai.Chat, "application/json",
		fmt.Appendf(nil, `{"model":"gpt-4o","messages":[{"role":"user","content":%q}],"max_tokens":100}`, strings.Repeat("word ", 200)))
	if err != nil {
		b.Fatal(err)
	}
	answer := &openai.Answer{
		Choices: []openai.Choice{{Role: "assistant", Text: strings.Repeat("word ", 400), FinishReason: "stop"}},
		Usage:   &openai.Usage{Prompt: 200, Completion: 400, Total: 600},
	}
	b.ReportAllocs()
	for b.Loop() {
		r := l.Begin(newCall("0123456789ABCDEF"))
		r.Asked(request)
		r.Done(answer, exchange.End{Cause: exchange.Whole, Status: 200})
	}
}
