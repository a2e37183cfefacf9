package convert

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/tidwall/gjson"

	"tollgate/extproc/openai"
)

// WithUsage makes a stored stream of chats or completions right for a reader who asked for usage
// (stream_options.include_usage), or did not. Call it where the stream was stored for one of the other
// kind: it cannot tell. Each element is one event, as [Split] and [StreamFromPlain] return them. The
// stream itself is not changed; other APIs' streams are returned as they are.
//
// Not asked: the event that brings nothing but usage is left out. Other events stay as they are, also
// those with "usage": null, and those that have usage beside a choice: their upstream sends it to all.
//
// Asked, and the stream has no usage: an event with it is put before [DONE] if it is known from
// elsewhere. It may be nil: the stream is then returned as it is.
func WithUsage(api openai.API, stream [][]byte, asked bool, known *openai.Usage) [][]byte {
	if api != openai.Chat && api != openai.Completions {
		return stream
	}
	if !asked {
		return withoutUsage(stream)
	}
	if known == nil || slices.ContainsFunc(stream, hasUsage) {
		return stream
	}
	return addUsage(stream, known)
}

func withoutUsage(stream [][]byte) [][]byte {
	rest := make([][]byte, 0, len(stream))
	for _, raw := range stream {
		if !bytes.Contains(raw, []byte(`"usage"`)) {
			rest = append(rest, raw)
			continue
		}
		event := eventObject(raw)
		if isObject(event.value("usage")) && event.has("choices") && isEmpty(event.value("choices")) {
			if !tellsMore(event) {
				continue
			}
			raw = append(event.without("usage").appendTo([]byte("data: ")), "\n\n"...)
		}
		rest = append(rest, raw)
	}
	return rest
}

// tellsMore tells whether an event has more than usage and what all events have.
func tellsMore(event object) bool {
	return slices.ContainsFunc(event, func(m member) bool {
		return m.name != "usage" && m.name != "choices" && m.name != "obfuscation" && !slices.Contains(headMembers, m.name) && !isEmpty(m.value)
	})
}

func hasUsage(raw []byte) bool {
	if !bytes.Contains(raw, []byte(`"usage"`)) {
		return false
	}
	event := eventObject(raw)
	return !isEmpty(event.value("usage")) || gjson.Get(event.value("x_groq"), "usage").IsObject()
}

// addUsage puts an event with usage before the end. Its other members are those of the last that has
// an id.
func addUsage(stream [][]byte, known *openai.Usage) [][]byte {
	var head object
	end := len(stream)
	for i, raw := range slices.Backward(stream) {
		event := eventObject(raw)
		if event == nil && bytes.Contains(raw, []byte("[DONE]")) {
			end = i
		}
		if !isEmpty(event.value("id")) {
			head = pick(event, headMembers)
			break
		}
	}
	head.set("choices", "[]")
	head.set("usage", usageObject(known))
	made := append(head.appendTo([]byte("data: ")), "\n\n"...)
	return slices.Insert(slices.Clone(stream), end, made)
}

func usageObject(u *openai.Usage) string {
	type cached struct {
		Cached int `json:"cached_tokens"`
	}
	type reasoning struct {
		Reasoning int `json:"reasoning_tokens"`
	}
	text, err := json.Marshal(struct {
		Prompt     int       `json:"prompt_tokens"`
		Completion int       `json:"completion_tokens"`
		Total      int       `json:"total_tokens"`
		PromptOf   cached    `json:"prompt_tokens_details"`
		CompleteOf reasoning `json:"completion_tokens_details"`
	}{u.Prompt, u.Completion, u.Total, cached{u.Cached}, reasoning{u.Reasoning}})
	if err != nil {
		return "null" // cannot be: they are numbers
	}
	return string(text)
}

// eventObject is the object in an event's data; nil if there is none.
func eventObject(raw []byte) (o object) {
	_, _ = eachEvent([][]byte{raw}, func(_, data string) (err error) {
		o, err = parseObject(data, "an event")
		return err
	})
	return o
}

// Split cuts a stream after each blank line. The pieces share its memory, and are the whole of it.
func Split(stream []byte) [][]byte {
	var list [][]byte
	for len(stream) > 0 {
		n := eventLength(stream)
		list = append(list, stream[:n:n])
		stream = stream[n:]
	}
	return list
}

// eventLength is how long the event at the beginning is, its blank line with it. Lines end with CR, LF
// or both.
func eventLength(stream []byte) int {
	for at := 0; ; {
		end := bytes.IndexAny(stream[at:], "\r\n")
		if end < 0 {
			return len(stream)
		}
		blank := end == 0 && at > 0
		at += end + 1
		if stream[at-1] == '\r' && at < len(stream) && stream[at] == '\n' {
			at++
		}
		if blank {
			return at
		}
	}
}
