package usage

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"tollgate/extproc/openai"
)

func TestSpeaks(t *testing.T) {
	for _, c := range []struct {
		name  string
		event openai.Event
		want  bool
	}{
		{"chat, role", openai.Event{Data: []byte(`{"choices":[{"delta":{"role":"assistant","content":""}}]}`)}, false},
		{"chat, null", openai.Event{Data: []byte(`{"choices":[{"delta":{"content":null}}]}`)}, false},
		{"chat, text", openai.Event{Data: []byte(`{"choices":[{"delta":{"content":"Hi"}}]}`)}, true},
		{"chat, with spaces", openai.Event{Data: []byte(`{"choices": [{"delta": {"content" : "Hi"}}]}`)}, true},
		{"chat, thoughts", openai.Event{Data: []byte(`{"choices":[{"delta":{"content":null,"reasoning_content":"Hm"}}]}`)}, true},
		{"chat, arguments", openai.Event{Data: []byte(`{"choices":[{"delta":{"tool_calls":[{"function":{"arguments":"{\""}}]}}]}`)}, true},
		{"chat, a tool's name", openai.Event{Data: []byte(`{"choices":[{"delta":{"tool_calls":[{"function":{"name":"f","arguments":""}}]}}]}`)}, false},
		{"chat, usage", openai.Event{Data: []byte(`{"choices":[],"usage":{"prompt_tokens":1}}`)}, false},
		{"the end", openai.Event{Data: []byte(`[DONE]`)}, false},
		{"completions", openai.Event{Data: []byte(`{"choices":[{"text":"Hi"}]}`)}, true},
		{"responses, instructions", openai.Event{Name: "response.created", Data: []byte(`{"response":{"instructions":[{"content":"Be brief"}]}}`)}, false},
		{"responses, text", openai.Event{Name: "response.output_text.delta", Data: []byte(`{"delta":"Hi"}`)}, true},
		{"messages, start", openai.Event{Name: "message_start", Data: []byte(`{"message":{"content":[]}}`)}, false},
		{"messages, block", openai.Event{Name: "content_block_start", Data: []byte(`{"content_block":{"type":"text","text":""}}`)}, false},
		{"messages, ping", openai.Event{Name: "ping", Data: []byte(`{"type": "ping"}`)}, false},
		{"messages, text", openai.Event{Name: "content_block_delta", Data: []byte(`{"delta":{"type":"text_delta","text":"Hi"}}`)}, true},
		{"messages, thoughts", openai.Event{Name: "content_block_delta", Data: []byte(`{"delta":{"type":"thinking_delta","thinking":"Hm"}}`)}, true},
		{"empty", openai.Event{}, false},
		{"cut", openai.Event{Data: []byte(`{"content":"`)}, false},
		{"cut earlier", openai.Event{Data: []byte(`{"content"`)}, false},
		{"quoted", openai.Event{Data: []byte(`{"id":"\"content\":\"x"}`)}, false},
	} {
		t.Run(c.name, func(t *testing.T) { assert.Equal(t, c.want, speaks(&c.event)) })
	}
}

func TestFirstToken(t *testing.T) {
	var f firstToken
	for i, e := range streamed() {
		assert.Equal(t, i == 2, f.see(e, atHalf))
	}
	assert.Equal(t, after(0.5), f.at)

	f = firstToken{}
	assert.False(t, f.see(nil, atHalf))
	assert.False(t, f.see(&openai.Event{Whole: true, Data: streamed()[2].Data}, atHalf), "a whole body is no token")
	for range lookAt {
		f.see(event(`{"ping":1}`), atHalf)
	}
	assert.False(t, f.see(streamed()[2], atHalf), "an end to looking")
}

func TestFirstTokenAllocatesNothing(t *testing.T) {
	events := streamed()
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		var f firstToken
		for _, e := range events {
			f.see(e, atHalf)
		}
	}))
}

func BenchmarkEventWithoutContent(b *testing.B) {
	e := streamed()[0]
	b.ReportAllocs()
	for b.Loop() {
		var f firstToken
		f.see(e, time.Now)
	}
}

func BenchmarkEventAfterTheFirst(b *testing.B) {
	f := firstToken{at: noon()}
	e := streamed()[3]
	b.ReportAllocs()
	for b.Loop() {
		f.see(e, time.Now)
	}
}
