package convert_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/packages/ssestream"
	"github.com/openai/openai-go/v3/responses"

	"tollgate/extproc/openai"
)

// decode gives each event of a stream to OpenAI's own SDK.
func decode[T any](t *testing.T, stream [][]byte, each func(T)) {
	t.Helper()
	body := &http.Response{
		Header: http.Header{"Content-Type": {"text/event-stream"}},
		Body:   io.NopCloser(bytes.NewReader(bytes.Join(stream, nil))),
	}
	events := ssestream.NewStream[T](ssestream.NewDecoder(body), nil)
	for events.Next() {
		each(events.Current())
	}
	if err := events.Err(); err != nil {
		t.Fatal(err)
	}
}

// TestChatsLikeOfficialSDK: the SDK's accumulator makes of the stream what its parser makes of the body.
func TestChatsLikeOfficialSDK(t *testing.T) {
	compared := 0
	for name, body := range bodies(t) {
		// The accumulator knows no custom tools, which chat-whole has.
		if apiOf(name) != openai.Chat || name == "chat-whole" {
			continue
		}
		var parsed sdk.ChatCompletion
		if err := json.Unmarshal([]byte(body), &parsed); err != nil {
			t.Fatal(err)
		}
		var all sdk.ChatCompletionAccumulator
		decode(t, streamOf(t, openai.Chat, body, true), func(chunk sdk.ChatCompletionChunk) {
			if !all.AddChunk(chunk) {
				t.Errorf("%s: the SDK refuses a chunk", name)
			}
		})
		if diff := cmp.Diff(inWords(t, parsed), inWords(t, all.ChatCompletion)); diff != "" {
			t.Errorf("%s (-plain +streamed)\n%s", name, diff)
		}
		compared++
	}
	if compared < 6 {
		t.Errorf("only %d compared", compared)
	}
}

// inWords is what the SDK's accumulator knows of an answer.
func inWords(t *testing.T, answer sdk.ChatCompletion) any {
	t.Helper()
	type call struct{ ID, Type, Name, Arguments string }
	type choice struct {
		Index                          int64
		Role, Content, Refusal, Finish string
		Calls                          []call
		ContentTokens, RefusalTokens   []string
	}
	var choices []choice
	for _, c := range answer.Choices {
		made := choice{Index: c.Index, Role: string(c.Message.Role), Content: c.Message.Content, Refusal: c.Message.Refusal, Finish: c.FinishReason}
		for _, tool := range c.Message.ToolCalls {
			made.Calls = append(made.Calls, call{tool.ID, tool.Type, tool.Function.Name, tool.Function.Arguments})
		}
		for _, token := range c.Logprobs.Content {
			made.ContentTokens = append(made.ContentTokens, token.RawJSON())
		}
		for _, token := range c.Logprobs.Refusal {
			made.RefusalTokens = append(made.RefusalTokens, token.RawJSON())
		}
		choices = append(choices, made)
	}
	usage := answer.Usage
	return []any{
		answer.ID, answer.Model, answer.Created, string(answer.Object), string(answer.ServiceTier), choices,
		usage.PromptTokens, usage.CompletionTokens, usage.TotalTokens,
		usage.PromptTokensDetails.CachedTokens, usage.CompletionTokensDetails.ReasoningTokens,
	}
}

// TestResponsesLikeOfficialSDK: the SDK knows each event, numbered from 0; deltas make the texts that
// their .done events have, and the last event has the body.
func TestResponsesLikeOfficialSDK(t *testing.T) {
	for name, body := range bodies(t) {
		if apiOf(name) != openai.Responses {
			continue
		}
		var last responses.ResponseStreamEventUnion
		texts := map[string]string{}
		open, n := 0, int64(0)
		decode(t, streamOf(t, openai.Responses, body, false), func(event responses.ResponseStreamEventUnion) {
			if event.SequenceNumber != n || event.AsAny() == nil {
				t.Errorf("%s: event %d is %s", name, n, event.RawJSON())
			}
			n++
			last = event
			of := strings.TrimSuffix(strings.TrimSuffix(event.Type, ".delta"), ".done")
			switch {
			case strings.HasSuffix(event.Type, ".added") && !strings.Contains(event.Type, "annotation"):
				open++
			case strings.HasSuffix(event.Type, "_part.done"), strings.HasSuffix(event.Type, "_item.done"):
				open--
			case strings.HasSuffix(event.Type, ".delta"):
				texts[of] += event.Delta
			case strings.HasSuffix(event.Type, ".done"):
				if want := event.Text + event.Refusal + event.Arguments + event.Input; texts[of] != want {
					t.Errorf("%s: %s has %q, its deltas %q", name, event.Type, want, texts[of])
				}
				texts[of] = ""
			}
		})
		if open != 0 {
			t.Errorf("%s: %d parts and items are not closed", name, open)
		}
		if diff := cmp.Diff(meaning(t, []byte(body)), meaning(t, []byte(last.Response.RawJSON()))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestProgress: a text comes in pieces of some size, and a huge one in not too many.
func TestProgress(t *testing.T) {
	all := bodies(t)
	for name, want := range map[string][2]int{"chat-text": {4, 12}, "chat-long": {200, 700}, "completions-long": {200, 700}} {
		if n := len(streamOf(t, apiOf(name), all[name], false)); n < want[0] || n > want[1] {
			t.Errorf("%s comes in %d events", name, n)
		}
	}
}
