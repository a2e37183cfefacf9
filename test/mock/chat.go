package mock

import (
	"encoding/json"
	"strings"
)

// chatRequest is what the mock looks at in a request for a chat completion.
type chatRequest struct {
	Model         string        `json:"model"`
	Messages      []chatMessage `json:"messages"`
	N             int           `json:"n"`
	Stream        bool          `json:"stream"`
	StreamOptions struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
	Tools      []chatTool      `json:"tools"`
	ToolChoice json.RawMessage `json:"tool_choice"`
	Format     chatFormat      `json:"response_format"`
}

type chatMessage struct {
	Role    string          `json:"role"`
	Content json.RawMessage `json:"content"`
}

type chatTool struct {
	Function struct {
		Name string `json:"name"`
	} `json:"function"`
}

type object = map[string]any

// chat answers with the last message's words, or calls every tool that was offered.
func (c *call) chat() {
	var request chatRequest
	if !c.read(&request) {
		return
	}
	if request.Model == "" || len(request.Messages) == 0 {
		c.badRequest("messages", "You must provide a model and messages.")
		return
	}
	last := text(request.Messages[len(request.Messages)-1].Content)
	words := c.wordsFor(last)
	if shaped := request.Format.shaped(last); shaped != "" {
		words = []string{shaped}
	}
	c.answerChat(&request, last, words)
}

// benchmark streams known sentences, as OpenAI-Forward's BENCHMARK_MODE does.
func (c *call) benchmark() {
	var request chatRequest
	if !c.read(&request) {
		return
	}
	request.Tools = nil
	c.answerChat(&request, "", c.cycle(strings.Fields("Many hands make light work. Still waters run deep. "+
		"The early bird catches the worm. Haste makes waste.")))
}

func (c *call) answerChat(request *chatRequest, last string, words []string) {
	request.N = max(1, request.N)
	answer := &chatAnswer{request: request, words: words, last: last, tools: toolsToCall(request)}
	if request.Stream {
		c.sendEvents(answer.events())
		return
	}
	c.sendJSON(0, answer.whole())
}

// toolsToCall are the tools' names: the one that was chosen, or all, unless the answer to a call is
// what the request brings.
func toolsToCall(request *chatRequest) []string {
	var choice string
	_ = json.Unmarshal(request.ToolChoice, &choice) // an object is read below
	if n := len(request.Messages); choice == "none" || n > 0 && request.Messages[n-1].Role == "tool" {
		return nil
	}
	var chosen chatTool
	if json.Unmarshal(request.ToolChoice, &chosen) == nil && chosen.Function.Name != "" {
		return []string{chosen.Function.Name}
	}
	var names []string
	for _, tool := range request.Tools {
		names = append(names, tool.Function.Name)
	}
	return names
}

// chatAnswer is what a chat's answer is made of, in either form.
type chatAnswer struct {
	request *chatRequest
	words   []string
	last    string
	tools   []string
}

func (a *chatAnswer) usage() *usage {
	prompt := 0
	for _, message := range a.request.Messages {
		prompt += tokens(text(message.Content))
	}
	return newUsage(prompt, len(a.words)*a.request.N)
}

func (a *chatAnswer) finishReason() string {
	if len(a.tools) > 0 {
		return "tool_calls"
	}
	return "stop"
}

func (a *chatAnswer) whole() object {
	choices := make([]object, a.request.N)
	for i := range choices {
		message := object{"role": "assistant", "content": strings.Join(a.words, ""), "refusal": nil}
		if len(a.tools) > 0 {
			message["content"], message["tool_calls"] = nil, a.toolCalls()
		}
		choices[i] = object{"index": i, "message": message, "logprobs": nil, "finish_reason": a.finishReason()}
	}
	return object{
		"id": "chatcmpl-mock", "object": "chat.completion", "created": created, "model": a.request.Model,
		"choices": choices, "usage": a.usage(), "system_fingerprint": fingerprint,
	}
}

// arguments are what every tool is called with.
func (a *chatAnswer) arguments() string { return string(encode(object{"input": a.last})) }

func (a *chatAnswer) toolCalls() []object {
	calls := make([]object, len(a.tools))
	for i, name := range a.tools {
		calls[i] = object{"id": "call_mock_" + name, "type": "function", "function": object{"name": name, "arguments": a.arguments()}}
	}
	return calls
}

// events are the same answer in pieces; the choices of one request take turns.
func (a *chatAnswer) events() [][]byte {
	deltas := []object{{"role": "assistant", "content": "", "refusal": nil}}
	if len(a.tools) > 0 {
		deltas[0]["content"] = nil
		deltas = append(deltas, a.toolDeltas()...)
	} else {
		for _, word := range a.words {
			deltas = append(deltas, object{"content": word})
		}
	}
	var events [][]byte
	for _, delta := range deltas {
		events = append(events, a.chunks(delta, nil)...)
	}
	events = append(events, a.chunks(object{}, a.finishReason())...)
	if a.request.StreamOptions.IncludeUsage {
		events = append(events, event("", a.chunk([]object{}, a.usage())))
	}
	return append(events, []byte("data: [DONE]\n\n"))
}

// toolDeltas name each tool, then give its arguments in two halves, as the real ones come in many.
func (a *chatAnswer) toolDeltas() []object {
	var deltas []object
	arguments := []rune(a.arguments())
	half := len(arguments) / 2
	for i, name := range a.tools {
		first := object{"index": i, "id": "call_mock_" + name, "type": "function", "function": object{"name": name, "arguments": ""}}
		deltas = append(deltas, object{"tool_calls": []object{first}})
		for _, piece := range []string{string(arguments[:half]), string(arguments[half:])} {
			deltas = append(deltas, object{"tool_calls": []object{{"index": i, "function": object{"arguments": piece}}}})
		}
	}
	return deltas
}

func (a *chatAnswer) chunks(delta object, finish any) [][]byte {
	var events [][]byte
	for i := range a.request.N {
		choice := object{"index": i, "delta": delta, "logprobs": nil, "finish_reason": finish}
		events = append(events, event("", a.chunk([]object{choice}, nil)))
	}
	return events
}

func (a *chatAnswer) chunk(choices []object, u *usage) object {
	chunk := object{
		"id": "chatcmpl-mock", "object": "chat.completion.chunk", "created": created, "model": a.request.Model,
		"choices": choices, "system_fingerprint": fingerprint,
	}
	if a.request.StreamOptions.IncludeUsage {
		chunk["usage"] = u // null in all chunks but the last
	}
	return chunk
}
