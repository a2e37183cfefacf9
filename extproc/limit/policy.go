package limit

import (
	"crypto/sha256"
	"encoding/hex"
	"math/bits"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"tollgate/config"
	"tollgate/config/money"
)

// Ask is what limits must know of a request.
type Ask struct {
	Route   *config.Route
	Client  *config.Client // nil: not one that the configuration names
	Address netip.Addr
	Path    string  // without the query
	Model   string  // empty: none, or not known
	Tokens  *Tokens // nil: it takes none, as far as is known
	Cost    *Cost   // nil: it costs nothing
}

// Cost is what a request may cost at most.
type Cost struct {
	Price  money.Price
	Tokens Tokens
}

// Tokens is what a request may take at most.
type Tokens struct {
	Prompt  uint64
	Answer  uint64 // of all its answers together, as far as the request says
	Answers uint64 // how many it may get; 0 is as good as 1
	Open    bool   // the request does not say how long an answer may be
}

// Charges are what a request takes from the counters of its route's limits and of its client's own. A
// client is its name, or its address where it has none. A counter's key outlives an edit of its rate.
func Charges(a *Ask) []Charge {
	var charges []Charge
	for _, l := range a.Route.LimitsOf(a.Client, a.Path, a.Model) {
		charges = a.charge(charges, l, scope(a.Route, l))
	}
	if a.Client == nil {
		return charges
	}
	for _, l := range a.Client.Limits {
		if strings.HasPrefix(a.Path, l.Path) && l.Models.Match(a.Model) {
			charges = a.charge(charges, l, "own")
		}
	}
	return charges
}

// Budgeted tells whether a limit of cost is enforced for a request.
func Budgeted(a *Ask) bool {
	free := *a
	free.Tokens, free.Cost = nil, &Cost{}
	return slices.ContainsFunc(Charges(&free), func(c Charge) bool { return c.Of == config.OfCost && !c.Shadow })
}

// charge adds what a request takes of one limit.
func (a *Ask) charge(charges []Charge, l config.Limit, scope string) []Charge {
	if l.Of == config.OfTokens && a.Tokens == nil || l.Of == config.OfCost && a.Cost == nil {
		return charges
	}
	key := a.key(l, scope)
	for _, r := range l.Rates {
		c := Charge{Key: key, Rate: r, Strategy: Strategy(l.Strategy), Cost: 1, Of: l.Of, Shadow: l.Shadow}
		switch l.Of {
		case config.OfTokens:
			c.Cost = a.Tokens.cost(a.Route.AnswerTokens, r.Count, saturated)
		case config.OfCost:
			c.Cost = a.Cost.Tokens.cost(a.Route.AnswerTokens, r.Count, a.Cost.of)
		case config.OfRequests:
		}
		charges = append(charges, c)
	}
	return charges
}

// cost is what is reserved, by what a prompt and its answers come to. Where the request does not say how long an
// answer may be, each of its answers counts as usual; a small limit must not keep it out for good, though: what is
// taken beyond it is settled as debt.
func (t *Tokens) cost(usual, most uint64, of func(prompt, answer uint64) uint64) uint64 {
	if !t.Open {
		return of(t.Prompt, t.Answer)
	}
	answers := saturatedProduct(usual, max(1, t.Answers))
	return max(of(t.Prompt, 0), min(of(t.Prompt, max(t.Answer, answers)), most))
}

// of is what a prompt and an answer cost, in nano-dollars.
func (c *Cost) of(prompt, answer uint64) uint64 {
	return min(uint64(c.Price.Of(money.Tokens{Input: prompt, Output: answer})), 2*MaxCount)
}

func saturated(a, b uint64) uint64 { return min(a, MaxCount) + min(b, MaxCount) }

func saturatedProduct(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	if high > 0 {
		return MaxCount
	}
	return min(low, MaxCount)
}

// key names a limit's counter for a request: where, what, who, which models, and
// which clients where several share it.
func (a *Ask) key(l config.Limit, scope string) string {
	path := l.Path
	if l.Per == config.PerPath {
		path = a.Path
	}
	parts := []string{scope, path, a.who(l), string(l.Of)}
	if len(l.Models) > 0 {
		parts = append(parts, "of", strings.Join(l.Models, ","))
	}
	if l.Per == config.PerModel {
		parts = append(parts, "model", short(a.Model))
	}
	if l.Per == config.PerRoute && len(l.Clients) > 0 {
		parts = append(parts, "by", short(strings.Join(l.Clients, ",")))
	}
	return strings.Join(parts, " ")
}

// short keeps a list of clients, and what a client makes up, from growing a key without bound.
func short(name string) string {
	if len(name) <= 2*sha256.Size {
		return strconv.Quote(name)
	}
	digest := sha256.Sum256([]byte(name))
	return hex.EncodeToString(digest[:])
}

// scope is where a limit counts: a path of a limit for all routes says it by itself. A client's own limit
// counts in "own": on routes where the others do not count, too.
func scope(route *config.Route, l config.Limit) string {
	if route.FirstLimit && (l.Path != "" || l.Per == config.PerPath) {
		return "*"
	}
	return route.Prefix
}

func (a *Ask) who(l config.Limit) string {
	switch {
	case l.Per == config.PerRoute:
		return "*"
	case a.Client != nil:
		return "client:" + a.Client.Name
	}
	return "address:" + a.Address.String()
}

// Used is what a call took, once that is known.
type Used struct {
	Tokens uint64
	Cost   money.Amount
}

func (u Used) of(q config.Quantity) uint64 {
	if q == config.OfCost {
		return min(uint64(u.Cost), 2*MaxCount)
	}
	return u.Tokens
}

// Settlements are the corrections of a request's charges of some quantities, once it is known what was used.
func Settlements(out Outcome, charges []Charge, used Used, of ...config.Quantity) []Adjustment {
	var adjustments []Adjustment
	for i, c := range charges {
		if !slices.Contains(of, c.Of) {
			continue
		}
		if a, taken := out.Adjust(i, c, used.of(c.Of)); taken {
			adjustments = append(adjustments, a)
		}
	}
	return adjustments
}

// Headroom is what a client is told of its strictest limit of a kind.
type Headroom struct {
	Limit, Remaining uint64
	Reset            time.Duration
}

// HeadroomOf reads the outcome of the charges of a quantity; false where none is enforced.
func HeadroomOf(out Outcome, charges []Charge, of config.Quantity) (Headroom, bool) {
	strictest := -1
	for i, c := range charges {
		if c.Of == of && !c.Shadow && (strictest < 0 || stricter(out.Decisions[i], out.Decisions[strictest])) {
			strictest = i
		}
	}
	if strictest < 0 {
		return Headroom{}, false
	}
	d := out.Decisions[strictest]
	reset := (d.Reset + time.Millisecond - 1).Truncate(time.Millisecond) // by then, not before
	return Headroom{charges[strictest].Rate.Count, d.Remaining, reset}, true
}

// Shadowed tells whether a limit that is tried out would have refused the request.
func Shadowed(out Outcome) bool {
	for _, d := range out.Decisions {
		if d.Shadowed {
			return true
		}
	}
	return false
}

// MayFit tells whether all that a refused request is short of is what others may have reserved more of than
// they use: tokens and money, and not for good.
func MayFit(out Outcome, charges []Charge) bool {
	for i, d := range out.Decisions {
		if !d.Allowed && (!charges[i].Of.Settled() || d.RetryAfter == Never) {
			return false
		}
	}
	return !out.Allowed
}
