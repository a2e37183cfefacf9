package tokens_test

import (
	"strings"
	"testing"

	"tollgate/extproc/openai"
	"tollgate/extproc/tokens"
)

// TestPrompts: which parts of a request's body take tokens. "one two three" is three; around a message
// are four, and three before the answer.
func TestPrompts(t *testing.T) {
	for _, test := range []struct {
		api  openai.API
		body string
		want int
	}{
		{openai.Completions, `{"prompt":"one two three"}`, 3},
		{openai.Completions, `{"prompt":["one two three","one"]}`, 4},
		{openai.Completions, `{"prompt":[10,20,30,40]}`, 4},
		{openai.Completions, `{"prompt":[[10,20],[30]]}`, 3},
		{openai.Completions, `{"prompt":"one","suffix":" two three"}`, 3},
		{openai.Completions, `{"prompt":null}`, 0},
		{openai.Embeddings, `{"input":"one two three"}`, 3},
		{openai.Embeddings, `{"input":["one two three","one two three"]}`, 6},
		{openai.Embeddings, `{"input":[[1,2,3],[4,5]]}`, 5},
		{openai.Embeddings, `{"messages":[{"content":"one two three"}]}`, 0},

		{openai.Chat, `{"messages":[{"role":"user","content":"one two three"}]}`, 3 + 4 + 3},
		{openai.Chat, `{"messages":[{"role":"user","content":"one two three"}],"prompt":"one","metadata":{"a":"b"},"user":"alice"}`, 3 + 4 + 3},
		{openai.Chat, `{"messages":[{"role":"user","name":"one","content":"one two three"}]}`, 3 + 4 + 3 + 1 + 1},
		{openai.Chat, `{"messages":[{"role":"user","content":[{"type":"text","text":"one two"},{"text":" three","type":"text"}]}]}`, 3 + 4 + 3},
		{openai.Chat, `{"messages":[{"role":"assistant","content":null,"refusal":"one two three"}]}`, 3 + 4 + 3},
		{openai.Chat, `{"messages":[{"role":"assistant","reasoning_content":"one two three"},{"role":"tool","tool_call_id":"call_1","content":"one"}]}`, 3 + 4 + 3 + 4 + 1},
		{openai.Chat, `{"messages":[{"role":"assistant","tool_calls":[{"id":"call_1","type":"function","function":{"name":"one","arguments":"one two three"}}]}]}`, 3 + 4 + 1 + 1 + 3},
		{openai.Chat, `{"messages":[{"role":"assistant","function_call":{"name":"one","arguments":"one two three"}}]}`, 3 + 4 + 1 + 1 + 3},
		{openai.Chat, `{"messages":[],"tools":"one","response_format":{"type":"json_object"}}`, 3},
		{openai.Chat, `{"messages":[],"response_format":{"type":"json_schema","json_schema":{"a":1}}}`, 3 + 5},
		{openai.Chat, `{"messages":[],"functions":[{"a":1}]}`, 3 + 6},
		{openai.Chat, `{"messages":"no list"}`, 3 + 4 + 2},

		{openai.Responses, `{"input":"one two three"}`, 3 + 4 + 3},
		{openai.Responses, `{"input":"one two three","instructions":"one"}`, 3 + 4 + 3 + 4 + 1},
		{openai.Responses, `{"input":[{"role":"user","content":[{"type":"input_text","text":"one two three"}]}]}`, 3 + 4 + 3},
		{openai.Responses, `{"input":[{"type":"function_call","call_id":"x","name":"one","arguments":"one"},{"type":"function_call_output","call_id":"x","output":"one two three"}]}`, 3 + 4 + 1 + 1 + 1 + 4 + 3},
		{openai.Responses, `{"input":[{"type":"custom_tool_call","name":"one","input":"one two three"},{"type":"custom_tool_call_output","output":[{"type":"input_text","text":"one"}]}]}`, 3 + 4 + 1 + 1 + 3 + 4 + 1},
		{openai.Responses, `{"input":[{"type":"reasoning","summary":[{"type":"summary_text","text":"one"}],"encrypted_content":"gAAAAABoISQ24OyVRYbkYfukdJoqdzWT"}]}`, 3 + 4 + 1},

		{openai.Messages, `{"system":"one","messages":[{"role":"user","content":"one two three"}]}`, 3 + 4 + 1 + 4 + 3},
		{openai.Messages, `{"system":[{"type":"text","text":"one","cache_control":{"type":"ephemeral"}}],"messages":[]}`, 3 + 4 + 1},
		{openai.Messages, `{"messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"one two three","signature":"EqQBCgIYAhIM"},{"type":"tool_use","id":"x","name":"one","input":{"a":1}}]}]}`, 3 + 4 + 3 + 1 + 1 + 5},
		{openai.Messages, `{"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"x","content":"one"},{"type":"tool_result","content":[{"type":"text","text":"one two three"}]}]}]}`, 3 + 4 + 1 + 3},
		{openai.Messages, `{"messages":[{"role":"user","content":[{"type":"document","title":"one","source":{"type":"text","media_type":"text/plain","data":"one two three"}}]}]}`, 3 + 4 + 1 + 3},
		{openai.Messages, `{"messages":[{"role":"user","content":[{"type":"tool_result","content":[{"type":"document","source":{"type":"content","content":[{"type":"text","text":"one two three"}]}}]}]}]}`, 3 + 4 + 3},

		{openai.Transcriptions, `{"prompt":"one two three"}`, 600 + 3},
		{openai.Other, `{"messages":[{"content":"one two three"}]}`, 0},
	} {
		request := ask(t, test.api, test.body)
		if got := tokens.Count(request, nil).Prompt; got != test.want {
			t.Errorf("%s %s: %d tokens, want %d", test.api, test.body, got, test.want)
		}
		if got := tokens.Reserve(request).Prompt; got < uint64(test.want) {
			t.Errorf("%s %s: %d tokens are reserved for %d", test.api, test.body, got, test.want)
		}
	}
}

