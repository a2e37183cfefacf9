// Package report says what was measured: the samples of each round, what follows from them (the median of the
// rounds, their extremes, ratios within a round), and both as JSON, as tables in Markdown and as a plot in SVG.
package report

import "time"

// The suites.
const (
	Peers = "peers" // what else does the same
	Scale = "scale" // Tollgate with more and more of something
)

// The loads.
const (
	Answers = "answers" // closed loop, answers in one piece: what a request costs, and how many go through
	Latency = "latency" // the same at a fixed rate
	Streams = "streams" // server-sent events: what an event costs
)

// Run is all of it.
type Run struct {
	Suite    string    `json:"suite,omitempty"` // what it is about; empty: what Tollgate costs beside Envoy
	Made     time.Time `json:"made"`
	Tollgate string    `json:"tollgate"` // versions
	Envoy    string    `json:"envoy"`
	Machine  Machine   `json:"machine"`
	Settings Settings  `json:"settings"`
	Targets  []Target  `json:"targets"`
	Samples  []Sample  `json:"samples"`
	Summary  []Summary `json:"summary"`
	Steps    []Step    `json:"steps,omitempty"` // of the suite scale
	Open     []Open    `json:"open,omitempty"`  // of the suite scale
}

// Step is what a target with many routes or clients takes besides requests.
type Step struct {
	Target   string    `json:"target"`
	Routes   int64     `json:"routes"`
	Clients  int64     `json:"clients"`
	Start    float64   `json:"start_seconds"`          // of all processes, until they are ready
	Edits    []float64 `json:"edit_seconds,omitempty"` // until a route is served that was added to the file
	EnvoyRAM int64     `json:"envoy_resident_bytes"`
	GoRAM    int64     `json:"go_resident_bytes"`
}

// Open is what streams cost that are open at once.
type Open struct {
	Streams  int     `json:"streams"`
	Interval float64 `json:"interval_seconds"` // between two events of one
	Events   int64   `json:"events"`
	EnvoyCPU float64 `json:"envoy_cpu_us"` // microseconds, of all events
	GoCPU    float64 `json:"go_cpu_us"`
	EnvoyRAM int64   `json:"envoy_resident_bytes"`
	GoRAM    int64   `json:"go_resident_bytes"`

	// Where no event comes for some seconds.
	SilentEnvoyRAM int64 `json:"silent_envoy_resident_bytes"`
	SilentGoRAM    int64 `json:"silent_go_resident_bytes"`
}

// Machine is where it was measured.
type Machine struct {
	CPU        string  `json:"cpu"`
	Cores      int     `json:"cores"`
	Kernel     string  `json:"kernel"`
	LoadBefore float64 `json:"load_before"` // the load average of a minute
	LoadAfter  float64 `json:"load_after"`
}

// Settings is what was asked for.
type Settings struct {
	Rounds      int     `json:"rounds"`
	Seconds     float64 `json:"seconds"`     // of each load, in turns
	Turn        float64 `json:"turn"`        // seconds of one
	Connections int     `json:"connections"` // of the closed loop
	Rate        float64 `json:"rate"`        // requests a second of the open loop
	Streams     int     `json:"streams"`     // at once
	Events      int     `json:"events"`      // of each stream
	Interval    string  `json:"interval"`    // between two events
}

// Target is what requests went through.
type Target struct {
	Name   string `json:"name"`
	What   string `json:"what"`
	Floor  string `json:"floor,omitempty"`  // the target that does nothing else in the same mode
	Base   string `json:"base,omitempty"`   // the same of another version
	Beside string `json:"beside,omitempty"` // the target that the suite is about
}

// Sample is what one target did in one round under one load.
type Sample struct {
	Target   string    `json:"target"`
	Load     string    `json:"load"`
	Round    int       `json:"round"`
	Requests int       `json:"requests"`
	LeftOut  int       `json:"requests_left_out"` // whose latency does not count, see load.Cores
	Events   int       `json:"events"`
	Seconds  float64   `json:"seconds"`
	EnvoyCPU float64   `json:"envoy_cpu_us"` // microseconds, of all of its requests
	GoCPU    float64   `json:"go_cpu_us"`
	EnvoyRAM int64     `json:"envoy_resident_bytes"` // when the load ended
	GoRAM    int64     `json:"go_resident_bytes"`
	Latency  Quantiles `json:"latency_us"`
	First    Quantiles `json:"first_event_us"`
	Gap      Quantiles `json:"gap_us"`
}

// Quantiles are of times, in microseconds.
type Quantiles struct {
	P50  float64 `json:"p50"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99_9"`
}
