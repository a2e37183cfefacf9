package limit

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"math/bits"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"tollgate/config"
	"tollgate/extproc/exchange"
)

// Ask is what limits must know of a request.
type Ask struct {
	Route   *config.Route
	Client  *config.Client // nil: not one that the configuration names
	Address netip.Addr
	Path    string  // without the query
	Model   string  // empty: none, or not known
	Tokens  *Tokens // nil: it takes none, as far as is known
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

// charge adds what a request takes of one limit.
func (a *Ask) charge(charges []Charge, l config.Limit, scope string) []Charge {
	if l.Tokens && a.Tokens == nil {
		return charges
	}
	key := a.key(l, scope)
	for _, r := range l.Rates {
		c := Charge{Key: key, Rate: r, Strategy: Strategy(l.Strategy), Cost: 1, Tokens: l.Tokens, Shadow: l.Shadow}
		if l.Tokens {
			c.Cost = a.Tokens.cost(a.Route.AnswerTokens, r.Count)
		}
		charges = append(charges, c)
	}
	return charges
}

// cost is what is reserved. Where the request does not say how long an answer may be, each of its answers counts
// as usual; a small limit must not keep it out for good, though: what is taken beyond it is settled as debt.
func (t *Tokens) cost(usual, most uint64) uint64 {
	if !t.Open {
		return saturated(t.Prompt, t.Answer)
	}
	answers := saturatedProduct(usual, max(1, t.Answers))
	return max(t.Prompt, min(saturated(t.Prompt, max(t.Answer, answers)), most))
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
	path, kind := l.Path, "requests"
	if l.Per == config.PerPath {
		path = a.Path
	}
	if l.Tokens {
		kind = "tokens"
	}
	parts := []string{scope, path, a.who(l), kind}
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

// Settlements are the corrections of a request's charges of tokens, once it is known what was used.
func Settlements(out Outcome, charges []Charge, used uint64) []Adjustment {
	var adjustments []Adjustment
	for i, c := range charges {
		if !c.Tokens {
			continue
		}
		if a, taken := out.Adjust(i, c, used); taken {
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

// HeadroomOf reads the outcome of charges, those of tokens or those of requests; false where none is
// enforced.
func HeadroomOf(out Outcome, charges []Charge, tokens bool) (Headroom, bool) {
	strictest := -1
	for i, c := range charges {
		if c.Tokens == tokens && !c.Shadow && (strictest < 0 || stricter(out.Decisions[i], out.Decisions[strictest])) {
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

// WantsTokens tells whether tokens are all that a refused request is short of, and not for good: others may
// have reserved more than they use.
func WantsTokens(out Outcome, charges []Charge) bool {
	for i, d := range out.Decisions {
		if !d.Allowed && (!charges[i].Tokens || d.RetryAfter == Never) {
			return false
		}
	}
	return !out.Allowed
}

// Refusal is the answer to a request for which there is no room: when to come back, in the header of
// RFC 9110 and in the milliseconds that OpenAI's SDKs prefer, or that it need not.
func Refusal(out Outcome, charges []Charge) *exchange.Refusal {
	charge, wait := charges[out.Strictest], out.Decisions[out.Strictest].RetryAfter
	refusal := &exchange.Refusal{Status: 429, Type: "requests", Code: "rate_limit_exceeded"}
	limit := charge.Rate.String()
	switch {
	case charge.Tokens && wait == Never:
		refusal.Type = "tokens"
		refusal.Message = "Tollgate: the request is too large: it may take " + strconv.FormatUint(charge.Cost, 10) +
			" tokens, prompt and answer together, and this limit is " + limit + ". Shorten it, or lower max_tokens."
	case charge.Tokens:
		refusal.Type = "tokens"
		refusal.Message = "Tollgate: too many tokens: this limit is " + limit + ", and the request may take " +
			strconv.FormatUint(charge.Cost, 10) + ". Come back later."
	default:
		refusal.Message = "Tollgate: too many requests: this limit is " + limit + ". Come back later."
	}
	if wait == Never {
		refusal.Headers = []exchange.Header{{Name: "x-should-retry", Value: "false"}}
		return refusal
	}
	milliseconds := int64(math.Ceil(float64(wait) / float64(time.Millisecond)))
	refusal.Headers = []exchange.Header{
		{Name: "retry-after", Value: strconv.FormatInt((milliseconds+999)/1000, 10)},
		{Name: "retry-after-ms", Value: strconv.FormatInt(milliseconds, 10)},
	}
	return refusal
}

// Unavailable is the answer while the store cannot be asked and nothing is let pass uncounted.
func Unavailable() *exchange.Refusal {
	return &exchange.Refusal{
		Status: 503, Type: "server_error", Code: "limits_unavailable",
		Message: "Tollgate: the limits cannot be counted now, so the request was refused; try again.",
		Headers: []exchange.Header{{Name: "retry-after", Value: "1"}},
	}
}
