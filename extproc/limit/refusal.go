package limit

import (
	"math"
	"strconv"
	"time"

	"tollgate/config"
	"tollgate/config/money"
	"tollgate/extproc/exchange"
)

// waitsAtMost is how long OpenAI's SDKs wait when they are told to; where it is longer they come back at
// once, which is no use to anybody.
const waitsAtMost = time.Minute

// Refusal is the answer to a request for which there is no room: when to come back, in the header of
// RFC 9110 and in the milliseconds that OpenAI's SDKs prefer, or that it need not.
func Refusal(out Outcome, charges []Charge) *exchange.Refusal {
	charge, wait := charges[out.Strictest], out.Decisions[out.Strictest].RetryAfter
	refusal := inWords(&charge, wait, out.At)
	never := exchange.Header{Name: "x-should-retry", Value: "false"}
	if wait == Never {
		refusal.Headers = []exchange.Header{never}
		return refusal
	}
	milliseconds := int64(math.Ceil(float64(wait) / float64(time.Millisecond)))
	refusal.Headers = []exchange.Header{
		{Name: "retry-after", Value: strconv.FormatInt((milliseconds+999)/1000, 10)},
		{Name: "retry-after-ms", Value: strconv.FormatInt(milliseconds, 10)},
	}
	if charge.Of == config.OfCost && wait > waitsAtMost {
		refusal.Headers = append(refusal.Headers, never)
	}
	return refusal
}

// inWords says what there is no room for.
func inWords(charge *Charge, wait time.Duration, now time.Time) *exchange.Refusal {
	switch charge.Of {
	case config.OfCost:
		return overBudget(charge, wait, now)
	case config.OfTokens:
		refusal := &exchange.Refusal{Status: 429, Type: "tokens", Code: "rate_limit_exceeded"}
		limit, cost := charge.Rate.String(), strconv.FormatUint(charge.Cost, 10)
		if wait == Never {
			refusal.Message = "Tollgate: the request is too large: it may take " + cost +
				" tokens, prompt and answer together, and this limit is " + limit + ". Shorten it, or lower max_tokens."
		} else {
			refusal.Message = "Tollgate: too many tokens: this limit is " + limit + ", and the request may take " + cost + ". " + comeBack(wait)
		}
		return refusal
	case config.OfRequests:
	}
	return &exchange.Refusal{
		Status: 429, Type: "requests", Code: "rate_limit_exceeded",
		Message: "Tollgate: too many requests: this limit is " + charge.Rate.String() + ". " + comeBack(wait),
	}
}

// comeBack says when there is room, for who sees no headers.
func comeBack(wait time.Duration) string {
	if wait == Never {
		return "It has no room for any."
	}
	return "Come back in " + (wait + time.Second - 1).Truncate(time.Second).String() + "."
}

// overBudget is told as OpenAI tells that an account has no money left.
func overBudget(charge *Charge, wait time.Duration, now time.Time) *exchange.Refusal {
	refusal := &exchange.Refusal{Status: 429, Type: "insufficient_quota", Code: "insufficient_quota"}
	budget, cost := charge.Rate.CostString(), money.Amount(charge.Cost).String()
	if wait == Never {
		refusal.Message = "Tollgate: the request is too dear: it may cost " + cost + ", and this budget is " + budget +
			". Shorten it, or lower max_tokens."
		return refusal
	}
	again := now.Add(wait + time.Second - 1).UTC().Format("2006-01-02 15:04:05 UTC")
	refusal.Message = "Tollgate: the budget is used up: it is " + budget + ", and the request may cost " + cost +
		". There is room for it again at " + again + "."
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
