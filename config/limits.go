package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"tollgate/config/rate"
	tollgatev1 "tollgate/proto/tollgate/v1"
)

// DefaultAnswerTokens is what is reserved for an answer whose request does not say how long it may be.
const DefaultAnswerTokens = 1024

// Limit is how many requests or tokens may pass.
type Limit struct {
	Rates    []rate.Rate // all must hold
	Tokens   bool        // counts tokens; else requests
	Path     string      // only paths that begin so; empty: all
	Models   Patterns    // only requests for these
	Clients  Names       // only requests of these
	Per      Scope
	Strategy string // moving-window, fixed-window or fixed-window-elastic-expiry
	Shadow   bool   // refuses nobody
}

// Scope says who shares a count.
type Scope string

// The values of Limit.per in the schema, where each is explained.
const (
	PerClient Scope = "client"
	PerModel  Scope = "model"
	PerPath   Scope = "path"
	PerRoute  Scope = "route"
)

// ByModel tells whether a request's model says what it takes.
func (l Limit) ByModel() bool { return len(l.Models) > 0 || l.Per == PerModel }

// Pace is how fast streamed answers go to their clients.
type Pace struct {
	Rates []rate.Rate // events per time; all must hold
	Path  string      // only paths that begin so; empty: all

	Clients Names // only answers to these
}

// Names are clients' names, in order. None at all mean everyone.
type Names []string

// Hold tells whether a client, who may be nobody with a name (nil), is one of them.
func (n Names) Hold(client *Client) bool {
	if len(n) == 0 {
		return true
	}
	if client == nil {
		return false
	}
	_, found := slices.BinarySearch(n, client.Name)
	return found
}

// LimitStore is where limits are counted.
type LimitStore struct {
	Redis Secret // a URL, which may hold a password; empty: this process's memory
	Local bool   // count in memory while Redis is away; else refuse
}

// LimitsOf gives the route's limits that hold for a request, by its client (nil: nobody with a name), its
// path without the query and its model. Of limits for all routes that is the first of requests and the
// first of tokens, and all that are tried out.
func (r *Route) LimitsOf(client *Client, path, model string) []Limit {
	var limits []Limit
	var found [2]bool // by Tokens
	for _, l := range r.Limits {
		if !strings.HasPrefix(path, l.Path) || !l.Models.Match(model) || !l.Clients.Hold(client) {
			continue
		}
		if r.FirstLimit && !l.Shadow {
			kind := 0
			if l.Tokens {
				kind = 1
			}
			if found[kind] {
				continue
			}
			found[kind] = true
		}
		limits = append(limits, l)
	}
	return limits
}

// PaceOf gives the pace of a request's answer, by its client (nil: nobody with a name) and its path
// without the query; empty: any.
func (r *Route) PaceOf(client *Client, path string) []rate.Rate {
	for _, p := range r.Pace {
		if strings.HasPrefix(path, p.Path) && p.Clients.Hold(client) {
			return p.Rates
		}
	}
	return nil
}

func (r *resolver) limits(field string, written []*tollgatev1.Limit) []Limit {
	limits := make([]Limit, len(written))
	for i, m := range written {
		limits[i] = r.limit(fmt.Sprintf("%s[%d]", field, i), m)
	}
	return limits
}

func (r *resolver) limit(field string, m *tollgatev1.Limit) Limit {
	l := Limit{
		Tokens:   m.GetTokens() != "",
		Path:     m.GetPath(),
		Models:   m.GetModels(),
		Clients:  r.names(field+".clients", m.GetClients()),
		Per:      cmp.Or(Scope(m.GetPer()), PerClient),
		Strategy: cmp.Or(m.GetStrategy(), "moving-window"),
		Shadow:   m.GetShadow(),
	}
	switch {
	case m.GetRequests() == "" && m.GetTokens() == "":
		r.problem(field, "limits nothing: write requests or tokens, for example requests: 60/minute")
	case m.GetRequests() != "" && m.GetTokens() != "":
		r.problem(field+".tokens", "stands beside requests: write two limits")
	case l.Tokens:
		l.Rates = r.rates(field+".tokens", m.GetTokens())
	default:
		l.Rates = r.rates(field+".requests", m.GetRequests())
	}
	return l
}

// names reads which clients are meant.
func (r *resolver) names(field string, written []string) Names {
	if len(written) == 0 {
		return nil
	}
	known := make([]string, len(r.message.GetClients()))
	for i, c := range r.message.GetClients() {
		known[i] = c.GetName()
	}
	for i, name := range written {
		if !slices.Contains(known, name) {
			r.problem(fmt.Sprintf("%s[%d]", field, i), "no client is called %q%s", name, suggestion(name, known))
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(written)))
}

// guests gathers what the clients' own rules need.
func (r *resolver) guests() Guests {
	var g Guests
	for _, c := range r.config.Clients {
		g.Models = g.Models || len(c.Models) > 0 || slices.ContainsFunc(c.Limits, Limit.ByModel)
		g.Limited = g.Limited || len(c.Limits) > 0
		g.Tokens = g.Tokens || slices.ContainsFunc(c.Limits, func(l Limit) bool { return l.Tokens })
		g.Ends = g.Ends || c.MaxInFlight > 0 || g.Tokens
	}
	return g
}

func (r *resolver) rates(field, written string) []rate.Rate {
	rates, err := rate.Parse(written)
	if err != nil {
		r.problem(field, "%s", err)
	}
	return rates
}

func (r *resolver) paces(field string, written []*tollgatev1.Pace) []Pace {
	paces := make([]Pace, len(written))
	for i, m := range written {
		at := fmt.Sprintf("%s[%d]", field, i)
		paces[i] = Pace{
			Rates:   r.rates(at+".events", m.GetEvents()),
			Path:    m.GetPath(),
			Clients: r.names(at+".clients", m.GetClients()),
		}
	}
	return paces
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
