package openai

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// choice is a [Choice] in the making.
type choice struct {
	index                    int
	role, finish             string
	text, refusal, reasoning []byte
	calls                    []*call // by index
	function                 *call
	audio                    *audio
}

// call is a tool call in the making. Its kind is the type in OpenAI's words.
type call struct {
	index           int
	id, kind        string
	name, arguments []byte
	placeholder     bool // the arguments are to be replaced by the first piece that comes
}

// audio is a spoken answer in the making.
type audio struct {
	id               string
	expires          json.Number
	data, transcript []byte
}

// call returns the builder of the tool call with an index, or nil if there may not be one.
func (a *Assembler) call(c *choice, index int) *call {
	at := len(c.calls)
	for at > 0 && c.calls[at-1].index > index {
		at--
	}
	if at > 0 && c.calls[at-1].index == index {
		return c.calls[at-1]
	}
	if index < 0 || a.calls >= maxCalls {
		a.answer.Truncated = true
		return nil
	}
	a.calls++
	made := &call{index: index}
	c.calls = append(c.calls, nil)
	copy(c.calls[at+1:], c.calls[at:])
	c.calls[at] = made
	return made
}

// describe takes a call's id and type where they are told.
func (c *call) describe(id, kind string) {
	keep(&c.id, id)
	keep(&c.kind, kind)
}

func (c *call) made() Function {
	return Function{Name: string(c.name), Arguments: string(c.arguments)}
}

func (c *choice) finished() Choice {
	made := Choice{
		Index: c.index, Role: c.role, FinishReason: c.finish,
		Text: string(c.text), Refusal: string(c.refusal), Reasoning: string(c.reasoning),
	}
	for _, call := range c.calls {
		made.ToolCalls = append(made.ToolCalls, ToolCall{Index: call.index, ID: call.id, Type: call.kind, Function: call.made()})
	}
	if c.function != nil {
		function := c.function.made()
		made.FunctionCall = &function
	}
	if c.audio != nil {
		made.Audio = c.audio.finished()
	}
	return made
}

func (s *audio) finished() json.RawMessage {
	made, err := json.Marshal(struct {
		ID         string      `json:"id,omitempty"`
		Expires    json.Number `json:"expires_at,omitempty"`
		Data       string      `json:"data"`
		Transcript string      `json:"transcript"`
	}{s.id, s.expires, string(s.data), string(s.transcript)})
	if err != nil {
		return nil // cannot be: a number was read as one
	}
	return made
}

// keep takes a name where there is one, and not too much of it. It is copied when it changes: a string
// may be part of a whole event, and would hold on to it.
func keep(to *string, s string) {
	if s = cut(s, maxShort); s != "" && s != *to {
		*to = strings.Clone(s)
	}
}

// cut shortens a string to at most n bytes, and to whole runes.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:max(n, 0)]
}

// asText is a JSON value as the text that arguments are: a string's own, anything else as it is.
func asText(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var compact bytes.Buffer
	if json.Compact(&compact, raw) != nil {
		return string(raw)
	}
	return compact.String()
}