// TestMedia: images and the like take flat figures, whatever their bytes.
func TestMedia(t *testing.T) {
	for _, test := range []struct {
		api   openai.API
		model string
		part  string // DATA stands for its bytes
		want  uint64
	}{
		{openai.Chat, "gpt-4o", `{"type":"image_url","image_url":{"url":"data:image/png;base64,DATA","detail":"low"}}`, 85},
		{openai.Chat, "gpt-4o", `{"image_url":{"url":"data:image/png;base64,DATA"},"type":"image_url"}`, 1105},
		{openai.Chat, "ft:gpt-4.1:acme", `{"type":"image_url","image_url":{"url":"data:image/png;base64,DATA","detail":"high"}}`, 1105},
		{openai.Chat, "openai/gpt-4o-mini", `{"type":"image_url","image_url":{"url":"DATA","detail":"low"}}`, 2833},
		{openai.Chat, "gpt-4o-mini", `{"type":"image_url","image_url":{"url":"DATA"}}`, 36835},
		{openai.Chat, "gpt-4.1-mini", `{"type":"image_url","image_url":{"url":"DATA"}}`, 2642},
		{openai.Chat, "gpt-5-nano", `{"type":"image_url","image_url":{"url":"DATA"}}`, 3779},
		{openai.Chat, "gpt-5", `{"type":"image_url","image_url":{"url":"DATA","detail":"low"}}`, 70},
		{openai.Chat, "gpt-5.2", `{"type":"image_url","image_url":{"url":"DATA"}}`, 1844},
		{openai.Chat, "o3", `{"type":"image_url","image_url":{"url":"DATA"}}`, 975},
		{openai.Chat, "llama-4", `{"type":"image_url","image_url":{"url":"DATA"}}`, 1600},
		{openai.Chat, "gpt-4o-audio", `{"type":"input_audio","input_audio":{"data":"DATA","format":"wav"}}`, 600},
		{openai.Chat, "gpt-4o", `{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,DATA"}}`, 3000},
		{openai.Chat, "qwen-vl", `{"type":"video_url","video_url":{"url":"data:video/mp4;base64,DATA"}}`, 3000},
		{openai.Responses, "gpt-4o", `{"type":"input_image","image_url":"data:image/png;base64,DATA","detail":"low"}`, 85},
		{openai.Responses, "gpt-4o", `{"type":"input_file","filename":"a.pdf","file_data":"DATA"}`, 3000},
		{openai.Messages, "claude-sonnet-4", `{"type":"image","source":{"type":"base64","media_type":"image/png","data":"DATA"}}`, 1600},
		{openai.Messages, "claude-sonnet-4", `{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"DATA"}}`, 3000},
		{openai.Messages, "claude-sonnet-4", `{"type":"redacted_thinking","data":"DATA"}`, 0},
	} {
		for _, size := range []int{0, 100_000} {
			field := "messages"
			if test.api == openai.Responses {
				field = "input"
			}
			part := strings.ReplaceAll(test.part, "DATA", strings.Repeat("iVBORw0K", size/8))
			request := ask(t, test.api, `{"model":"`+test.model+`","`+field+`":[{"role":"user","content":[`+part+`]}]}`)
			const around = 4 + 3
			if got := tokens.Reserve(request).Prompt; got != test.want+around {
				t.Errorf("%s with %d bytes: %d tokens are reserved, want %d", test.part, size, got-around, test.want)
			}
			if got := tokens.Count(request, nil).Prompt; got != int(test.want)+around {
				t.Errorf("%s with %d bytes: %d tokens are counted, want %d", test.part, size, got-around, test.want)
			}
		}
	}
}

