package openai_test

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/packages/ssestream"
	"github.com/openai/openai-go/v3/responses"

	"tollgate/extproc/openai"
)

// beyondSDK are the streams that the official SDK gives up on, or has no words for. Their goldens
// say what Tollgate makes of them.
var beyondSDK = []string{
	"chat-odd.sse",          // CR line ends, a broken event, numbers as text
	"chat-gemini-calls.sse", // calls without an index: the SDK makes one of them
	"chat-cut-short.sse",    // usage with each chunk: the SDK sums it
	"chat-azure.sse",        // a first chunk without a choice and id
}

// TestLikeOfficialSDK puts the recorded streams together with OpenAI's own Go SDK, and compares.
func TestLikeOfficialSDK(t *testing.T) {
	compared := 0
	for _, file := range recorded(t, "chat-*.sse") {
		if slices.ContainsFunc(beyondSDK, func(name string) bool { return strings.HasSuffix(file, name) }) {
			continue
		}
		stream := load(t, file)
		theirs, failed := sdkAnswer(t, stream)
		ours := assemble(openai.Chat, stream, 100).Answer()
		if (ours.Error != nil) != failed {
			t.Errorf("%s: our error %s, theirs: %v", file, ours.Error, failed)
		}
		if diff := cmp.Diff(theirs, comparable(ours)); diff != "" {
			t.Errorf("%s (-theirs +ours):\n%s", file, diff)
		}
		compared++
	}
	if compared < 9 {
		t.Errorf("only %d streams compared", compared)
	}
}

// sdkAnswer is a stream as the SDK's accumulator sees it.
func sdkAnswer(t *testing.T, stream []byte) (answer *openai.Answer, failed bool) {
	t.Helper()
	body := &http.Response{
		Header: http.Header{"Content-Type": {"text/event-stream"}},
		Body:   io.NopCloser(bytes.NewReader(stream)),
	}
	chunks := ssestream.NewStream[sdk.ChatCompletionChunk](ssestream.NewDecoder(body), nil)
	var all sdk.ChatCompletionAccumulator
	for chunks.Next() {
		if !all.AddChunk(chunks.Current()) {
			t.Fatal("the SDK refuses a chunk")
		}
	}
	answer = &openai.Answer{ID: all.ID, Model: all.Model}
	if all.Usage.TotalTokens > 0 {
		answer.Usage = &openai.Usage{
			Prompt: int(all.Usage.PromptTokens), Completion: int(all.Usage.CompletionTokens), Total: int(all.Usage.TotalTokens),
			Cached: int(all.Usage.PromptTokensDetails.CachedTokens), Reasoning: int(all.Usage.CompletionTokensDetails.ReasoningTokens),
		}
	}
	for _, c := range all.Choices {
		choice := openai.Choice{
			Index: int(c.Index), Role: string(c.Message.Role), Text: c.Message.Content, Refusal: c.Message.Refusal, FinishReason: string(c.FinishReason),
		}
		for i, call := range c.Message.ToolCalls {
			choice.ToolCalls = append(choice.ToolCalls, openai.ToolCall{
				Index: i, ID: call.ID, Type: call.Type, Function: openai.Function{Name: call.Function.Name, Arguments: call.Function.Arguments},
			})
		}
		answer.Choices = append(answer.Choices, choice)
	}
	return answer, chunks.Err() != nil
}

// comparable leaves out what the SDK's accumulator does not know.
func comparable(ours *openai.Answer) *openai.Answer {
	ours.Error, ours.Finished = nil, false
	for i := range ours.Choices {
		ours.Choices[i].Reasoning, ours.Choices[i].FunctionCall, ours.Choices[i].Audio = "", nil, nil
	}
	return ours
}

// TestResponsesLikeOfficialSDK compares with what the SDK reads of the response that ends a stream.
func TestResponsesLikeOfficialSDK(t *testing.T) {
	for _, name := range []string{"responses-text-call.sse", "responses-incomplete.sse", "responses-refusal.sse"} {
		stream := load(t, "testdata/"+name)
		body := &http.Response{Body: io.NopCloser(bytes.NewReader(stream))}
		events := ssestream.NewStream[responses.ResponseStreamEventUnion](ssestream.NewDecoder(body), nil)
		var deltas strings.Builder
		var last responses.Response
		for events.Next() {
			if e := events.Current(); e.Type == "response.output_text.delta" {
				deltas.WriteString(e.Delta)
			}
			last = events.Current().Response
		}
		ours := assemble(openai.Responses, stream, 100).Answer()
		if got := ours.Choices[0].Text; got != last.OutputText() || got != deltas.String() || ours.ID != last.ID || ours.Model != last.Model {
			t.Errorf("%s: %q, theirs %q", name, got, last.OutputText())
		}
		if ours.Usage.Prompt != int(last.Usage.InputTokens) || ours.Usage.Completion != int(last.Usage.OutputTokens) || ours.Usage.Total != int(last.Usage.TotalTokens) {
			t.Errorf("%s: usage %+v", name, ours.Usage)
		}
		for _, item := range last.Output {
			call := item.AsFunctionCall()
			if item.Type == "function_call" && (ours.Choices[0].ToolCalls[0].ID != call.CallID || ours.Choices[0].ToolCalls[0].Function != (openai.Function{Name: call.Name, Arguments: call.Arguments})) {
				t.Errorf("%s: %+v, theirs %+v", name, ours.Choices[0].ToolCalls, call)
			}
		}
	}
}
