package config

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"tollgate/config/money"
	tollgatev1 "tollgate/proto/tollgate/v1"
)

// Prices are what models cost.
type Prices []Price

// Price is what the models cost that match a pattern.
type Price struct {
	Model    string // a pattern
	Upstream string // only there; empty: at all
	money.Price
	Whole bool // a request has a price: what cannot be read costs that, and nothing beside
}

// Of gives a model's price at an upstream, by its name; false: it is not known.
func (p Prices) Of(model, upstream string) (Price, bool) {
	for _, price := range p {
		if (price.Upstream == "" || price.Upstream == upstream) && matches(price.Model, model) {
			return price, true
		}
	}
	return Price{}, false
}

// microDecimals are those of a price for a million tokens: so many make pico-dollars for one.
const microDecimals = 6

// nanoDecimals are those of an amount.
const nanoDecimals = 9

// prices resolves the table.
func (r *resolver) prices() Prices {
	var prices Prices
	for i, m := range r.message.GetPrices() {
		field := fmt.Sprintf("prices[%d]", i)
		price := Price{Model: m.GetModel(), Upstream: m.GetUpstream(), Whole: m.Request != nil}
		if price.Upstream != "" {
			r.named(field+".upstream", price.Upstream)
		}
		switch {
		case m.Input == nil && m.Output == nil && m.Request == nil:
			r.problem(field, "prices nothing: write input and output, in dollars for a million tokens, or request")
		case (m.Input == nil) != (m.Output == nil):
			r.problem(field, "names input or output alone: write both, and 0 for what is free")
		case m.Input == nil && m.CachedInput != nil:
			r.problem(field+".cached_input", "is for what has a price of input")
		}
		price.Input = r.price(field+".input", m.Input, microDecimals)
		price.Cached = price.Input
		if m.CachedInput != nil {
			price.Cached = r.price(field+".cached_input", m.CachedInput, microDecimals)
		}
		price.Output = r.price(field+".output", m.Output, microDecimals)
		price.Request = money.Amount(r.price(field+".request", m.Request, nanoDecimals))
		same := func(other Price) bool { return other.Model == price.Model && other.Upstream == price.Upstream }
		if slices.ContainsFunc(prices, same) {
			r.problem(field+".model", "a second price for %q: the first that matches counts", price.Model)
		}
		prices = append(prices, price)
	}
	return prices
}

// price reads a decimal as it was written: the shortest one that is the same float is it, for the 15 digits
// and more that a float keeps.
func (r *resolver) price(field string, written *float64, decimals int) uint64 {
	if written == nil {
		return 0
	}
	n, err := money.ParseDecimal(strconv.FormatFloat(*written, 'f', -1, 64), decimals)
	if err != nil {
		r.problem(field, "%s", err)
	}
	return n
}

// warnOfBudgets says where money is not counted as whoever wrote the file may think.
func (r *resolver) warnOfBudgets() {
	limits := slices.Clone(r.allLimits())
	costly := slices.DeleteFunc(limits, func(l Limit) bool { return l.Of != OfCost })
	const long = 24 * time.Hour
	forgotten := slices.ContainsFunc(costly, func(l Limit) bool { return l.longest() >= long })
	if forgotten && r.config.LimitStore.Redis.Reveal() == "" {
		r.config.Warnings = append(r.config.Warnings,
			"budgets are counted in memory: they begin anew when tollgate does, and each tollgate has its own. limit_store.redis keeps them.")
	}
	if len(r.config.Prices) > 0 && len(costly) == 0 && !r.config.Usage {
		r.config.Warnings = append(r.config.Warnings,
			"prices have no effect: nothing counts costs. telemetry.usage shows them, limits of cost bound them.")
	}
}

// allLimits are those of all routes and clients.
func (r *resolver) allLimits() []Limit {
	var limits []Limit
	for _, route := range r.config.Routes {
		limits = append(limits, route.Limits...)
	}
	for _, client := range r.config.Clients {
		limits = append(limits, client.Limits...)
	}
	return limits
}

// checkBudget sees that what a limit counts can be known.
func (r *resolver) checkBudget(field string, m *tollgatev1.Limit) {
	if m.GetCost() != "" && len(r.message.GetPrices()) == 0 {
		r.problem(field+".cost", "needs prices: write what each model costs under prices")
	}
}
