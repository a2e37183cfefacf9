package config

import "slices"

// Needs says which parts of a request the Go process must see on a route. It is the one place that
// weighs policies against what they cost: xds turns it into Envoy's filters and processing modes,
// and nothing else derives it again.
type Needs struct {
	// Gate: the request's headers, before the upstream is called.
	Gate bool

	// Request: the request's body as well, before the upstream is called.
	Request Bodies

	// Response: the answer by way of the gate, which costs most, and cuts it if the gate dies.
	Response Bodies

	// Attempts: what becomes of the upstream's keys, each time that the request is tried.
	Attempts bool

	// Tap: copies of request and answer, beside the path. A tap needs a gate: who calls is told there.
	Tap bool
}

// Bodies says which requests' bodies are meant.
type Bodies int

// The choices.
const (
	NoBody   Bodies = iota
	AskedFor        // of the APIs whose requests can be read: see AskedPath
	AnyBody         // of every request
)

// Needs compiles a route's policies into the cheapest thing that serves them. A route without any
// policy needs nothing: Envoy forwards it alone.
func (r *Route) Needs() Needs {
	n := Needs{Request: r.request(), Response: r.response(), Tap: r.tap()}
	n.Gate = n.Tap || n.Request != NoBody || n.Response != NoBody || len(r.Limits) > 0 ||
		r.Auth != AuthPassthrough || r.Identified || !r.IP.Any() || !r.ForAll.Any()
	if n.Gate && n.Request == NoBody && r.NameModels {
		n.Request = AskedFor
	}
	n.Attempts = n.Gate && r.attempts()
	return n
}

func (r *Route) request() Bodies {
	switch {
	case r.Guests.Models || r.byModel() || r.renames() || slices.ContainsFunc(r.Limits, Limit.ByModel):
		return AnyBody // whatever has a model: images and speech too
	case r.ExactUsage || r.Cache != nil || r.Guests.Tokens || slices.ContainsFunc(r.Limits, Limit.settled):
		return AskedFor
	}
	return NoBody
}

func (r *Route) response() Bodies {
	switch {
	case len(r.Pace) > 0:
		return AnyBody
	case r.ExactUsage:
		return AskedFor
	}
	return NoBody
}

func (r *Route) tap() bool {
	return r.Log || r.Metered || r.Traced || r.Cache != nil || r.MaxInFlight > 0 || r.Guests.Ends ||
		slices.ContainsFunc(r.Limits, Limit.settled)
}
