package config

import (
	"fmt"
	"slices"

	tollgatev1 "tollgate/proto/tollgate/v1"
)

// Target is an upstream of several that requests may go to.
type Target struct {
	*Upstream

	Weight uint32 // its share of the requests that begin there; 0: it gets what others fail at
}

// Choice is where the requests for some models, or of some clients, go: to one of the targets, and where that
// fails to the next, the first after the last.
type Choice struct {
	Models  Patterns // none: all models, and requests that name none
	Clients Names
	Targets []Target // at least one
}

// Several tells whether there is another target where one fails.
func (c *Choice) Several() bool { return len(c.Targets) > 1 }

// Renames tells whether models have other names at one of the targets.
func (c *Choice) Renames() bool {
	return slices.ContainsFunc(c.Targets, func(t Target) bool { return len(t.Rename) > 0 })
}

// ChoiceOf gives the number of the choice for a client (nil: nobody with a name) and a model; empty: none is
// named.
func (r *Route) ChoiceOf(client *Client, model string) int {
	for i := range r.Choices {
		c := &r.Choices[i]
		if c.Clients.Hold(client) && (len(c.Models) == 0 || model != "" && c.Models.Match(model)) {
			return i
		}
	}
	return len(r.Choices) - 1
}

// byModel tells whether a request's model says where it goes.
func (r *Route) byModel() bool {
	return slices.ContainsFunc(r.Choices, func(c Choice) bool { return len(c.Models) > 0 })
}

// Upstreams are all that the route's requests may go to, each once.
func (r *Route) Upstreams() []*Upstream {
	var all []*Upstream
	for _, choice := range r.Choices {
		for _, t := range choice.Targets {
			if !slices.Contains(all, t.Upstream) {
				all = append(all, t.Upstream)
			}
		}
	}
	return all
}

// onePlace tells whether all requests of those who have no name here go to one address, as a key of their own
// must.
func (r *Route) onePlace() bool {
	var first *Upstream
	return !slices.ContainsFunc(r.Choices, func(c Choice) bool {
		if len(c.Clients) > 0 {
			return false
		}
		u := c.Targets[0].Upstream
		if first == nil {
			first = u
		}
		return c.Several() || u.URL() != first.URL() || u.Proxy != first.Proxy
	})
}

// HasKeys tells whether one of the route's upstreams has keys of its own.
func (r *Route) HasKeys() bool {
	return slices.ContainsFunc(r.Upstreams(), func(u *Upstream) bool { return len(u.Keys) > 0 })
}

// attempts tells whether the upstreams' keys must be seen to at each attempt.
func (r *Route) attempts() bool {
	return slices.ContainsFunc(r.Choices, func(c Choice) bool {
		return c.Several() || len(c.Targets[0].Keys) > 1
	})
}

func (r *Route) renames() bool {
	return slices.ContainsFunc(r.Choices, func(c Choice) bool { return c.Renames() })
}

// choices resolves where a route's requests go: by their models and clients, and all others.
func (r *resolver) choices(field string, m *tollgatev1.Route) []Choice {
	var choices []Choice
	for i, rule := range m.GetModels() {
		at := fmt.Sprintf("%s.models[%d]", field, i)
		if len(rule.GetMatch())+len(rule.GetClients()) == 0 {
			r.problem(at, "holds for all requests: name models by match, or clients; upstreams for all stand at the route")
		}
		choices = append(choices, Choice{
			Models:  rule.GetMatch(),
			Clients: r.names(at+".clients", rule.GetClients()),
			Targets: r.targets(at+".upstreams", rule.GetUpstreams()),
		})
	}
	all := Choice{Targets: r.targets(field+".upstreams", m.GetUpstreams())}
	switch named := m.GetUpstream(); {
	case named == "" && len(m.GetUpstreams()) == 0:
		r.problem(field+".upstream", "leads nowhere: name an upstream%s", suggestion("", r.upstreamNames()))
	case named != "" && len(m.GetUpstreams()) > 0:
		r.problem(field+".upstreams", "stands beside upstream: put all of them into upstreams")
	case named != "":
		if u := r.named(field+".upstream", named); u != nil {
			all.Targets = []Target{{Upstream: u, Weight: 1}}
		}
	}
	choices = append(choices, all)
	if slices.ContainsFunc(choices, func(c Choice) bool { return len(c.Targets) == 0 }) {
		return nil // which is told
	}
	return choices
}

func (r *resolver) targets(field string, written []*tollgatev1.Target) []Target {
	var targets []Target
	var sum uint32
	for i, m := range written {
		at := fmt.Sprintf("%s[%d].name", field, i)
		u := r.named(at, m.GetName())
		if u == nil {
			return nil
		}
		if slices.ContainsFunc(targets, func(t Target) bool { return t.Upstream == u }) {
			r.problem(at, "the same upstream a second time: its keys stand in for each other by themselves")
		}
		sum += m.GetWeight()
		targets = append(targets, Target{u, m.GetWeight()})
	}
	if sum == 0 && len(targets) > 0 {
		targets[0].Weight = 1
	}
	return targets
}

// named finds an upstream.
func (r *resolver) named(field, name string) *Upstream {
	u := r.upstreams[name]
	if u == nil {
		r.problem(field, "no upstream is called %q%s", name, suggestion(name, r.upstreamNames()))
	}
	return u
}
