package limit

import "tollgate/config"

// Standing is one rate of a limit, to be asked how it stands.
type Standing struct {
	Route  string // its prefix; empty: of all routes
	Limit  config.Limit
	Charge Charge // of nothing
}

// StandingsOf are the limits that count what one client takes, over all routes and on each. Those that count
// by a request's model or path are left out: there is one for each.
func StandingsOf(c *config.Config, client *config.Client) []Standing {
	var standings []Standing
	for _, l := range client.Limits {
		a := &Ask{Client: client}
		standings = append(standings, a.standings(l, "", "own")...)
	}
	for _, route := range c.Routes {
		for _, l := range route.Limits {
			if l.Per == config.PerClient && l.Clients.Hold(client) {
				a := &Ask{Route: route, Client: client}
				standings = append(standings, a.standings(l, route.Prefix, scope(route, l))...)
			}
		}
	}
	return standings
}

// StandingsFor are the limits that all clients of a route share.
func StandingsFor(route *config.Route) []Standing {
	var standings []Standing
	for _, l := range route.Limits {
		if l.Per == config.PerRoute {
			a := &Ask{Route: route}
			standings = append(standings, a.standings(l, route.Prefix, scope(route, l))...)
		}
	}
	return standings
}

func (a *Ask) standings(l config.Limit, route, scope string) []Standing {
	if l.Per == config.PerModel || l.Per == config.PerPath {
		return nil
	}
	key := a.key(l, scope)
	standings := make([]Standing, len(l.Rates))
	for i, r := range l.Rates {
		standings[i] = Standing{route, l, Charge{Key: key, Rate: r, Strategy: Strategy(l.Strategy), Of: l.Of, Shadow: l.Shadow}}
	}
	return standings
}