// FuzzRequest wants no panic, and no more tokens than there are bytes for.
func FuzzRequest(f *testing.F) {
	apis := []openai.API{openai.Chat, openai.Completions, openai.Responses, openai.Embeddings, openai.Transcriptions, openai.Messages, openai.Other}
	for i, body := range []string{
		`{"model":"gpt-4o",` + weather,
		`{"model":"gpt-4","prompt":["a",[1,2]],"n":1e400,"max_tokens":"1e400","best_of":-1}`,
		`{"input":[{"type":"computer_call_output","output":{"type":"computer_screenshot","image_url":"x"}}],"instructions":[]}`,
		`{"input":[1,2,3]}`,
		`{"prompt":{"type":"audio"}}`,
		`{"messages":[{"content":[{"type":"document","source":{"type":"content","content":{}}}]}]}`,
	} {
		f.Add(uint8(i), []byte(body))
	}
	f.Add(uint8(0), []byte(`{"messages":`+strings.Repeat(`[{"content":`, 50)+`"x"`+strings.Repeat(`}]`, 50)+`}`))
	f.Add(uint8(5), []byte(`{"messages":[{"content":"`+strings.Repeat("é \u2028\xff", 1000)+`"}]}`))
	f.Fuzz(func(t *testing.T, which uint8, body []byte) {
		request, err := openai.ParseRequest(apis[int(which)%len(apis)], "", body)
		if err != nil {
			return
		}
		counted := tokens.Count(request, &openai.Answer{Choices: []openai.Choice{{Text: string(body), Audio: body}}})
		const dearest = 40_000 // an image
		most := 700 + len(body)*(10+dearest/len(`{"type":"image"}`))
		if counted.Prompt < 0 || counted.Prompt > most || counted.Completion < 0 || counted.Completion > 10*len(body) {
			t.Errorf("%d bytes count as %+v", len(body), counted)
		}
		if got := tokens.Reserve(request); got.Prompt > uint64(2*most) || got.Answer > 1e12 {
			t.Errorf("%d bytes reserve %+v", len(body), got)
		}
	})
}
