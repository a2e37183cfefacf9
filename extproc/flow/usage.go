package flow

import (
	"bytes"
	"encoding/json"

	"github.com/tidwall/gjson"

	"tollgate/extproc/openai"
)

var (
	usageName = []byte(`usage"`) // a search for the first quote would stop at every member
	null      = []byte("null")
)

// UsageFilter takes out of a stream of chat completions or completions what its client did not ask for:
// see [AskUsage]. A nil UsageFilter takes nothing.
type UsageFilter struct{ took bool }

// Takes tells whether a piece must not reach the client. It must see every piece of the stream.
func (f *UsageFilter) Takes(p Piece) bool {
	if f == nil {
		return false
	}
	if !p.More {
		f.took = p.Event && Extra(p.Bytes)
	}
	return f.took
}

// Extra tells whether an event, as it was sent, is the extra one that stream_options.include_usage
// brings: JSON whose usage is not null and whose choices are an empty array. Whatever else an event
// holds, one with choices, with an error or that is no JSON is not extra. Of two members with one name
// the last counts; a name that is written with escapes, as nobody does, is not seen.
func Extra(event []byte) bool {
	if !mayTell(event) {
		return false
	}
	extra := false
	read := func(e *openai.Event) { extra = tells(e.Data) }
	var r openai.Reader
	r.Feed(event, read)
	r.Close(read)
	return extra
}

// mayTell is the cheap question that nearly all events answer: no "usage", or null alone. It may be
// wrong about others.
func mayTell(event []byte) bool {
	for {
		at := bytes.Index(event, usageName)
		if at < 0 {
			return false
		}
		event = event[at+len(usageName):]
		value := bytes.TrimLeft(event, " \t:")
		if !bytes.HasPrefix(value, null) {
			return true
		}
	}
}

func tells(data []byte) bool {
	var choices, usage, fault gjson.Result
	gjson.ParseBytes(data).ForEach(func(name, value gjson.Result) bool {
		switch name.Str {
		case "choices":
			choices = value
		case "usage":
			usage = value
		case "error":
			fault = value
		}
		return true
	})
	return usage.Type != gjson.Null && fault.Type == gjson.Null && isEmptyArray(choices) && json.Valid(data)
}

func isEmptyArray(value gjson.Result) bool {
	if !value.IsArray() {
		return false
	}
	empty := true
	value.ForEach(func(_, _ gjson.Result) bool {
		empty = false
		return false
	})
	return empty
}
