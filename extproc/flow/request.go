package flow

import (
	"bytes"
	"iter"
	"slices"

	"github.com/tidwall/gjson"

	"tollgate/extproc/openai"
)

const askUsage = `{"include_usage":true}`

// AskUsage asks the upstream to tell how many tokens a streamed answer took: it sets
// stream_options.include_usage, and changes no other byte. The body is one that [openai.ParseRequest]
// takes as JSON; of two members with one name the last counts, as there.
//
// It returns the body as it is, and false, where no stream is asked for, or where the client said
// something of its own that is not plainly no: nothing must be taken out of its answer then.
func AskUsage(body []byte) (changed []byte, ok bool) {
	var stream, options, asked gjson.Result
	for m := range members(parse(body)) {
		switch m.name {
		case "stream":
			stream = m.value
		case "stream_options":
			options = m.value
		}
	}
	if !openai.IsTrue(stream.Raw) {
		return body, false
	}
	if options.Raw == "" {
		return insert(body, bytes.LastIndexByte(body, '}'), `,"stream_options":`+askUsage)
	}
	if options.Type == gjson.Null {
		return replace(body, options, askUsage)
	}
	if !options.IsObject() {
		return body, false
	}
	comma := ""
	for m := range members(options) {
		comma = ","
		if m.name == "include_usage" {
			asked = m.value
		}
	}
	switch {
	case asked.Raw == "":
		return insert(body, end(options)-1, comma+`"include_usage":true`)
	case asked.Type == gjson.Null, asked.Type == gjson.False:
		return replace(body, asked, "true")
	}
	return body, false
}

// DropMember takes a member out of a JSON object, all that have this name, each with one comma and the
// white space beside it, and changes no other byte. The body is one that [openai.ParseRequest] takes as
// JSON. It returns the body as it is, and false, where there is none.
func DropMember(body []byte, name string) (changed []byte, ok bool) {
	copied, last := 0, 0 // how far the body is copied or left out, and where the last member ended
	kept := false        // a member before this one stays
	for m := range members(parse(body)) {
		drop := m.name == name
		switch {
		case drop && kept: // without the comma before it
			changed = append(changed, body[copied:last]...)
		case drop && !ok:
			changed = append(make([]byte, 0, len(body)), body[:m.start]...)
		case !drop && !kept && ok: // without the comma after what was dropped
			copied = m.start
		}
		last = end(m.value)
		if drop {
			ok, copied = true, last
		} else {
			kept = true
		}
	}
	if !ok {
		return body, false
	}
	return append(changed, body[copied:]...), true
}

// Rename changes the model that a body asks for by JSON, as often as it names one, and no other byte. It
// returns the body as it is, and false, where there is nothing to change, as in a form.
func Rename(body []byte, rename func(model string) string) (changed []byte, ok bool) {
	if !openai.Valid(bytes.TrimPrefix(body, byteOrderMark)) {
		return body, false
	}
	copied := 0
	for m := range members(parse(body)) {
		if m.name != "model" || m.value.Type != gjson.String {
			continue
		}
		to := rename(m.value.Str)
		if to == m.value.Str {
			continue
		}
		changed = append(changed, body[copied:m.value.Index]...)
		changed = gjson.AppendJSONString(changed, to)
		copied, ok = end(m.value), true
	}
	if !ok {
		return body, false
	}
	return append(changed, body[copied:]...), true
}

// member is a member of an object. Places are counted from the body's first byte.
type member struct {
	name  string
	start int // of the name
	value gjson.Result
}

// parse returns the object that a body is.
func parse(body []byte) gjson.Result {
	object := bytes.TrimPrefix(body, byteOrderMark)
	root := gjson.ParseBytes(object)
	root.Index += len(body) - len(object)
	return root
}

func members(object gjson.Result) iter.Seq[member] {
	return func(yield func(member) bool) {
		if !object.IsObject() {
			return
		}
		object.ForEach(func(name, value gjson.Result) bool {
			return yield(member{name: name.Str, start: name.Index, value: value})
		})
	}
}

// end is where a value ends.
func end(value gjson.Result) int { return value.Index + len(value.Raw) }

// insert puts text before a closing brace, in a copy. What has none there is no JSON, and stays.
func insert(body []byte, brace int, text string) ([]byte, bool) {
	if brace < 0 || body[brace] != '}' {
		return body, false
	}
	return slices.Concat(body[:brace], []byte(text), body[brace:]), true
}

// replace puts text in a value's place, in a copy.
func replace(body []byte, value gjson.Result, text string) ([]byte, bool) {
	return slices.Concat(body[:value.Index], []byte(text), body[end(value):]), true
}
