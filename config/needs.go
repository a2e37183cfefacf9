package config

// Needs says which parts of a request the Go process must see on a route. It is the one place that
// weighs policies against what they cost: xds turns it into Envoy's filters and processing modes,
// and nothing else derives it again.
type Needs struct {
	// Gate: the request's headers, before the upstream is called.
	Gate bool

	// Tap: copies of request and answer, beside the path. A tap needs a gate: who calls is told there.
	Tap bool
}

// Needs compiles a route's policies into the cheapest thing that serves them. A route without any
// policy needs nothing: Envoy forwards it alone.
func (r *Route) Needs() Needs {
	tap := r.Log || r.Metered || r.Traced
	return Needs{
		Gate: tap || len(r.Limits) > 0 || r.Auth != AuthPassthrough || r.Identified || !r.IP.Any() || !r.ForAll.Any(),
		Tap:  tap,
	}
}
