package usage

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tollgate/extproc/openai"
)

func TestPromptsOnlyIfAskedFor(t *testing.T) {
	for _, asked := range []bool{false, true} {
		c := grpcCollector(t)
		tracer := newTracer(t, TraceOptions{Endpoint: c.url, SampleRatio: 1, Prompts: asked})
		hear(tracer.Begin(aCall()), aRequest(t), anAnswer(), anEnd())
		require.NoError(t, tracer.Shutdown(t.Context()))
		text := c.text(t)
		assert.Equal(t, asked, strings.Contains(text, "A secret question"))
		assert.Equal(t, asked, strings.Contains(text, "A secret answer"))
		assert.NotContains(t, text, sentinel)
	}
}

func TestPrompts(t *testing.T) {
	for _, c := range []struct{ name, field, value, want string }{
		{
			"messages", "messages", `[{"role":"user","content":"Hi"}]`,
			`[{"role":"user","parts":[{"type":"text","content":"Hi"}]}]`,
		},
		{
			"parts", "messages",
			`[{"role":"user","content":[{"type":"text","text":"What is this?"},{"type":"image_url","image_url":{"url":"data:"}}]}]`,
			`[{"role":"user","parts":[{"type":"text","content":"What is this?"},{"type":"image_url"}]}]`,
		},
		{
			"a tool", "messages",
			`[{"role":"assistant","content":null,"tool_calls":[{"id":"c1","function":{"name":"f","arguments":"{}"}}]},
			  {"role":"tool","tool_call_id":"c1","content":"42"}]`,
			`[{"role":"assistant","parts":[{"type":"tool_call","id":"c1","name":"f","arguments":"{}"}]},
			  {"role":"tool","parts":[{"type":"tool_call_response","id":"c1","response":"42"}]}]`,
		},
		{"a prompt", "prompt", `"Once"`, `[{"role":"user","parts":[{"type":"text","content":"Once"}]}]`},
		{
			"prompts", "prompt", `["Once", "Twice"]`,
			`[{"role":"user","parts":[{"type":"text","content":"Once"}]},{"role":"user","parts":[{"type":"text","content":"Twice"}]}]`,
		},
		{"an input", "input", `"Hi"`, `[{"role":"user","parts":[{"type":"text","content":"Hi"}]}]`},
		{
			"inputs", "input", `[{"role":"user","content":[{"type":"input_text","text":"Hi"}]}]`,
			`[{"role":"user","parts":[{"type":"text","content":"Hi"}]}]`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			as := prompts(&openai.Request{Fields: map[string]json.RawMessage{c.field: json.RawMessage(c.value)}})
			require.Len(t, as, 1)
			assert.Equal(t, "gen_ai.input.messages", string(as[0].Key))
			assert.JSONEq(t, c.want, as[0].Value.AsString())
		})
	}
}

func TestInstructions(t *testing.T) {
	as := prompts(&openai.Request{Fields: map[string]json.RawMessage{"system": json.RawMessage(`"Be brief"`)}})
	require.Len(t, as, 1)
	assert.JSONEq(t, `[{"type":"text","content":"Be brief"}]`, as[0].Value.AsString())
}

func TestAnswers(t *testing.T) {
	as := answers(&openai.Answer{Choices: []openai.Choice{{
		Reasoning: "Hm", Text: "Hi", FinishReason: "tool_calls",
		ToolCalls: []openai.ToolCall{{ID: "c1", Function: openai.Function{Name: "f", Arguments: "{}"}}},
	}}})
	require.Len(t, as, 1)
	assert.JSONEq(t, `[{"role":"assistant","finish_reason":"tool_calls","parts":[
		{"type":"reasoning","content":"Hm"},{"type":"text","content":"Hi"},
		{"type":"tool_call","id":"c1","name":"f","arguments":"{}"}]}]`, as[0].Value.AsString())
}

// TestLongPrompts keeps the newest of a long talk, and it stays JSON.
func TestLongPrompts(t *testing.T) {
	var talk []map[string]string
	for range 100 {
		talk = append(talk, map[string]string{"role": "user", "content": strings.Repeat("é", maxText)})
	}
	talk = append(talk, map[string]string{"role": "user", "content": "the last word"})
	raw, err := json.Marshal(talk)
	require.NoError(t, err)
	as := prompts(&openai.Request{Fields: map[string]json.RawMessage{"messages": raw}})
	require.Len(t, as, 1)
	got := as[0].Value.AsString()
	assert.LessOrEqual(t, len(got), maxMessages+2)
	assert.True(t, json.Valid([]byte(got)))
	assert.Contains(t, got, "the last word")
}

// FuzzPrompts is given anything that could stand in a request.
func FuzzPrompts(f *testing.F) {
	f.Add([]byte(`[{"role":"user","content":[{"type":"text","text":"Hi"}, 3, null]}]`))
	f.Add([]byte(`[1, 2, 3]`))
	f.Add([]byte(`{"a": []}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if !json.Valid(raw) {
			return
		}
		for _, field := range []string{"messages", "system"} {
			for _, a := range prompts(&openai.Request{Fields: map[string]json.RawMessage{field: raw}}) {
				assert.True(t, json.Valid([]byte(a.Value.AsString())))
				assert.LessOrEqual(t, len(a.Value.AsString()), maxMessages+2)
			}
		}
	})
}
