package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"tollgate/bench/report"
)

// Names of targets that others are compared with.
const (
	direct = "direct"
	bare   = "bare"
)

// target is something that requests go through.
type target struct {
	name string
	what string // for people
	ask  asking

	program string // other than the one that is measured; empty: that one
	base    string // the target that is the same of another version; empty: none
	beside  string // the target that its suite is about, if it is compared with that; empty: none

	// floor is the target that does nothing else in the same mode of Envoy's; empty: none.
	floor string

	start func(ctx context.Context, s *stage, t *target) (*running, error)
}

// running is a target that takes requests.
type running struct {
	address string // for clients
	envoys  []int  // processes
	gos     []int  // and those that are not Envoy's

	file      string        // of Tollgate: its configuration
	startedIn time.Duration // of Tollgate: until it was ready
}

// suite gives the targets of a command: "" for `make bench`, "peers" for `make bench-peers`, and so on.
func suite(name string) ([]*target, error) {
	switch name {
	case "":
		return targets(), nil
	case report.Peers:
		return peers(), nil
	case report.Scale:
		return scales(), nil
	}
	return nil, fmt.Errorf("there is no suite %q: there are %s and %s, and that without a name", name, report.Peers, report.Scale)
}

// targets are those of `make bench`, in the order in which they are measured: what is compared stands together.
func targets() []*target {
	list := []*target{
		{name: direct, what: "no proxy at all", start: startDirect},
		{name: bare, what: "Envoy with Tollgate's options and without its filters", start: startFloor(mode{})},
	}
	list = append(list,
		floor("headers", "gate: headers", mode{gate: true}),
		row("keys", "headers", "keys", keys),
		row("limits", "headers", "keys; limits of requests", limits),
		row("key-rests", "headers", "keys; two keys of the upstream", twoKeys),

		floor("body", "gate: + request's body", mode{gate: true, body: true}),
		row("models", "body", "keys; the client's models", models),
		row("hit", "body", "keys; cache, a hit", caching("")).again(),

		floor("body-tap", "gate: + request's body; tap", mode{gate: true, body: true, tap: true}),
		row("tokens", "body-tap", "keys; limits of tokens", tokens),
		row("miss", "body-tap", "keys; cache, a miss", caching("")),
		row("miss-alone", "body-tap", "keys; cache, a miss, collapse: false", caching(", collapse: false")),
		row("everything", "body-tap", "1,000 clients, 100 routes; keys, limits, cache (misses), chat log, metrics", everything).among(100, 1000),

		floor("tap", "gate: headers; tap", mode{gate: true, tap: true}),
		row("metrics", "tap", "keys; metrics", metrics),
		row("chat-log", "tap", "keys; chat log", chatLog),

		floor("response", "gate: headers, answer", mode{gate: true, response: true}),
		row("pace", "response", "keys; pace", pace),

		floor("body-response", "gate: + request's body, answer", mode{gate: true, body: true, response: true}),
		row("exact", "body-response", "keys; usage: exact", exact),
	)
	return list
}

// floor is Envoy with a processor that does nothing, in a mode of Envoy's.
func floor(name, what string, m mode) *target {
	return &target{name: "floor/" + name, what: what, start: startFloor(m)}
}

// row is Tollgate with a configuration.
func row(name, floor, what string, configuration func(upstream string) string) *target {
	return &target{
		name: "tollgate/" + name, floor: "floor/" + floor, what: what,
		start: startTollgate(configuration),
	}
}

// again has a target's requests all be the same.
func (t *target) again() *target {
	t.ask.same = true
	return t
}

// among spreads a target's requests over routes and clients.
func (t *target) among(routes, clients int64) *target {
	t.ask.routes, t.ask.clients = routes, clients
	return t
}

// against puts before each of Tollgate's targets the same of another version of it, to compare it with.
func against(list []*target, program string) []*target {
	var both []*target
	for _, t := range list {
		if row, ok := strings.CutPrefix(t.name, "tollgate/"); ok {
			old, now := *t, *t
			old.name, old.program = "base/"+row, program
			now.base = old.name
			both = append(both, &old, &now)
			continue
		}
		both = append(both, t)
	}
	return both
}

// choose gives the targets of a list of names, each ending in * for all that begin so; empty: all. What they
// are compared with comes along.
func choose(all []*target, names string) ([]*target, error) {
	if names == "" {
		return all, nil
	}
	wanted := map[string]bool{}
	for name := range strings.SplitSeq(names, ",") {
		found := false
		for _, t := range all {
			prefix, open := strings.CutSuffix(name, "*")
			if t.name == name || open && strings.HasPrefix(t.name, prefix) {
				wanted[t.name], wanted[t.floor], wanted[t.beside], found = true, true, true, true
			}
		}
		if !found {
			return nil, fmt.Errorf("there is no target %q: `bench -list` lists them", name)
		}
	}
	if len(wanted) > 0 {
		wanted[bare] = true
	}
	return slices.DeleteFunc(slices.Clone(all), func(t *target) bool { return !wanted[t.name] }), nil
}
