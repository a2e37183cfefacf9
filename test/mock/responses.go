package mock

import (
	"encoding/json"
	"strings"
)

// responses is the API that follows chat completions.
func (c *call) responses() {
	var request struct {
		Model  string          `json:"model"`
		Input  json.RawMessage `json:"input"`
		Stream bool            `json:"stream"`
	}
	if !c.read(&request) {
		return
	}
	asked := text(request.Input)
	var items []chatMessage
	if json.Unmarshal(request.Input, &items) == nil && len(items) > 0 {
		asked = text(items[len(items)-1].Content)
	}
	words := c.wordsFor(asked)
	r := response{model: request.Model, words: words, prompt: tokens(asked)}
	if request.Stream {
		c.sendEvents(r.events())
		return
	}
	c.sendJSON(0, r.object("completed", []object{r.item("completed", []object{r.part()})}))
}

// response is what an answer is made of, in either form.
type response struct {
	model  string
	words  []string
	prompt int
}

func (r response) text() string { return strings.Join(r.words, "") }

func (r response) part() object {
	return object{"type": "output_text", "text": r.text(), "annotations": []any{}, "logprobs": []any{}}
}

func (r response) item(status string, content []object) object {
	return object{"id": "msg_mock", "type": "message", "role": "assistant", "status": status, "content": content}
}

func (r response) object(status string, output []object) object {
	o := object{
		"id": "resp_mock", "object": "response", "created_at": created, "status": status, "model": r.model,
		"output": output, "error": nil, "incomplete_details": nil, "instructions": nil, "metadata": object{},
		"parallel_tool_calls": true, "temperature": 1, "top_p": 1, "tool_choice": "auto", "tools": []any{}, "usage": nil,
	}
	if status == "completed" {
		o["usage"] = object{
			"input_tokens": r.prompt, "input_tokens_details": object{"cached_tokens": 0},
			"output_tokens": len(r.words), "output_tokens_details": object{"reasoning_tokens": 0},
			"total_tokens": r.prompt + len(r.words),
		}
	}
	return o
}

// events tell the same as a story: created, each part opened, filled and closed, completed.
func (r response) events() [][]byte {
	var events [][]byte
	add := func(name string, fields object) {
		fields["type"], fields["sequence_number"] = name, len(events)
		events = append(events, event(name, fields))
	}
	of := func(fields object) object {
		fields["item_id"], fields["output_index"], fields["content_index"] = "msg_mock", 0, 0
		return fields
	}
	empty := object{"type": "output_text", "text": "", "annotations": []any{}, "logprobs": []any{}}
	done := r.item("completed", []object{r.part()})

	add("response.created", object{"response": r.object("in_progress", []object{})})
	add("response.in_progress", object{"response": r.object("in_progress", []object{})})
	add("response.output_item.added", object{"output_index": 0, "item": r.item("in_progress", []object{})})
	add("response.content_part.added", of(object{"part": empty}))
	for _, word := range r.words {
		add("response.output_text.delta", of(object{"delta": word, "logprobs": []any{}}))
	}
	add("response.output_text.done", of(object{"text": r.text(), "logprobs": []any{}}))
	add("response.content_part.done", of(object{"part": r.part()}))
	add("response.output_item.done", object{"output_index": 0, "item": done})
	add("response.completed", object{"response": r.object("completed", []object{done})})
	return events
}
