package usage

import (
	"encoding/json"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.40.0"

	"tollgate/extproc/openai"
)

const (
	// maxText bounds a text in a span, and maxMessages all of an attribute's: spans wait in memory,
	// and a collector refuses messages of 4 MB. The chat log has all of it.
	maxText, maxMessages = 4 << 10, 16 << 10

	// Who says what has no role.
	user, assistant = "user", "assistant"
)

// message is one of gen_ai.input.messages and gen_ai.output.messages.
type message struct {
	Role         string `json:"role"`
	Parts        []any  `json:"parts"`
	FinishReason string `json:"finish_reason,omitempty"`
}

type textPart struct {
	Type    string `json:"type"` // text or reasoning
	Content string `json:"content"`
}

type toolCallPart struct {
	Type      string `json:"type"`
	ID        string `json:"id,omitempty"`
	Name      string `json:"name"`
	Arguments string `json:"arguments,omitempty"`
}

type toolResponsePart struct {
	Type     string `json:"type"`
	ID       string `json:"id,omitempty"`
	Response string `json:"response"`
}

// prompts are what was asked, in the convention's shape.
func prompts(request *openai.Request) []attribute.KeyValue {
	var messages []message
	for _, field := range [...]string{"messages", "input", "prompt"} {
		if raw := request.Fields[field]; len(raw) > 0 {
			messages = append(messages, said(raw)...)
		}
	}
	as := attributeOf(semconv.GenAIInputMessagesKey, messages)
	for _, field := range [...]string{"system", "instructions"} {
		if raw := request.Fields[field]; len(raw) > 0 {
			as = append(as, instructions(raw)...)
		}
	}
	return as
}

func instructions(raw json.RawMessage) []attribute.KeyValue {
	encoded, err := json.Marshal(parts(raw))
	if err != nil || len(encoded) > maxMessages {
		return nil
	}
	return []attribute.KeyValue{semconv.GenAISystemInstructionsKey.String(string(encoded))}
}

// answers are what came back, in the convention's shape.
func answers(answer *openai.Answer) []attribute.KeyValue {
	messages := make([]message, 0, len(answer.Choices))
	for i := range answer.Choices {
		messages = append(messages, answered(&answer.Choices[i]))
	}
	return attributeOf(semconv.GenAIOutputMessagesKey, messages)
}

func answered(c *openai.Choice) message {
	m := message{Role: c.Role, Parts: []any{}, FinishReason: c.FinishReason}
	if m.Role == "" {
		m.Role = assistant
	}
	for _, p := range [...]textPart{{"reasoning", c.Reasoning}, {"text", c.Text}, {"refusal", c.Refusal}} {
		if p.Content != "" {
			p.Content = shorten(p.Content)
			m.Parts = append(m.Parts, p)
		}
	}
	for _, call := range c.ToolCalls {
		m.Parts = append(m.Parts, toolCall(call.ID, call.Function))
	}
	if c.FunctionCall != nil {
		m.Parts = append(m.Parts, toolCall("", *c.FunctionCall))
	}
	return m
}

func toolCall(id string, f openai.Function) toolCallPart {
	return toolCallPart{Type: "tool_call", ID: id, Name: f.Name, Arguments: shorten(f.Arguments)}
}

// said reads messages: a list of them, a list of texts, or one text.
func said(raw json.RawMessage) []message {
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		return []message{{Role: user, Parts: parts(raw)}}
	}
	messages := make([]message, 0, len(list))
	for _, one := range list {
		messages = append(messages, saidOnce(one))
	}
	return messages
}

func saidOnce(raw json.RawMessage) message {
	var m struct {
		Role       string            `json:"role"`
		Content    json.RawMessage   `json:"content"`
		ToolCalls  []openai.ToolCall `json:"tool_calls"`
		ToolCallID string            `json:"tool_call_id"`
	}
	if json.Unmarshal(raw, &m) != nil || (m.Role == "" && m.Content == nil) {
		return message{Role: user, Parts: parts(raw)}
	}
	out := message{Role: m.Role, Parts: parts(m.Content)}
	if out.Role == "" {
		out.Role = user
	}
	if m.ToolCallID != "" {
		var response string
		if json.Unmarshal(m.Content, &response) != nil {
			response = string(m.Content)
		}
		out.Parts = []any{toolResponsePart{"tool_call_response", m.ToolCallID, shorten(response)}}
	}
	for _, call := range m.ToolCalls {
		out.Parts = append(out.Parts, toolCall(call.ID, call.Function))
	}
	return out
}

// parts reads a message's content: a text, or a list of parts.
func parts(raw json.RawMessage) []any {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		if text == "" {
			return []any{}
		}
		return []any{textPart{"text", shorten(text)}}
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		list = []json.RawMessage{raw}
	}
	out := make([]any, 0, len(list))
	for _, one := range list {
		out = append(out, part(one))
	}
	return out
}

// part reads one part of a content. Of pictures, sound and what else there is, only the type is kept.
func part(raw json.RawMessage) any {
	var p struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	switch {
	case json.Unmarshal(raw, &p) != nil:
		return textPart{"text", shorten(string(raw))} // tokens as numbers, for one
	case p.Text != "":
		return textPart{"text", shorten(p.Text)}
	default:
		return map[string]string{"type": clip(p.Type)}
	}
}

// attributeOf encodes messages. Where they are too many, the oldest are left out.
func attributeOf(key attribute.Key, messages []message) []attribute.KeyValue {
	size := 0
	encoded := make([]json.RawMessage, len(messages))
	from := len(messages)
	for from > 0 {
		one, err := json.Marshal(messages[from-1])
		if size += len(one) + 1; err != nil || size > maxMessages {
			break
		}
		from--
		encoded[from] = one
	}
	all, err := json.Marshal(encoded[from:])
	if err != nil || from == len(messages) {
		return nil
	}
	return []attribute.KeyValue{key.String(string(all))}
}

// shorten cuts a text that is too long, and says so.
func shorten(text string) string {
	if len(text) <= maxText {
		return valid(text)
	}
	return valid(text[:maxText]) + "…"
}
