package xds

import (
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	"tollgate/config"
)

// Parts are what Envoys run, by their groups. What stands under [Others] is for all that are in none of the
// groups.
type Parts map[string]*Resources

// Others is the name under which Parts hold what Envoys of no group run.
const Others = ""

// BuildParts makes the configuration of each group: see [Build]. Where there are groups, others get nothing.
func BuildParts(c *config.Config, systemCA, shared string) (Parts, error) {
	if len(c.Groups) == 0 {
		all, err := Build(c, systemCA, shared)
		return Parts{Others: all}, err
	}
	parts := Parts{Others: {}}
	for _, group := range c.Groups {
		part, err := Build(c.Part(group), systemCA, shared)
		if err != nil {
			return nil, fmt.Errorf("group %s: %w", group.Name, err)
		}
		parts[group.Name] = part
	}
	return parts, nil
}

// Version names the content: equal parts have equal versions.
func (p Parts) Version() string {
	if len(p) == 1 {
		return p.of(Others).Version()
	}
	var all []proto.Message
	for _, name := range slices.Sorted(maps.Keys(p)) {
		all = append(all, p[name].messages()...)
	}
	return hashOf(all...)
}

// of is what an Envoy of a group runs.
func (p Parts) of(group string) *Resources {
	for _, name := range []string{group, Others} {
		if part := p[name]; part != nil {
			return part
		}
	}
	return &Resources{}
}

// with makes new parts of two, for each group that one of them has.
func (p Parts) with(other Parts, combine func(a, b *Resources) *Resources) Parts {
	made := Parts{Others: combine(p.of(Others), other.of(Others))}
	for _, each := range []Parts{p, other} {
		for name := range each {
			made[name] = combine(p.of(name), other.of(name))
		}
	}
	return made
}

// union is each part with the clusters, endpoints and secrets of the other that it does not have.
func (p Parts) union(other Parts) Parts { return p.with(other, (*Resources).union) }

// without is the clusters, endpoints and secrets of each part that the other does not have.
func (p Parts) without(other Parts) Parts { return p.with(other, (*Resources).without) }

// prepared is each part with what the next will lead to beside it: old listeners and routes, all clusters,
// endpoints and secrets.
func (p Parts) prepared(next Parts) Parts {
	return p.with(next, func(a, b *Resources) *Resources {
		beside := &Resources{Listeners: a.Listeners, Routes: a.Routes}
		beside.addAll(b)
		return beside
	})
}

// beforeRoutes is what can be acknowledged before listeners and routes lead to it.
func (p Parts) beforeRoutes() Parts {
	return p.with(nil, func(a, _ *Resources) *Resources { return a.beforeRoutes() })
}

// resolvesMoreThan tells whether there is a cluster by DNS that the other does not have.
func (p Parts) resolvesMoreThan(before Parts) bool {
	for name, part := range p {
		if part.resolvesMoreThan(before.of(name)) {
			return true
		}
	}
	return false
}
