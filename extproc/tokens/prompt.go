package tokens

import (
	"strings"

	"github.com/tidwall/gjson"

	"tollgate/extproc/openai"
)

// What a prompt takes beside its text.
const (
	aroundMessage = 4 // its three marks, and its role
	aroundName    = 1
	aroundCall    = 7 // of a tool
	aroundAnswer  = 3 // each answer is primed with its beginning
)

// deepest is how deep lists and objects may lie in a message: the text of a document in a tool's result
// lies 7 deep.
const deepest = 8

// prompt is what a request asks, as far as it takes tokens. What is not known is left out.
type prompt struct {
	model string
	text  func(string) // is called with each text
	flat  int          // the tokens of all that is not text
	asked int          // prompts, each of which gets its own answers
}

// readPrompt calls back with each text of a request's prompt, and adds up the rest.
func readPrompt(request *openai.Request, text func(string)) *prompt {
	p := &prompt{model: request.Model, text: text, asked: 1}
	field := func(name string) gjson.Result { return gjson.ParseBytes(request.Fields[name]) }
	switch request.API {
	case openai.Chat:
		p.flat += aroundAnswer
		p.messages(field("messages"))
		p.json(field("tools"))
		p.json(field("functions"))
		p.json(field("response_format").Get("json_schema"))
	case openai.Responses:
		p.flat += aroundAnswer
		p.message(field("instructions"))
		p.messages(field("input"))
		p.json(field("tools"))
		p.json(field("text").Get("format.schema"))
	case openai.Messages:
		p.flat += aroundAnswer
		p.message(field("system"))
		p.messages(field("messages"))
		p.json(field("tools"))
	case openai.Completions:
		p.inputs(field("prompt"))
		p.value(field("suffix"), 0)
	case openai.Embeddings:
		p.inputs(field("input"))
	case openai.Transcriptions:
		p.flat += audioTokens
		p.value(field("prompt"), 0)
	case openai.Other:
	}
	return p
}

// messages reads a list of messages, or the text of one.
func (p *prompt) messages(v gjson.Result) {
	if !v.IsArray() {
		p.message(v)
		return
	}
	v.ForEach(func(_, one gjson.Result) bool {
		p.message(one)
		return true
	})
}

// message reads one message, or its content.
func (p *prompt) message(v gjson.Result) {
	if v.Exists() && v.Type != gjson.Null {
		p.flat += aroundMessage
		p.value(v, 0)
	}
}

// inputs reads a prompt, or several: each is text, or a list of tokens' numbers.
func (p *prompt) inputs(v gjson.Result) {
	if !v.IsArray() || v.Get("0").Type == gjson.Number {
		p.input(v)
		return
	}
	p.asked = 0
	v.ForEach(func(_, one gjson.Result) bool {
		p.asked++
		p.input(one)
		return true
	})
	p.asked = max(1, p.asked)
}

func (p *prompt) input(v gjson.Result) {
	if v.IsArray() {
		p.flat += strings.Count(v.Raw, ",") + 1
		return
	}
	p.value(v, 0)
}

// value reads text, or parts of it.
func (p *prompt) value(v gjson.Result, depth int) {
	switch {
	case v.Type == gjson.String:
		p.text(v.Str)
	case v.Type != gjson.JSON:
	case depth == deepest:
		p.text(v.Raw)
	case v.IsArray():
		v.ForEach(func(_, part gjson.Result) bool {
			p.value(part, depth+1)
			return true
		})
	default:
		v.ForEach(func(name, member gjson.Result) bool {
			p.member(v, name.Str, member, depth+1)
			return true
		})
	}
}

// member reads a member of a message, of a part of one, or of what these hold, in all dialects. Bytes of
// pictures and the like, encrypted ones, ids and signatures are none of those that it knows.
func (p *prompt) member(of gjson.Result, name string, v gjson.Result, depth int) {
	switch name {
	case "content", "text", "refusal", "reasoning", "reasoning_content", "thinking", "summary",
		"tool_calls", "function_call", "function", "custom", "output", "code", "title", "context":
		p.value(v, depth)
	case "arguments", "input": // of a call: text that is JSON, or JSON
		if v.Type == gjson.String {
			p.text(v.Str)
			return
		}
		p.json(v)
	case "name":
		p.flat += aroundName
		p.value(v, depth)
	case "type":
		p.media(v.Str, of, depth)
	}
}

// json takes JSON for the text that it is.
func (p *prompt) json(v gjson.Result) {
	if v.Type == gjson.JSON {
		p.text(v.Raw)
	}
}
