package openai

import (
	"bytes"
	"encoding/json"
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
	if index < 0 || len(c.calls) >= maxCalls {
		a.answer.Truncated = true
		return nil
	}
	made := &call{index: index}
	c.calls = append(c.calls, nil)
	copy(c.calls[at+1:], c.calls[at:])
	c.calls[at] = made
	return made
}

// describe takes a call's id and type where they are told.
func (c *call) describe(id, kind string) {
	if id != "" {
		c.id = short(id)
	}
	if kind != "" {
		c.kind = short(kind)
	}
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

// short bounds what is kept of a name.
func short(s string) string { return cut(s, maxShort) }

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

// content is text, or a list of parts that have it: upstreams send both.
type content string

// UnmarshalJSON never fails: what is neither is no text.
func (c *content) UnmarshalJSON(raw []byte) error {
	*c = ""
	if len(raw) > 0 && raw[0] == '"' {
		return json.Unmarshal(raw, (*string)(c))
	}
	if len(raw) == 0 || raw[0] != '[' {
		return nil
	}
	var parts []struct {
		Text string `json:"text"`
	}
	_ = json.Unmarshal(raw, &parts) // the parts that have text are read
	var all []byte
	for _, p := range parts {
		all = append(all, p.Text...)
	}
	*c = content(all)
	return nil
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
