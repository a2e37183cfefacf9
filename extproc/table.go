package extproc

import (
	"time"

	"tollgate/config"
	"tollgate/extproc/auth"
)

// retireAfter is how long a route that the newest configuration no longer has stays usable: longer
// than Envoy takes to learn of the change and a request to reach the gate.
const retireAfter = time.Minute

// table is what the gate knows: one configuration, and the routes by their keys, retiring ones too.
// Never written to once it is in force.
type table struct {
	config *config.Config
	routes map[config.RouteKey]*route
}

// find gives the route that Envoy means by a name, for a request's path; nil: it is not known.
func (t *table) find(name, path string) *route { return t.routes[config.Named(name, path)] }

// route is a route with the state that outlives a change of the configuration.
type route struct {
	*config.Route

	choices []*choice
	tapped  bool      // a tap will come for its calls
	retired time.Time // zero while the configuration has it
}

// next is the table for a newer configuration: its routes, and the present ones that it does not
// have, until they have retired.
func (t *table) next(c *config.Config) *table {
	rings := map[*config.Upstream]*auth.Keys{}
	for _, u := range c.Upstreams {
		rings[u] = auth.NewKeys(u.Keys)
	}
	next := &table{config: c, routes: make(map[config.RouteKey]*route, len(c.Routes))}
	for _, r := range c.Routes {
		added := &route{Route: r, tapped: r.Needs().Tap}
		for i := range r.Choices {
			added.choices = append(added.choices, newChoice(&r.Choices[i], rings))
		}
		next.routes[r.Key()] = added
	}
	now := time.Now()
	for key, old := range t.routes {
		if next.routes[key] != nil || !old.retired.IsZero() && now.Sub(old.retired) > retireAfter {
			continue
		}
		kept := *old
		if kept.retired.IsZero() {
			kept.retired = now
		}
		next.routes[key] = &kept
	}
	return next
}
