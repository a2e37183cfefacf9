package chaos

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Fault is what an upstream does at one attempt, in the words of the mock's orders.
type Fault string

// What a fault does to the attempt that meets it.
const (
	Harmless = "harmless" // the answer is late, and whole
	Before   = "before"   // it fails before the answer begins, and may be tried again
	Refuses  = "refuses"  // the key is turned down: it may be tried again where there is another
	Final    = "final"    // it is an error, which the client gets
	Within   = "within"   // the answer breaks off
	Garbage  = "garbage"  // the answer ends in good order, and is not what it should be
)

// When an attempt is given up (see the configuration), and how long it then stands still.
const (
	firstByteWithin = 3 * time.Second
	idleWithin      = 3 * time.Second
	stuck           = "5s"
)

// faults says what each does.
func faults() map[Fault]string {
	return map[Fault]string{
		"mock-delay: 300ms":         Harmless,
		"mock-stall: 700ms":         Harmless,
		"mock-break: reset":         Before,
		"mock-garble: not-http":     Before,
		"mock-delay: " + stuck:      Before,
		"mock-status: 502":          Before,
		"mock-status: 503":          Before,
		"mock-status: 504":          Before,
		"mock-status: 503, after":   Before,
		"mock-status: 401":          Refuses,
		"mock-status: 403":          Refuses,
		"mock-status: 429":          Refuses,
		"mock-status: 429, after":   Refuses,
		"mock-status: 500":          Final,
		"mock-status: 400":          Final,
		"mock-break: mid-body":      Within,
		"mock-break: mid-event":     Within,
		"mock-stall: " + stuck:      Within,
		"mock-garble: chunk":        Within,
		"mock-garble: too-long":     Within,
		"mock-break: after-headers": Within,
		"mock-garble: too-short":    Garbage,
		"mock-garble: half":         Garbage,
		"mock-garble: noise":        Garbage,
	}
}

// allFaults are in an order that does not change.
func allFaults() []Fault { return sorted(faults()) }

// Does says what the fault does; empty: nothing.
func (f Fault) Does() string { return faults()[f] }

// Order puts the fault into the headers by which the mock is told.
func (f Fault) Order(h http.Header) {
	if f == "" {
		return
	}
	text, after := strings.CutSuffix(string(f), ", after")
	name, value, _ := strings.Cut(text, ": ")
	h.Set(name, value)
	if after {
		h.Set("mock-header", "retry-after: "+strconv.Itoa(1))
	}
}
