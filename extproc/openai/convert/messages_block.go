package convert

import (
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"tollgate/extproc/openai"
)

// block is a part of its content.
type block struct {
	object
	texts     map[string][]byte // within quotes, by the member that they are of
	citations []string
	stopped   bool
}

// blockDeltas are the deltas that bring text: the delta's member, and the block's that it belongs to.
var blockDeltas = map[string]struct{ from, to string }{
	"text_delta":       {"text", "text"},
	"thinking_delta":   {"thinking", "thinking"},
	"signature_delta":  {"signature", "signature"},
	"input_json_delta": {"partial_json", "input"},
}

func (b *block) add(delta object) error {
	kind := delta.text("type")
	if kind == "citations_delta" && b.text("type") == "text" && isObject(delta.value("citation")) {
		b.citations = append(b.citations, delta.value("citation"))
		return nil
	}
	names, known := blockDeltas[kind]
	text := delta.value(names.from)
	if !known || !slices.Contains(blockTexts(b.object), names.to) || !isString(text) {
		return refuse("a delta of its type is not known")
	}
	b.texts[names.to] = append(b.texts[names.to], within(text)...)
	return nil
}

// finish sets the members that came in pieces.
func (b *block) finish() error {
	if !b.stopped {
		return refuse("a block has no end")
	}
	for name, text := range b.texts {
		set := b.setText
		if name == "input" {
			set = b.setInput
		}
		if err := set(name, string(text)); err != nil {
			return err
		}
	}
	if len(b.citations) > 0 {
		b.set("citations", string(appendList(nil, b.citations)))
	}
	return nil
}

// setText adds text to what the block began with.
func (b *block) setText(name, text string) error {
	before := b.value(name)
	if before == "" || before == "null" {
		before = `""`
	}
	if !isString(before) {
		return refuse("%s is no text", name)
	}
	b.set(name, `"`+within(before)+text+`"`)
	return nil
}

// setInput replaces the empty object that the block began with, unless no piece had anything.
func (b *block) setInput(name, text string) error {
	input := gjson.Parse(`"` + text + `"`).Str
	if strings.TrimSpace(input) == "" {
		return nil
	}
	if !isEmpty(b.value(name)) || !openai.Valid([]byte(input)) || !gjson.Parse(input).IsObject() {
		return refuse("what a tool is given is no object")
	}
	b.set(name, input)
	return nil
}

// blockTexts are the members of a block that come in pieces, by its type.
func blockTexts(b object) []string {
	switch b.text("type") {
	case "text":
		return []string{"text"}
	case "thinking":
		return []string{"thinking", "signature"}
	case "tool_use", "server_tool_use", "mcp_tool_use":
		return []string{"input"}
	}
	return nil
}

// isWhole tells a block that comes in one piece.
func isWhole(b object) bool {
	kind := b.text("type")
	return kind == "redacted_thinking" || kind == "container_upload" || strings.HasSuffix(kind, "_tool_result")
}
