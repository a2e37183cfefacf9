package limit

import (
	"math"
	"strconv"
	"strings"
	"time"

	"tollgate/config"
	"tollgate/extproc/exchange"
)

// Charges are what a request takes from the counters of its route's limits. A client is its name, or
// its address where it has none. A counter's key outlives an edit of its rate.
func Charges(route *config.Route, client *config.Client, request *exchange.Request) []Charge {
	path, _, _ := strings.Cut(request.Path, "?")
	var charges []Charge
	for _, l := range route.LimitsOf(path) {
		counted := l.Path
		if l.PerPath {
			counted = path
		}
		key := strings.Join([]string{scope(route, l), counted, who(l, client, request), "requests"}, " ")
		for _, r := range l.Rates {
			charges = append(charges, Charge{Key: key, Rate: r, Strategy: Strategy(l.Strategy), Cost: 1})
		}
	}
	return charges
}

// scope is where a limit counts: a path of a limit for all routes says it by itself.
func scope(route *config.Route, l config.Limit) string {
	if route.FirstLimit && (l.Path != "" || l.PerPath) {
		return "*"
	}
	return route.Prefix
}

func who(l config.Limit, client *config.Client, request *exchange.Request) string {
	switch {
	case !l.PerClient:
		return "*"
	case client != nil:
		return "client:" + client.Name
	}
	return "address:" + request.Address.String()
}

// Headroom is what a client is told of its strictest limit.
type Headroom struct {
	Limit, Remaining uint64
	Reset            time.Duration
}

// HeadroomOf reads the outcome of charges; false where none is enforced.
func HeadroomOf(out Outcome, charges []Charge) (Headroom, bool) {
	if out.Strictest < 0 {
		return Headroom{}, false
	}
	d := out.Decisions[out.Strictest]
	return Headroom{charges[out.Strictest].Rate.Count, d.Remaining, d.Reset.Round(time.Millisecond)}, true
}

// Refusal is the answer to a request for which there is no room: when to come back, in the header of
// RFC 9110 and in the milliseconds that OpenAI's SDKs prefer.
func Refusal(out Outcome, charges []Charge) *exchange.Refusal {
	refusal := &exchange.Refusal{
		Status: 429, Type: "requests", Code: "rate_limit_exceeded",
		Message: "Tollgate: too many requests: this limit is " + charges[out.Strictest].Rate.String() + ". Come back later.",
	}
	if wait := out.Decisions[out.Strictest].RetryAfter; wait != Never {
		milliseconds := int64(math.Ceil(float64(wait) / float64(time.Millisecond)))
		refusal.Headers = []exchange.Header{
			{Name: "retry-after", Value: strconv.FormatInt((milliseconds+999)/1000, 10)},
			{Name: "retry-after-ms", Value: strconv.FormatInt(milliseconds, 10)},
		}
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
