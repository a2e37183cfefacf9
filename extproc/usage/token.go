package usage

import (
	"bytes"
	"strings"
	"time"

	"tollgate/extproc/openai"
)

const (
	// lookInto is how much of an event is searched: what a model says comes early in it.
	lookInto = 4 << 10

	// lookAt is how many events are searched before it is clear that none will tell.
	lookAt = 64
)

// firstToken remembers when a stream's first token came. It allocates nothing.
type firstToken struct {
	at     time.Time // zero: not yet
	looked int
}

// see reports whether this event is the first one with something that the model said.
func (f *firstToken) see(event *openai.Event, now func() time.Time) bool {
	if event == nil || event.Whole || f.looked >= lookAt || !f.at.IsZero() {
		return false
	}
	f.looked++
	if !speaks(event) {
		return false
	}
	f.at = now()
	return true
}

// speaks reports whether an event holds text, thoughts, arguments or sound. Streams begin with events
// that do not: a role, an empty string, a ping.
func speaks(event *openai.Event) bool {
	// These repeat the instructions, which are text too.
	if strings.HasPrefix(event.Name, "response.") && !strings.HasSuffix(event.Name, ".delta") {
		return false
	}
	data := event.Data
	if len(data) > lookInto {
		data = data[:lookInto]
	}
	for _, field := range [...]string{
		`"content"`, `"text"`, `"delta"`, `"arguments"`, `"reasoning_content"`, `"reasoning"`,
		`"thinking"`, `"partial_json"`, `"refusal"`, `"transcript"`, `"data"`,
	} {
		if holdsText(data, field) {
			return true
		}
	}
	return false
}

// holdsText finds a field, given with its quotes, whose value is a string that is not empty.
func holdsText(data []byte, field string) bool {
	for {
		at := indexString(data, field)
		if at < 0 {
			return false
		}
		data = data[at+len(field):]
		value := bytes.TrimLeft(data, " \t")
		if len(value) == 0 || value[0] != ':' {
			continue
		}
		value = bytes.TrimLeft(value[1:], " \t")
		if len(value) > 1 && value[0] == '"' && value[1] != '"' {
			return true
		}
	}
}

// indexString is bytes.Index for a string, without a copy of it.
func indexString(data []byte, s string) int {
	from := 0
	for {
		at := bytes.IndexByte(data[from:], s[0])
		if at < 0 {
			return -1
		}
		from += at
		if len(data)-from < len(s) {
			return -1
		}
		if string(data[from:from+len(s)]) == s {
			return from
		}
		from++
	}
}
