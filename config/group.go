package config

import (
	"fmt"
	"slices"

	tollgatev1 "tollgate/proto/tollgate/v1"
)

// NoGroup is what an Envoy says that belongs to no group.
const NoGroup = "tollgate"

// Group is a part of the Envoys, with a listener of its own.
type Group struct {
	Name     string
	Listener Listener
}

// Part is the configuration as the Envoys of a group have it: its listener and its routes.
func (c *Config) Part(g Group) *Config {
	part := *c
	part.Listener, part.Routes = g.Listener, nil
	for _, route := range c.Routes {
		if len(route.Groups) == 0 || slices.Contains(route.Groups, g.Name) {
			part.Routes = append(part.Routes, route)
		}
	}
	return &part
}

func (r *resolver) groups() {
	names := map[string]bool{}
	for i, m := range r.message.GetGroups() {
		field := fmt.Sprintf("groups[%d]", i)
		switch {
		case names[m.GetName()]:
			r.problem(field+".name", "a second group called %q", m.GetName())
		case m.GetName() == NoGroup:
			r.problem(field+".name", "%s is what Envoys say that belong to no group: choose another name", NoGroup)
		}
		names[m.GetName()] = true
		group := Group{Name: m.GetName(), Listener: r.config.Listener}
		if m.GetListener() != nil {
			group.Listener = r.listener(field+".listener", m.GetListener())
		}
		r.config.Groups = append(r.config.Groups, group)
	}
}

// routeGroups sees that a route's groups are there.
func (r *resolver) routeGroups(field string, m *tollgatev1.Route) []string {
	var names []string
	for _, g := range r.config.Groups {
		names = append(names, g.Name)
	}
	for i, name := range m.GetGroups() {
		at := fmt.Sprintf("%s.groups[%d]", field, i)
		switch {
		case len(names) == 0:
			r.problem(at, "the file has no groups: name them under groups")
		case !slices.Contains(names, name):
			r.problem(at, "no group is called %q%s", name, suggestion(name, names))
		}
	}
	return m.GetGroups()
}

// meet tells whether an Envoy could have two routes with these groups.
func meet(a, b []string) bool {
	return len(a) == 0 || len(b) == 0 || slices.ContainsFunc(a, func(name string) bool { return slices.Contains(b, name) })
}
