package tokens

import (
	"bytes"
	"encoding/json"

	"tollgate/extproc/openai"
)

// What is in a prompt beside texts, in tokens.
const (
	perMessage = 3 // what frames a message, and the beginning of the answer (OpenAI's cookbook)
	perName    = 1 // what sets off who speaks
	perCall    = 7 // what frames a call of a function

	// An image takes 765 tokens at 1024 pixels square, 85 with low detail (OpenAI's guide to vision, gpt-4o).
	// How large it is cannot be told without opening it.
	perImage, perImageOfLowDetail = 765, 85

	perAudio = 600  // a minute: ten tokens a second
	perFile  = 1500 // some pages
)

// sink takes what a prompt is made of.
type sink interface {
	text(unescaped []byte) // is not kept
	flat(tokens int)
}

// count gives a prompt to a sink, piece by piece. The request's JSON is known to be valid.
func count(request *openai.Request, to sink) {
	var p prompt
	p.to = to
	for _, name := range []string{"messages", "prompt", "input", "instructions", "system"} {
		p.key = p.key[:0]
		p.walk(request.Fields[name])
	}
	for _, name := range []string{"tools", "functions", "response_format"} {
		if raw := request.Fields[name]; len(raw) > 0 && string(raw) != "null" {
			to.text(raw) // what an upstream makes of a schema is about as long
		}
	}
	if p.messages > 0 {
		to.flat(perMessage * (p.messages + 1))
	}
}

// prompt walks through the JSON of a prompt. It does not know each API's shape: all text counts but what
// only names or holds things.
type prompt struct {
	to       sink
	key      []byte // of the value that comes
	messages int
	scratch  []byte
}

// walk reads a value from one end to the other, once.
func (p *prompt) walk(raw json.RawMessage) {
	for at := 0; at < len(raw); {
		switch b := raw[at]; {
		case b == '"':
			end := stringEnd(raw, at)
			p.text(raw[at:end], isKey(raw[end:]))
			at = end
		case b >= '0' && b <= '9':
			for at < len(raw) && bytes.IndexByte([]byte("+-.0123456789eE"), raw[at]) >= 0 {
				at++
			}
			if len(p.key) == 0 {
				p.to.flat(1) // a token by its number: completions and embeddings take such
			}
		default:
			at++
		}
	}
}

// stringEnd is where the string that begins at from has ended.
func stringEnd(raw []byte, from int) int {
	for at := from + 1; at < len(raw); at++ {
		switch raw[at] {
		case '\\':
			at++
		case '"':
			return at + 1
		}
	}
	return len(raw)
}

func isKey(rest []byte) bool {
	rest = bytes.TrimLeft(rest, " \t\r\n")
	return len(rest) > 0 && rest[0] == ':'
}

func (p *prompt) text(quoted []byte, isKey bool) {
	if isKey {
		p.key = append(p.key[:0], quoted[1:len(quoted)-1]...)
		if string(p.key) == "role" {
			p.messages++
		}
		return
	}
	switch string(p.key) {
	case "type":
		p.kind(string(quoted))
	case "detail":
		if string(quoted) == `"low"` {
			p.to.flat(perImageOfLowDetail - perImage)
		}
	case "url", "data", "file_data", "file_id", "filename", "media_type", "format", "id", "call_id", "tool_call_id", "tool_use_id", "status":
	case "image_url": // of a response's input
		if !bytes.HasPrefix(quoted, []byte(`"data:`)) && len(quoted) > 2 {
			return
		}
	case "name":
		p.to.flat(perName)
		p.to.text(p.unescaped(quoted))
	default:
		p.to.text(p.unescaped(quoted))
	}
}

// kind counts what a part of a message is, where it is not text.
func (p *prompt) kind(quoted string) {
	switch quoted {
	case `"image_url"`, `"input_image"`, `"image"`:
		p.to.flat(perImage)
	case `"input_audio"`, `"audio"`:
		p.to.flat(perAudio)
	case `"file"`, `"input_file"`, `"document"`:
		p.to.flat(perFile)
	}
}

// unescaped is a string's text, valid until the next one.
func (p *prompt) unescaped(quoted []byte) []byte {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	var text string
	if json.Unmarshal(quoted, &text) != nil {
		return nil
	}
	p.scratch = append(p.scratch[:0], text...)
	return p.scratch
}
