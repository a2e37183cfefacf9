package mock

import (
	"encoding/json"
	"strings"
)

// completions is the older API of prompts.
func (c *call) completions() {
	var request struct {
		Model  string          `json:"model"`
		Prompt json.RawMessage `json:"prompt"`
		Stream bool            `json:"stream"`
	}
	if !c.read(&request) {
		return
	}
	var prompts []string
	if json.Unmarshal(request.Prompt, &prompts) != nil {
		prompts = []string{text(request.Prompt)}
	}
	base := object{"id": "cmpl-mock", "object": "text_completion", "created": created, "model": request.Model}
	var choices []object
	var events [][]byte
	prompted, completed := 0, 0
	for i, prompt := range prompts {
		words := c.wordsFor(prompt)
		prompted, completed = prompted+tokens(prompt), completed+len(words)
		choices = append(choices, completionChoice(i, strings.Join(words, ""), "stop"))
		for _, word := range words {
			events = append(events, event("", with(base, "choices", []object{completionChoice(i, word, nil)})))
		}
		events = append(events, event("", with(base, "choices", []object{completionChoice(i, "", "stop")})))
	}
	if request.Stream {
		c.sendEvents(append(events, []byte("data: [DONE]\n\n")))
		return
	}
	c.sendJSON(0, with(with(base, "choices", choices), "usage", newUsage(prompted, completed)))
}

func completionChoice(index int, text string, finish any) object {
	return object{"index": index, "text": text, "logprobs": nil, "finish_reason": finish}
}

// with is the object and one thing more.
func with(o object, name string, value any) object {
	more := object{name: value}
	for k, v := range o {
		if k != name {
			more[k] = v
		}
	}
	return more
}
