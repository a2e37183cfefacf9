package convert

import (
	"encoding/json"
	"slices"
	"strconv"

	"github.com/tidwall/gjson"
)

// messageStream makes the events of Anthropic's plain message.
func messageStream(answer object) ([][]byte, error) {
	if answer.text("type") != "message" || answer.text("stop_reason") == "" || !isList(answer.value("content")) {
		return nil, refuse("it is no message")
	}
	usage, err := parseObject(answer.value("usage"), "usage")
	if err != nil {
		return nil, err
	}
	if gjson.Parse(usage.value("output_tokens")).Type != gjson.Number {
		return nil, refuse("it does not tell its tokens")
	}
	w := &messageWriter{}
	w.event("message_start", "message", beginning(answer, usage).String())
	for i, text := range parseList(answer.value("content")) {
		b, err := parseObject(text, "a block")
		if err != nil {
			return nil, err
		}
		if err := w.block(b, strconv.Itoa(i)); err != nil {
			return nil, err
		}
	}
	w.event("message_delta", "delta", pick(answer, endMembers).String(), "usage", pick(usage, endCounts).String())
	w.event("message_stop")
	return w.list(), nil
}

// endMembers and endCounts are what a message_delta tells of a message and its usage.
var (
	endMembers = []string{"stop_reason", "stop_sequence", "stop_details", "container"}
	endCounts  = []string{
		"input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens", "output_tokens_details", "server_tool_use",
	}
)

// beginning is the message as it is at first.
func beginning(answer, usage object) object {
	return answer.with("content", "[]", "stop_reason", "null", "stop_sequence", "null", "stop_details", "null",
		"usage", usage.with("output_tokens", "0").String())
}

func pick(o object, names []string) object {
	var picked object
	for _, m := range o {
		if slices.Contains(names, m.name) {
			picked = append(picked, m)
		}
	}
	return picked
}

// messageWriter writes the events of a message.
type messageWriter struct{ events }

// event writes one event. Its members are names and values in turn.
func (w *messageWriter) event(name string, members ...string) {
	w.add("event: ", name, "\ndata: {", `"type":"`, name, `"`)
	w.members(members)
	w.add("}")
	w.end()
}

// block writes one block of the content: what it is, its texts in pieces, its end.
func (w *messageWriter) block(b object, index string) error {
	texts := blockTexts(b)
	if texts == nil && !isWhole(b) {
		return refuse("a block of its type is not known")
	}
	begun := b
	for _, name := range texts {
		nothing := `""`
		if name == "input" {
			nothing = "{}"
		}
		begun = begun.with(name, nothing)
	}
	var cited []string
	if b.text("type") == "text" {
		cited = parseList(b.value("citations"))
	}
	if len(cited) > 0 {
		begun = begun.with("citations", "[]")
	}
	w.event("content_block_start", "index", index, "content_block", begun.String())
	for _, citation := range cited {
		if !isObject(citation) {
			return refuse("a citation is no object")
		}
		w.delta(index, "citations_delta", "citation", citation)
	}
	for _, name := range texts {
		if err := w.text(b, index, name); err != nil {
			return err
		}
	}
	w.event("content_block_stop", "index", index)
	return nil
}

func (w *messageWriter) delta(index, kind, name, value string) {
	w.event("content_block_delta", "index", index, "delta", `{"type":"`+kind+`","`+name+`":`+value+`}`)
}

// text writes the pieces of one member of a block. A signature comes in one.
func (w *messageWriter) text(b object, index, name string) error {
	value := b.value(name)
	if name == "input" {
		return w.input(value, index)
	}
	if name == "signature" && value == "" {
		return nil
	}
	if !isString(value) {
		return refuse("%s is no text", name)
	}
	pieces := cutWords(within(value), nil)
	if name == "signature" {
		pieces = []piece{{text: within(value)}}
	}
	for _, p := range pieces {
		w.delta(index, name+"_delta", name, `"`+p.text+`"`)
	}
	return nil
}

// input writes what a tool is given.
func (w *messageWriter) input(value, index string) error {
	if !isObject(value) {
		return refuse("what a tool is given is no object")
	}
	if isEmpty(value) {
		return nil
	}
	text, err := json.Marshal(value)
	if err != nil {
		return refuse("what a tool is given is no text")
	}
	for _, p := range cutWords(within(string(text)), nil) {
		w.delta(index, "input_json_delta", "partial_json", `"`+p.text+`"`)
	}
	return nil
}
