package extproc

import (
	"time"

	"tollgate/config"
	"tollgate/extproc/auth"
)

// retireAfter is how long a route that the newest configuration no longer has stays usable: longer
// than Envoy takes to learn of the change and a request to reach the gate.
const retireAfter = time.Minute

// table is what the gate knows: one configuration, and the routes by their ids, retiring ones too.
// Never written to once it is in force.
type table struct {
	config *config.Config
	routes map[string]*route
}

// route is a route with the state that outlives a change of the configuration.
type route struct {
	*config.Route

	keys     *auth.Keys
	tapped   bool      // a tap will come for its calls
	attempts bool      // each attempt is asked about
	retired  time.Time // zero while the configuration has it
}

// target finds an upstream that the route leads to, by its name, and its keys.
func (r *route) target(name string) (*config.Upstream, *auth.Keys) {
	if r.Upstream.Name != name {
		return nil, nil
	}
	return r.Upstream, r.keys
}

// next is the table for a newer configuration: its routes, and the present ones that it does not
// have, until they have retired.
func (t *table) next(c *config.Config) *table {
	rings := map[*config.Upstream]*auth.Keys{}
	for _, u := range c.Upstreams {
		rings[u] = auth.NewKeys(u.Keys)
	}
	next := &table{config: c, routes: make(map[string]*route, len(c.Routes))}
	for _, r := range c.Routes {
		needs := r.Needs()
		next.routes[r.ID] = &route{Route: r, keys: rings[r.Upstream], tapped: needs.Tap, attempts: needs.Attempts}
	}
	now := time.Now()
	for id, old := range t.routes {
		if next.routes[id] != nil || !old.retired.IsZero() && now.Sub(old.retired) > retireAfter {
			continue
		}
		kept := *old
		if kept.retired.IsZero() {
			kept.retired = now
		}
		next.routes[id] = &kept
	}
	return next
}
