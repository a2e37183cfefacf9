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
	for from := 0; ; {
		colon := bytes.IndexByte(data[from:], ':')
		if colon < 0 {
			return false
		}
		from += colon + 1
		value := bytes.TrimLeft(data[from:], " \t")
		if len(value) > 1 && value[0] == '"' && value[1] != '"' && saidIn(nameBefore(data[:from-1])) {
			return true
		}
	}
}

// nameBefore is the member's name that ends before a colon; nil where there is none.
func nameBefore(data []byte) []byte {
	data = bytes.TrimRight(data, " \t")
	if len(data) == 0 || data[len(data)-1] != '"' {
		return nil
	}
	data = data[:len(data)-1]
	return data[bytes.LastIndexByte(data, '"')+1:]
}

// saidIn tells the members that hold what a model says.
func saidIn(name []byte) bool {
	switch string(name) {
	case "content", "text", "delta", "arguments", "reasoning_content", "reasoning", "thinking",
		"partial_json", "refusal", "transcript", "data":
		return true
	default:
		return false
	}
}
