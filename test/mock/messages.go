package mock

import "strings"

// messages is Anthropic's API.
func (c *call) messages() {
	var request struct {
		Model    string        `json:"model"`
		Messages []chatMessage `json:"messages"`
		Stream   bool          `json:"stream"`
	}
	if !c.read(&request) {
		return
	}
	if len(request.Messages) == 0 {
		c.badRequest("messages", "You must provide messages.")
		return
	}
	asked := text(request.Messages[len(request.Messages)-1].Content)
	words := c.wordsFor(asked)
	whole := object{
		"id": "msg_mock", "type": "message", "role": "assistant", "model": request.Model,
		"content":     []object{{"type": "text", "text": strings.Join(words, "")}},
		"stop_reason": "end_turn", "stop_sequence": nil,
		"usage": object{"input_tokens": tokens(asked), "output_tokens": len(words)},
	}
	if request.Stream {
		c.sendEvents(messageEvents(whole, words, tokens(asked)))
		return
	}
	c.sendJSON(0, whole)
}

// messageEvents tell how a message came to be.
func messageEvents(whole object, words []string, prompt int) [][]byte {
	begun := with(with(whole, "content", []any{}), "stop_reason", nil)
	begun["usage"] = object{"input_tokens": prompt, "output_tokens": 1}
	stories := []object{
		{"type": "message_start", "message": begun},
		{"type": "content_block_start", "index": 0, "content_block": object{"type": "text", "text": ""}},
		{"type": "ping"},
	}
	for _, word := range words {
		stories = append(stories, object{"type": "content_block_delta", "index": 0, "delta": object{"type": "text_delta", "text": word}})
	}
	stories = append(stories,
		object{"type": "content_block_stop", "index": 0},
		object{
			"type": "message_delta", "delta": object{"stop_reason": "end_turn", "stop_sequence": nil},
			"usage": object{"output_tokens": len(words)},
		},
		object{"type": "message_stop"},
	)
	events := make([][]byte, len(stories))
	for i, story := range stories {
		events[i] = event(story["type"].(string), story) //nolint:forcetypeassert // written above
	}
	return events
}
