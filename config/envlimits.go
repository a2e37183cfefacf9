package config

import (
	"encoding/json"
	"fmt"
	"strings"

	tollgatev1 "tollgate/proto/tollgate/v1"
)

// limits are REQ_RATE_LIMIT, a JSON object of paths and rates of which the first that matches counts,
// and GLOBAL_RATE_LIMIT for all other paths. Each client has a count of its own for each path.
func (v *variables) limits(m *tollgatev1.Config) {
	strategy := v.get("RATE_LIMIT_STRATEGY")
	if strategy == "" {
		strategy = "fixed-window"
	}
	add := func(name, path, requests string) {
		v.names[fmt.Sprintf("limits[%d]", len(m.GetLimits()))] = name
		m.Limits = append(m.Limits, &tollgatev1.Limit{Requests: requests, Path: path, Per: "path", Strategy: strategy})
	}
	for _, p := range v.pairs("REQ_RATE_LIMIT") {
		add("REQ_RATE_LIMIT", p.path, p.rate)
	}
	if global := v.get("GLOBAL_RATE_LIMIT"); global != "" && !strings.EqualFold(global, "inf") {
		add("GLOBAL_RATE_LIMIT", "", global)
	}
	if len(m.GetLimits()) > 0 {
		m.LimitStore = v.limitStore()
	}
}

// pace is TOKEN_RATE_LIMIT, a JSON object of paths and rates of which the first that matches counts: how
// many events of a streamed answer go out per time.
func (v *variables) pace(m *tollgatev1.Config) {
	for _, p := range v.pairs("TOKEN_RATE_LIMIT") {
		v.names[fmt.Sprintf("pace[%d]", len(m.GetPace()))] = "TOKEN_RATE_LIMIT"
		m.Pace = append(m.Pace, &tollgatev1.Pace{Events: p.rate, Path: p.path})
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

// pathRate is a member of REQ_RATE_LIMIT or TOKEN_RATE_LIMIT.
type pathRate struct{ path, rate string }

// pairs reads a JSON object of texts in its own order.
func (v *variables) pairs(name string) []pathRate {
	text := v.get(name)
	if text == "" {
		return nil
	}
	wrong := func() []pathRate {
		v.problem(name, `must be a JSON object of paths and rates, such as {"/v1/chat/completions": "60/minute"}`)
		return nil
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return wrong()
	}
	var pairs []pathRate
	for decoder.More() {
		path, err := decoder.Token()
		if err != nil {
			return wrong()
		}
		var rate string
		if decoder.Decode(&rate) != nil {
			return wrong()
		}
		pairs = append(pairs, pathRate{path.(string), rate}) //nolint:forcetypeassert // a key is a string
	}
	if _, err := decoder.Token(); err != nil || decoder.More() {
		return wrong()
	}
	return pairs
}
