package usage

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tollgate/extproc/exchange"
	"tollgate/extproc/openai"
)

// sentinel is a key that must appear nowhere.
const sentinel = "sk-SENTINEL-0123456789abcdef"

// noon is when all test calls begin.
func noon() time.Time { return time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC) }

func after(seconds float64) time.Time {
	return noon().Add(time.Duration(seconds * float64(time.Second)))
}

// aCall is a chat by alice.
func aCall() *exchange.Call {
	return &exchange.Call{
		ID: "call-1", Began: noon(), Route: "/", Upstream: "openai",
		Key: "0a1b2c3d", Client: "alice",
		Method: "POST", Path: "/v1/chat/completions", ContentType: "application/json",
	}
}

func aRequest(t testing.TB) *openai.Request {
	t.Helper()
	const body = `{
		"model": "gpt-4o", "stream": true, "max_tokens": 100, "temperature": 0.5, "top_p": 0.9, "n": "two",
		"api_key": "` + sentinel + `",
		"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "A secret question"}]
	}`
	r := &openai.Request{API: openai.Chat, Model: "gpt-4o", Stream: true}
	require.NoError(t, json.Unmarshal([]byte(body), &r.Fields))
	return r
}

func anAnswer() *openai.Answer {
	return &openai.Answer{
		ID: "chatcmpl-1", Model: "gpt-4o-2024-08-06", Finished: true,
		Choices: []openai.Choice{{Role: "assistant", Text: "A secret answer", FinishReason: "stop"}},
		Usage:   &openai.Usage{Prompt: 20, Completion: 11, Total: 31, Cached: 8, Reasoning: 3},
	}
}

func anEnd() exchange.End {
	return exchange.End{
		Cause: exchange.Whole, Status: 200, First: after(0.25), Last: after(1.5), Events: 13, Bytes: 2000,
	}
}

func event(data string) *openai.Event { return &openai.Event{Data: []byte(data)} }

// streamed are the events of a chat: the third is the first that says something.
func streamed() []*openai.Event {
	return []*openai.Event{
		event(`{"choices":[{"delta":{"role":"assistant","content":""}}]}`),
		event(`{"choices":[{"delta":{}}]}`),
		event(`{"choices":[{"delta":{"content":"A secret"}}]}`),
		event(`{"choices":[{"delta":{"content":" answer"}}]}`),
	}
}

// listener is what a Meter and a Span have in common.
type listener interface {
	Asked(request *openai.Request)
	Event(event *openai.Event)
	Done(answer *openai.Answer, end exchange.End)
}

func hear(l listener, request *openai.Request, answer *openai.Answer, end exchange.End) {
	l.Asked(request)
	for _, e := range streamed() {
		l.Event(e)
	}
	l.Done(answer, end)
}

// atHalf is a clock by which the first token comes half a second after noon.
func atHalf() time.Time { return after(0.5) }

func someMetrics() *Metrics {
	m := NewMetrics("v1.2.3")
	m.now = atHalf
	return m
}
