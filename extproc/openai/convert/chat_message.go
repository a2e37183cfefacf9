package convert

import (
	"slices"
	"strconv"
)

// textMembers are the texts that a message may have, in the order in which models make them.
var textMembers = []string{"reasoning_content", "reasoning", "thinking", "content", "refusal"}

// messageKinds are the kinds of the members that are known, where they are not null.
var messageKinds = map[string]func(value string) bool{
	"role": isString, "content": isString, "refusal": isString, "reasoning_content": isString, "reasoning": isString, "thinking": isString,
	"tool_calls": isList, "annotations": isList, "function_call": isObject, "audio": isObject,
}

// chat writes a choice that is a message: who speaks, the texts, the calls, what else it has, its end.
func (w *choiceWriter) chat(choice object) error {
	message, err := parseObject(choice.value("message"), "a message")
	if err != nil {
		return err
	}
	if choice.has("delta") || choice.has("text") {
		return refuse("choice %d is none of a chat", w.index)
	}
	opening, rest, err := splitMessage(message)
	if err != nil {
		return err
	}
	w.delta(opening.String())
	w.texts(message)
	if err := w.calls(message.value("tool_calls")); err != nil {
		return err
	}
	if call := message.value("function_call"); !isEmpty(call) {
		if err := w.function(call); err != nil {
			return err
		}
	}
	if len(rest) > 0 {
		w.delta(rest.String())
	}
	w.finish(`"delta":{}`, choice, "message")
	return nil
}

// splitMessage returns what the first delta has of a message, and what comes after texts and calls.
// What says nothing is in the first.
func splitMessage(message object) (opening, rest object, err error) {
	for _, m := range message {
		if is := messageKinds[m.name]; is != nil && m.value != "null" && !is(m.value) {
			return nil, nil, refuse("%s is not what it should be", m.key)
		}
		said := !isEmpty(m.value)
		switch {
		case slices.Contains(textMembers, m.name):
			if said {
				m.value = `""`
			}
			opening = append(opening, m)
		case m.name == "tool_calls" || m.name == "function_call":
			if !said {
				opening = append(opening, m)
			}
		case m.name == "audio" && said:
			return nil, nil, refuse("it is spoken")
		case m.name == "role" || !said:
			opening = append(opening, m)
		default:
			rest = append(rest, m)
		}
	}
	if !isEmpty(message.value("reasoning")) && !isEmpty(message.value("reasoning_content")) {
		return nil, nil, refuse("it has its reasoning twice")
	}
	return opening, rest, nil
}

// delta writes an event whose delta is given.
func (w *choiceWriter) delta(delta string) {
	w.open()
	w.add(`"delta":`, delta)
	w.close(piece{}, nil)
}

func (w *choiceWriter) texts(message object) {
	for _, name := range textMembers {
		value := message.value(name)
		text := ""
		if isString(value) {
			text = within(value)
		}
		for _, p := range w.logprobs.cut(text, name) {
			w.open()
			if isString(value) {
				w.add(`"delta":{"`, name, `":"`, p.text, `"}`)
			} else {
				w.add(`"delta":{}`)
			}
			w.close(p, func(c column) bool { return c.name == name })
		}
	}
}

// calls writes each tool call: what it is, then its arguments in pieces.
func (w *choiceWriter) calls(list string) error {
	for i, text := range parseList(list) {
		call, err := parseObject(text, "a tool call")
		if err != nil {
			return err
		}
		if index := call.value("index"); index != "" && !isIndex(index, i) {
			return refuse("the tool calls are not in order")
		}
		if err := w.call(call.without("index"), i); err != nil {
			return err
		}
	}
	return nil
}

func (w *choiceWriter) call(call object, index int) error {
	var long [2]string // the member that has a long text, and the text's name in there
	var text string
	for _, names := range [][2]string{{"function", "arguments"}, {"custom", "input"}} {
		value := call.value(names[0])
		if value == "" {
			continue
		}
		inner, outer, err := cutOut(value, names[1])
		if err != nil || long[0] != "" {
			return refuse("a tool call is not known")
		}
		call = call.with(names[0], outer)
		long, text = names, inner
	}
	at := member{"index", `"index"`, strconv.Itoa(index)}
	w.delta(`{"tool_calls":[` + append(object{at}, call...).String() + `]}`)
	for _, p := range cutWords(text, nil) {
		w.delta(`{"tool_calls":[{"index":` + at.value + `,"` + long[0] + `":{"` + long[1] + `":"` + p.text + `"}}]}`)
	}
	return nil
}

// function writes the older form of a call.
func (w *choiceWriter) function(call string) error {
	text, outer, err := cutOut(call, "arguments")
	if err != nil {
		return err
	}
	w.delta(`{"function_call":` + outer + `}`)
	for _, p := range cutWords(text, nil) {
		w.delta(`{"function_call":{"arguments":"` + p.text + `"}}`)
	}
	return nil
}

// cutOut takes the text of a member, which may be missing or null, out of an object.
func cutOut(value, name string) (text, rest string, err error) {
	o, err := parseObject(value, "a call")
	if err != nil {
		return "", "", err
	}
	long := o.value(name)
	if long != "" && long != "null" && !isString(long) {
		return "", "", refuse("what a call is given is no text")
	}
	if isString(long) {
		text = within(long)
		o = o.with(name, `""`)
	}
	return text, o.String(), nil
}
