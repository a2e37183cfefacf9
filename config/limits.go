package config

import (
	"cmp"
	"fmt"
	"strings"

	"tollgate/config/rate"
	tollgatev1 "tollgate/proto/tollgate/v1"
)

// Limit is how many requests may pass.
type Limit struct {
	Rates     []rate.Rate // all must hold
	Path      string      // only paths that begin so; empty: all
	PerClient bool        // else all clients of a route share a count
	PerPath   bool        // each client has a count for each path
	Strategy  string      // moving-window, fixed-window or fixed-window-elastic-expiry
}

// LimitStore is where limits are counted.
type LimitStore struct {
	Redis Secret // a URL, which may hold a password; empty: this process's memory
	Local bool   // count in memory while Redis is away; else refuse
}

// LimitsOf gives the limits that hold for a request, by its path without the query.
func (r *Route) LimitsOf(path string) []Limit {
	var limits []Limit
	for _, l := range r.Limits {
		if !strings.HasPrefix(path, l.Path) {
			continue
		}
		limits = append(limits, l)
		if r.FirstLimit {
			break
		}
	}
	return limits
}

func (r *resolver) limits(field string, written []*tollgatev1.Limit) []Limit {
	limits := make([]Limit, len(written))
	for i, m := range written {
		rates, err := rate.Parse(m.GetRequests())
		if err != nil {
			r.problem(fmt.Sprintf("%s[%d].requests", field, i), "%s", err)
		}
		limits[i] = Limit{
			Rates:     rates,
			Path:      m.GetPath(),
			PerClient: m.GetPer() != "route",
			PerPath:   m.GetPer() == "path",
			Strategy:  cmp.Or(m.GetStrategy(), "moving-window"),
		}
	}
	return limits
}

func (r *resolver) limitStore() {
	m := r.message.GetLimitStore()
	if m.GetOnError() != "" && m.GetRedis() == "" {
		r.problem("limit_store.on_error", "is for a store that can be away: name redis beside it")
	}
	r.config.LimitStore = LimitStore{Local: m.GetOnError() == "local"}
	if m.GetRedis() != "" {
		r.config.LimitStore.Redis = r.secret("limit_store.redis", m.GetRedis())
	}
}
