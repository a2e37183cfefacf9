package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"tollgate/config/rate"
	tollgatev1 "tollgate/proto/tollgate/v1"
)

// DefaultAnswerTokens is what is reserved for an answer whose request does not say how long it may be.
const DefaultAnswerTokens = 1024

// Quantity is what a limit counts.
type Quantity string

// The quantities. A count of cost is in nano-dollars.
const (
	OfRequests Quantity = "requests"
	OfTokens   Quantity = "tokens"
	OfCost     Quantity = "cost"
)

// Settled tells whether what is taken of it is known only when the call has ended.
func (q Quantity) Settled() bool { return q == OfTokens || q == OfCost }

// Limit is how many requests or tokens may pass, or at what cost.
type Limit struct {
	Rates    []rate.Rate // all must hold
	Of       Quantity
	Path     string   // only paths that begin so; empty: all
	Models   Patterns // only requests for these
	Clients  Names    // only requests of these
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
func (l Limit) ByModel() bool { return len(l.Models) > 0 || l.Per == PerModel || l.Of == OfCost }

// String gives its rates in the notation.
func (l Limit) String() string {
	if l.Of == OfCost {
		return rate.FormatCost(l.Rates)
	}
	return rate.Format(l.Rates)
}

// settled tells whether the end of a call must be seen for it.
func (l Limit) settled() bool { return l.Of.Settled() }

// longest is its longest window.
func (l Limit) longest() time.Duration {
	var longest time.Duration
	for _, r := range l.Rates {
		longest = max(longest, r.Window)
	}
	return longest
}

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
// path without the query and its model. Of limits for all routes that is the first of each quantity, and
// all that are tried out.
func (r *Route) LimitsOf(client *Client, path, model string) []Limit {
	var limits []Limit
	var found []Quantity
	for _, l := range r.Limits {
		if !strings.HasPrefix(path, l.Path) || !l.Models.Match(model) || !l.Clients.Hold(client) {
			continue
		}
		if r.FirstLimit && !l.Shadow {
			if slices.Contains(found, l.Of) {
				continue
			}
			found = append(found, l.Of)
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
		Of:       OfRequests,
		Path:     m.GetPath(),
		Models:   m.GetModels(),
		Clients:  r.names(field+".clients", m.GetClients()),
		Per:      cmp.Or(Scope(m.GetPer()), PerClient),
		Strategy: cmp.Or(m.GetStrategy(), "moving-window"),
		Shadow:   m.GetShadow(),
	}
	written := 0
	for _, w := range []struct {
		of    Quantity
		text  string
		parse func(string) ([]rate.Rate, error)
	}{
		{OfRequests, m.GetRequests(), rate.Parse},
		{OfTokens, m.GetTokens(), rate.Parse},
		{OfCost, m.GetCost(), rate.ParseCost},
	} {
		if w.text == "" {
			continue
		}
		if written++; written > 1 {
			r.problem(field+"."+string(w.of), "stands beside %s: write two limits", l.Of)
			continue
		}
		l.Of, l.Rates = w.of, r.rates(field+"."+string(w.of), w.text, w.parse)
	}
	if written == 0 {
		r.problem(field, "limits nothing: write requests, tokens or cost, for example requests: 60/minute")
	}
	r.checkBudget(field, m)
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
		g.Tokens = g.Tokens || slices.ContainsFunc(c.Limits, Limit.settled)
		g.Ends = g.Ends || c.MaxInFlight > 0 || g.Tokens
	}
	return g
}

func (r *resolver) rates(field, written string, parse func(string) ([]rate.Rate, error)) []rate.Rate {
	rates, err := parse(written)
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
			Rates:   r.rates(at+".events", m.GetEvents(), rate.Parse),
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
		r.config.LimitStore.Redis = r.redis("limit_store.redis", m.GetRedis())
	}
}
