package chaos

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// What fails beside the upstreams' answers.
const (
	ServeKilled  = "kill -9 of serve"
	ServeStopped = "serve stands still"
	ServeRenewed = "a newer serve takes over"
	EnvoyKilled  = "kill -9 of Envoy"
	EnvoyStopped = "Envoy stands still"
	AllKilled    = "kill -9 of the supervisor"
	RedisKilled  = "Redis is killed"
	RedisStopped = "Redis stands still"
	RedisFlushed = "Redis forgets all"
	UpstreamDown = "an upstream is down"
	DiskFull     = "files cannot grow"
	Edited       = "a good edit"
	BadEdit      = "a bad edit"
)

// Event is something that fails, and for how long.
type Event struct {
	At, For  time.Duration
	Kind     string
	N        int // its number, of which edits are made
	Upstream string
}

// Target is what an event does something to: two events do not touch the same at once.
func (e *Event) Target() string {
	switch e.Kind {
	case RedisKilled, RedisStopped, RedisFlushed:
		return "Redis"
	case UpstreamDown:
		return "upstream " + e.Upstream
	case DiskFull:
		return "disk"
	case Edited, BadEdit:
		return "configuration"
	}
	return "processes"
}

func (e *Event) String() string {
	text := fmt.Sprintf("%v %s", e.At.Round(time.Millisecond), e.Kind)
	if e.Kind == UpstreamDown {
		text += " (" + e.Upstream + ")"
	}
	if e.For > 0 {
		text += fmt.Sprintf(" for %v", e.For)
	}
	return text
}

// sorted gives a map's keys in order.
func sorted[K cmp.Ordered, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
