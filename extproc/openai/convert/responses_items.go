package convert

import (
	"strconv"
	"strings"
)

// item writes the events of one item of a response's output.
func (s *story) item(item object, index int) error {
	w := &itemWriter{story: s, item: item, id: item.value("id"), index: strconv.Itoa(index)}
	if isEmpty(w.id) || !isString(w.id) {
		return refuse("an item has no id")
	}
	switch item.text("type") {
	case "message":
		w.added("status", `"in_progress"`, "content", "[]")
		if err := w.parts("content", w.contentPart); err != nil {
			return err
		}
	case "reasoning":
		w.added("status", `"in_progress"`, "summary", "[]", "content", "[]", "encrypted_content", "null")
		if err := w.parts("summary", w.summaryPart); err != nil {
			return err
		}
		if err := w.parts("content", w.contentPart); err != nil {
			return err
		}
	case "function_call":
		w.added("status", `"in_progress"`, "arguments", `""`)
		if err := w.call("function_call_arguments", "arguments"); err != nil {
			return err
		}
	case "custom_tool_call":
		w.added("status", `"in_progress"`, "input", `""`)
		if err := w.call("custom_tool_call_input", "input"); err != nil {
			return err
		}
	default:
		return refuse("an item of its type is not known")
	}
	s.begin("response.output_item.done")
	s.finish("output_index", w.index, "item", item.String())
	return nil
}

// itemWriter writes the events of one item.
type itemWriter struct {
	*story
	item  object
	id    string
	index string
}

// added tells that there is an item, with some of its members as they were at first.
func (w *itemWriter) added(namesAndValues ...string) {
	w.begin("response.output_item.added")
	w.finish("output_index", w.index, "item", w.item.with(namesAndValues...).String())
}

// tell writes an event about the item.
func (w *itemWriter) tell(name string, members ...string) {
	w.begin("response." + name)
	w.finish(append([]string{"item_id", w.id, "output_index", w.index}, members...)...)
}

// parts writes each part of a list that the item may have.
func (w *itemWriter) parts(list string, write func(part object, index string) error) error {
	value := w.item.value(list)
	if value != "" && value != "null" && !isList(value) {
		return refuse("%s is no list", list)
	}
	for i, text := range parseList(value) {
		part, err := parseObject(text, "a part")
		if err != nil {
			return err
		}
		if err := write(part, strconv.Itoa(i)); err != nil {
			return err
		}
	}
	return nil
}

// contentPart writes a part of a message, or of reasoning that is not a summary.
func (w *itemWriter) contentPart(part object, index string) error {
	events, name := "", "text"
	switch part.text("type") {
	case "output_text":
		events = "output_text"
	case "reasoning_text":
		events = "reasoning_text"
	case "refusal":
		events, name = "refusal", "refusal"
	default:
		return refuse("a part of its type is not known")
	}
	text := part.value(name)
	if !isString(text) {
		return refuse("a part has no text")
	}
	w.tell("content_part.added", "content_index", index, "part", part.with(name, `""`, "annotations", "[]", "logprobs", "[]").String())
	switch events {
	case "output_text":
		w.outputText(part, index)
	default:
		for _, p := range cutWords(within(text), nil) {
			w.tell(events+".delta", "content_index", index, "delta", `"`+p.text+`"`)
		}
		w.tell(events+".done", "content_index", index, name, text)
	}
	w.tell("content_part.done", "content_index", index, "part", part.String())
	return nil
}

// outputText writes a text with its log probabilities, and then what it cites.
func (w *itemWriter) outputText(part object, index string) {
	text := part.value("text")
	entries := parseList(part.value("logprobs"))
	sizes := make([]int, len(entries))
	for i, entry := range entries {
		sizes[i] = tokenSize(entry)
	}
	for _, p := range cutText(within(text), sizes, len(entries)) {
		logprobs := string(appendList(nil, entries[p.from:p.to]))
		w.tell("output_text.delta", "content_index", index, "delta", `"`+p.text+`"`, "logprobs", logprobs)
	}
	for i, annotation := range parseList(part.value("annotations")) {
		w.tell("output_text.annotation.added", "content_index", index, "annotation_index", strconv.Itoa(i), "annotation", annotation)
	}
	w.tell("output_text.done", "content_index", index, "text", text, "logprobs", string(appendList(nil, entries)))
}

// summaryPart writes a part of what reasoning was about.
func (w *itemWriter) summaryPart(part object, index string) error {
	text := part.value("text")
	if part.text("type") != "summary_text" || !isString(text) {
		return refuse("a part of its type is not known")
	}
	w.tell("reasoning_summary_part.added", "summary_index", index, "part", part.with("text", `""`).String())
	for _, p := range cutWords(within(text), nil) {
		w.tell("reasoning_summary_text.delta", "summary_index", index, "delta", `"`+p.text+`"`)
	}
	w.tell("reasoning_summary_text.done", "summary_index", index, "text", text)
	w.tell("reasoning_summary_part.done", "summary_index", index, "part", part.String())
	return nil
}

// call writes what a call is given. The events have their own name for it.
func (w *itemWriter) call(events, name string) error {
	text := w.item.value(name)
	if !isString(text) {
		return refuse("what a call is given is no text")
	}
	for _, p := range cutWords(within(text), nil) {
		w.tell(events+".delta", "delta", `"`+p.text+`"`)
	}
	members := []string{name, text}
	if called := w.item.value("name"); strings.HasPrefix(events, "function") && called != "" {
		members = append([]string{"name", called}, members...)
	}
	w.tell(events+".done", members...)
	return nil
}
