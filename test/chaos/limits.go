package chaos

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"tollgate/test/limitcheck"
)

// late is how long after its client was answered a call of which nobody knows may still be counted.
const late = 2 * time.Second

// limits asks package limitcheck about the calls between two troubles in which counts may have been lost. What
// was counted before such a trouble, or during it, may still count afterwards, or not.
func (h *History) limits() []string {
	var breaks []Trouble
	for _, t := range h.Troubles {
		if h.forgets(t.Kind) {
			breaks = append(breaks, t)
		}
	}
	slices.SortFunc(breaks, func(a, b Trouble) int { return int(a.From - b.From) })
	var problems []string
	from := time.Duration(0)
	for _, b := range append(breaks, Trouble{From: limitcheck.Forever, To: limitcheck.Forever}) {
		if b.From > from {
			problems = append(problems, limitcheck.Check(h.between(from, b.From))...)
		}
		from = max(from, b.To+grace)
	}
	return problems
}

// forgets tells whether an event may make counts begin anew, or go on elsewhere.
func (h *History) forgets(kind string) bool {
	switch kind {
	case ServeKilled, AllKilled, ServeStopped: // one that stands still decides later than its client believes
		return h.Plan.Limits == InMemory || h.Plan.Limits == InLocal || kind == ServeStopped
	case RedisKilled, RedisFlushed, RedisStopped:
		return h.Plan.Limits != InMemory
	}
	return false
}

// between gives the calls that were decided in a time, and as lost all others that may count in it.
func (h *History) between(from, to time.Duration) (calls []*limitcheck.Call) {
	for _, o := range h.Outcomes {
		if o.Query == nil || o.Sent >= to {
			continue
		}
		c := h.decided(o)
		if o.Sent < from || o.Ended > to {
			c.Verdict = limitcheck.Lost
			c.Answered = max(c.Answered, from)
			for i := range c.Takes {
				c.Takes[i].Reserved = max(c.Takes[i].Reserved, c.Takes[i].Used)
			}
		}
		if c.Verdict == limitcheck.Lost {
			c.Answered = max(c.Answered, o.Ended) + late
		}
		calls = append(calls, c)
	}
	return calls
}

// decided says what became of a call.
func (h *History) decided(o *Outcome) *limitcheck.Call {
	query := *o.Query
	query.Prompt, query.Used = h.Prompts[query.Model], used(o.Body)
	c := &limitcheck.Call{
		Name: o.String(), Sent: o.Sent, Answered: o.Answered, Settled: limitcheck.Forever, Verdict: limitcheck.Lost,
		Takes: h.Plan.Spec.Takes(&query), Cut: !o.whole(),
	}
	arrived := len(h.Arrivals[o.Name]) > 0
	switch {
	case arrived && o.Status != 0:
		c.Verdict = limitcheck.Admitted
		c.Requests, c.Tokens = left(o.Header, "requests"), left(o.Header, "tokens")
	case arrived:
		c.Verdict, c.Cut = limitcheck.Admitted, true
	case o.refused():
		c.Verdict = limitcheck.Refused
	}
	if h.last(o.Name).Fault.Does() == Garbage || len(h.Arrivals[o.Name]) > 1 {
		c.Cut = true // what it used is not what its client reads
	}
	return c
}

// refused tells whether the gateway's own limits refused a call; an upstream's have other words.
func (o *Outcome) refused() bool {
	return o.Status == http.StatusTooManyRequests && strings.Contains(o.Body, "rate_limit_exceeded") && strings.Contains(o.Body, "Tollgate")
}

// used finds the last total of an answer; 0: none.
func used(body string) uint64 {
	_, after, found := strings.Cut(body[max(0, strings.LastIndex(body, `"total_tokens":`)):], `"total_tokens":`)
	if !found {
		return 0
	}
	n, _ := strconv.ParseUint(after[:max(0, strings.IndexAny(after, ",}"))], 10, 64)
	return n
}

func left(h http.Header, of string) *limitcheck.Left {
	count, err := strconv.ParseUint(h.Get("x-ratelimit-limit-"+of), 10, 64)
	if err != nil {
		return nil
	}
	remaining, _ := strconv.ParseUint(h.Get("x-ratelimit-remaining-"+of), 10, 64)
	return &limitcheck.Left{Limit: count, Remaining: remaining}
}
