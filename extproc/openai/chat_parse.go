package openai

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"

	"github.com/tidwall/gjson"
)

var errNotObject = errors.New("not a JSON object")

// parse reads what is known of an answer. Chunks of chats are what a gateway reads most, and this takes
// a third of the time that decoding into structs does. What is rare goes the common way.
func (c *chatAnswer) parse(event *Event) error {
	data := event.Data
	if event.Whole {
		data = unlist(data)
	}
	if !Valid(data) {
		return errNotObject
	}
	root := gjson.ParseBytes(data)
	if !root.IsObject() {
		return errNotObject
	}
	root.ForEach(func(name, value gjson.Result) bool {
		c.take(name.Str, value)
		return true
	})
	return nil
}

func (c *chatAnswer) take(name string, value gjson.Result) {
	switch name {
	case "id":
		c.ID = text(value)
	case "model":
		c.Model = text(value)
	case "object":
		c.Object = text(value)
	case "usage":
		c.Usage = readUsage(value)
	case "error":
		c.Error = json.RawMessage(value.Raw)
	case "choices":
		c.choices = c.choices[:0]
		if c.bare {
			return
		}
		list(value, func(from gjson.Result) { c.choices = append(c.choices, parseChoice(from)) })
	case "x_groq":
		c.groq = readUsage(value.Get("usage"))
	}
}

func parseChoice(from gjson.Result) (c chatChoice) {
	from.ForEach(func(name, value gjson.Result) bool {
		switch name.Str {
		case "index":
			c.index = position(value)
		case "text":
			c.text = text(value)
		case "finish_reason":
			c.finish = text(value)
		case "delta", "message":
			c.message.parse(value)
		}
		return true
	})
	return c
}

func (m *chatMessage) parse(from gjson.Result) {
	if !from.IsObject() {
		return
	}
	from.ForEach(func(name, value gjson.Result) bool {
		switch name.Str {
		case "role":
			m.role = text(value)
		case "content":
			m.content = text(value)
			if value.IsArray() {
				m.content = partsText(value)
			}
		case "refusal":
			m.refusal = text(value)
		case "reasoning_content":
			m.reasoningContent = text(value)
		case "reasoning":
			m.reasoning = text(value)
		case "tool_calls":
			m.calls = nil
			list(value, func(from gjson.Result) {
				var made *chatCall
				if object(from, &made); made != nil {
					m.calls = append(m.calls, *made)
				}
			})
		case "function_call":
			object(value, &m.function)
		case "audio":
			object(value, &m.audio)
		}
		return true
	})
}

// partsText is the text of a list of parts, which some upstreams send for content.
func partsText(parts gjson.Result) string {
	var all bytes.Buffer
	list(parts, func(part gjson.Result) {
		if part.IsObject() {
			all.WriteString(text(part.Get("text")))
		}
	})
	return all.String()
}

// list calls back with each object in a list.
func list(value gjson.Result, each func(gjson.Result)) {
	if !value.IsArray() {
		return
	}
	value.ForEach(func(_, element gjson.Result) bool {
		if element.IsObject() {
			each(element)
		}
		return true
	})
}

// text is a string, and of anything else nothing.
func text(value gjson.Result) string {
	if value.Type == gjson.String {
		return value.Str
	}
	return ""
}

// position is an index: 0 where there is none, and one that is refused where it cannot be.
func position(value gjson.Result) int {
	if value.Type != gjson.Number || value.Num != math.Trunc(value.Num) {
		return 0
	}
	if math.Abs(value.Num) > math.MaxInt32 {
		return math.MaxInt32
	}
	return int(value.Num)
}

// object decodes what is rare, member by member: one of another type is left out.
func object[T any](value gjson.Result, into **T) {
	*into = nil
	if !value.IsObject() {
		return
	}
	*into = new(T)
	_ = json.Unmarshal([]byte(value.Raw), *into) // it is valid: only a member's type can be wrong
}
