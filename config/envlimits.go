package config

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"

	tollgatev1 "tollgate/proto/tollgate/v1"
)

// noLimit is how a rate says that there is none.
const noLimit = "inf"

// limits are REQ_RATE_LIMIT, a JSON object of paths and rates of which the first that matches counts,
// and GLOBAL_RATE_LIMIT for all other paths. Each client has a count of its own for each path.
func (v *variables) limits(m *tollgatev1.Config) {
	strategy := v.get("RATE_LIMIT_STRATEGY")
	if strategy == "" {
		strategy = "fixed-window"
	}
	add := func(name, path, requests string, clients []string) {
		field := fmt.Sprintf("limits[%d]", len(m.GetLimits()))
		v.names[field], v.names[field+".strategy"] = name, "RATE_LIMIT_STRATEGY"
		m.Limits = append(m.Limits, &tollgatev1.Limit{Requests: requests, Path: path, Clients: clients, Per: "path", Strategy: strategy})
	}
	global := cmp.Or(v.get("GLOBAL_RATE_LIMIT"), noLimit)
	for _, p := range v.pathRates("REQ_RATE_LIMIT") {
		v.levels.each(p.rates, global, func(rate string, clients []string) { add("REQ_RATE_LIMIT", p.path, rate, clients) })
	}
	if !strings.EqualFold(global, noLimit) {
		add("GLOBAL_RATE_LIMIT", "", global, nil)
	}
	if len(m.GetLimits()) > 0 {
		m.LimitStore = v.limitStore()
	}
}

// pace is TOKEN_RATE_LIMIT, a JSON object of paths and rates of which the first that matches counts: how
// many events of a streamed answer go out per time.
func (v *variables) pace(m *tollgatev1.Config) {
	for _, p := range v.pathRates("TOKEN_RATE_LIMIT") {
		v.levels.each(p.rates, noLimit, func(rate string, clients []string) {
			v.names[fmt.Sprintf("pace[%d]", len(m.GetPace()))] = "TOKEN_RATE_LIMIT"
			m.Pace = append(m.Pace, &tollgatev1.Pace{Events: rate, Path: p.path, Clients: clients})
		})
	}
}

// limitStore is REQ_RATE_LIMIT_BACKEND. Of the stores that Python's limits knows, memory and Redis
// are known here.
func (v *variables) limitStore() *tollgatev1.LimitStore {
	const name = "REQ_RATE_LIMIT_BACKEND"
	backend := v.get(name)
	scheme, _, _ := strings.Cut(strings.ToLower(backend), ":")
	switch scheme {
	case "", "memory":
		return nil
	case "redis", "rediss":
		v.names["limit_store.redis"] = name
		return &tollgatev1.LimitStore{Redis: backend}
	}
	v.problem(name, "is neither memory nor redis://HOST:PORT, the stores that are known here")
	return nil
}

// pathRates is a member of REQ_RATE_LIMIT or TOKEN_RATE_LIMIT.
type pathRates struct {
	path  string
	rates []levelRate
}

// pathRates reads a JSON object of paths, each with a rate for all, or with a list of rates by level (0.8).
func (v *variables) pathRates(name string) []pathRates {
	const example = `{"/v1/chat/completions": "60/minute"}`
	var all []pathRates
	for _, m := range v.members(name, example) {
		p := pathRates{path: m.name}
		var rate string
		if json.Unmarshal(m.value, &rate) == nil {
			p.rates = []levelRate{{Limit: rate, everyone: true}}
		} else if json.Unmarshal(m.value, &p.rates) != nil {
			v.problem(name, `must be a JSON object of paths and rates, such as %s, or of rates by level: {"/v1/chat/completions": [{"level": 0, "limit": "60/minute"}]}`, example)
			return nil
		}
		all = append(all, p)
	}
	return all
}
