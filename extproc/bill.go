package extproc

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"tollgate/config"
	"tollgate/config/money"
	"tollgate/extproc/auth"
	"tollgate/extproc/exchange"
	"tollgate/extproc/limit"
	"tollgate/extproc/openai"
	"tollgate/extproc/tokens"
)

// errUnpriced says that what a request costs is not known.
var errUnpriced = errors.New("there is no price for it")

// priced tells whether the call's cost is to be found out.
func (h *hold) priced() bool { return h != nil && h.tapped && len(h.route.Prices) > 0 }

// costOf is what a request may cost at most, by the dearest of the models that it names and of the upstreams
// that it may go to; nil: nothing. Where a budget holds, what has no price is refused. Its error is an
// *exchange.Refusal.
func (h *hold) costOf(v *visit, ask *limit.Ask) (*limit.Cost, error) {
	if len(h.route.Prices) == 0 {
		return nil, nil
	}
	h.choice = &h.route.Choices[v.choiceNumber()]
	var err error
	if h.models, err = auth.ModelsOf(v.request, v.asked); err != nil {
		return nil, onlyBudgeted(err, ask)
	}
	h.free = harmless(v.request)
	if h.free || !v.under(config.OfCost) || v.caching != nil && v.caching.hit != nil {
		return nil, nil
	}
	cost := &limit.Cost{}
	if v.caching != nil && v.caching.call != nil && !v.caching.leads {
		return cost, nil // it may yet have to ask by itself, and then settles
	}
	readable := v.asked != nil && v.asked.API != openai.Other
	for _, t := range h.choice.Targets {
		price, err := h.price(t.Name, readable)
		if err != nil {
			return nil, onlyBudgeted(unpriced(h.models, readable), ask)
		}
		cost.Price = cost.Price.Dearest(price)
	}
	if readable {
		cost.Tokens = *h.reserve(v.asked)
	}
	return cost, nil
}

// under tells whether the request may be under a limit of a quantity, enforced or tried out.
func (v *visit) under(of config.Quantity) bool {
	is := func(l config.Limit) bool { return l.Of == of }
	client := v.decision.Client
	return slices.ContainsFunc(v.route.Limits, is) || client != nil && slices.ContainsFunc(client.Limits, is)
}

// harmless tells whether a request only asks for what there is, or takes it away: that costs nothing. One that
// asks for a WebSocket is more than it looks like.
func harmless(request *exchange.Request) bool {
	switch request.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodDelete:
		return request.Get("upgrade") == ""
	}
	return false
}

// price is that of the dearest model that is named, at an upstream. What cannot be read has only a price as a
// whole.
func (h *hold) price(upstream string, readable bool) (money.Price, error) {
	models := h.models
	if len(models) == 0 {
		models = []string{""}
	}
	var dearest money.Price
	for _, model := range models {
		price, ok := h.route.Prices.Of(model, upstream)
		if !ok || !readable && !price.Whole {
			return money.Price{}, errUnpriced
		}
		if !readable {
			price.Price = money.Price{Request: price.Request}
		}
		dearest = dearest.Dearest(price.Price)
	}
	return dearest, nil
}

// onlyBudgeted is an error where a budget holds for the request.
func onlyBudgeted(err error, ask *limit.Ask) error {
	if limit.Budgeted(ask) {
		return err
	}
	return nil
}

func unpriced(models []string, readable bool) *exchange.Refusal {
	refusal := &exchange.Refusal{Status: http.StatusForbidden, Type: "invalid_request_error", Code: "model_without_price"}
	switch {
	case len(models) == 0 && readable:
		refusal.Message = "Tollgate: the request names no model, and there is a budget for it: name one."
	case len(models) == 0:
		refusal.Message = "Tollgate: there is a budget, and what this request costs cannot be known. Its operator can give it a price: prices, with request."
	case readable:
		refusal.Message = fmt.Sprintf("Tollgate: there is a budget, and the model %.100q has no price. Its operator can give it one: prices.", models[0])
	default:
		refusal.Message = fmt.Sprintf("Tollgate: there is a budget, and what this API takes of the model %.100q cannot be known. Its operator can give it a price: prices, with request.", models[0])
	}
	return refusal
}

// Asked keeps what the tap reads, where the answer's tokens may have to be counted.
func (h *hold) Asked(request *openai.Request) {
	if h.asked != nil || h.estimated || !h.priced() {
		return
	}
	if len(h.models) == 0 && request.Model != "" {
		h.models = []string{request.Model}
	}
	size := 0
	for _, value := range request.Fields {
		size += len(value)
	}
	if !request.Stream || h.gate.gates.short() {
		return
	}
	if who := "client:" + h.call.Client; h.gate.gates.take(who, size) {
		h.asked, h.kept, h.who = request, size, who
	}
}

// forget gives back the request that was kept.
func (h *hold) forget() {
	h.gate.gates.give(h.who, h.kept)
	h.asked, h.kept = nil, 0
}

// mustCount tells whether what a call cost takes a while to find out.
func (h *hold) mustCount(answer *openai.Answer, end exchange.End) bool {
	return answer != nil && end.Status < 400 && end.Cause != exchange.Unseen &&
		(answer.Usage == nil || h.api == openai.Messages && end.Cause != exchange.Whole)
}

// reckon finds out what a call cost, or what an answer from the cache saved. Where the upstream did not tell
// its tokens, those that were counted are told in their place.
func (h *hold) reckon(answer *openai.Answer, end exchange.End) (*openai.Answer, exchange.End) {
	spared := h.call.Cache.Spared()
	usage, known := h.taken(answer, end)
	if known && answer != nil && answer.Usage == nil && end.Status < 400 {
		told := *answer
		told.Usage, end.Counted = &usage, true
		answer = &told
	}
	cost, ok := h.cost(usage, known, end)
	if !ok {
		end.Unpriced = true
		return answer, end
	}
	end.Priced, end.Cost = true, uint64(cost)
	if spared {
		end.Cost, end.Saved = 0, uint64(cost)
	}
	return answer, end
}

// cost is what tokens cost at the upstream that answered.
func (h *hold) cost(usage openai.Usage, known bool, end exchange.End) (money.Amount, bool) {
	if end.Status >= 400 || h.free {
		return 0, true
	}
	if end.Status == 0 || h.choice == nil {
		return 0, false
	}
	readable := h.api != openai.Other
	upstream := cmp.Or(end.Upstream, h.call.Upstream, h.choice.Targets[0].Name)
	price, err := h.price(upstream, readable)
	if err != nil || readable && !known {
		return 0, false
	}
	return price.Of(money.Tokens{
		Input: uint64(max(0, usage.Prompt)), Cached: uint64(max(0, usage.Cached)), Output: uint64(max(0, usage.Completion)),
	}), true
}

// used is how many tokens a call took that somebody has to pay for.
func (h *hold) used(answer *openai.Answer, end exchange.End) (used openai.Usage, known bool) {
	if h.rides {
		return openai.Usage{}, true
	}
	return h.taken(answer, end)
}

// taken is how many tokens a call took. What is not known counts as it was reserved, so that hanging up is
// never cheaper than staying.
func (h *hold) taken(answer *openai.Answer, end exchange.End) (taken openai.Usage, known bool) {
	streams := h.asked != nil || end.Events > 0
	switch {
	case answer != nil && answer.Usage != nil && h.api == openai.Messages && end.Cause != exchange.Whole && !end.Counted:
		return larger(*answer.Usage, h.count(answer)), true // it begins with a usage, of what there was by then
	case answer != nil && answer.Usage != nil:
		return *answer.Usage, true
	case end.Status >= 400:
		return openai.Usage{}, true // there is no answer to pay for
	case end.Cause == exchange.Unseen || end.Status == 0 || answer != nil && answer.Truncated:
		return openai.Usage{}, false
	case answer == nil && !streams, h.asked == nil && !h.estimated:
		return openai.Usage{}, false
	case end.Cause == exchange.Whole || streams:
		return h.count(answer), true
	}
	return openai.Usage{}, false
}

// count counts by a tokenizer: of a stream that was cut, what came of it.
func (h *hold) count(answer *openai.Answer) openai.Usage {
	if h.asked != nil {
		return tokens.Count(h.asked, answer)
	}
	counted := tokens.Count(&openai.Request{API: h.api}, answer)
	counted.Prompt = int(min(h.reserved.Prompt, 1<<31))
	counted.Total = counted.Prompt + counted.Completion
	return counted
}

// larger takes the larger of each number of two usages.
func larger(a, b openai.Usage) openai.Usage {
	return openai.Usage{
		Prompt: max(a.Prompt, b.Prompt), Completion: max(a.Completion, b.Completion), Total: max(a.Total, b.Total),
		Cached: a.Cached, Reasoning: a.Reasoning,
	}
}

// reservedTokens is the most that was reserved.
func (h *hold) reservedTokens() uint64 {
	var most uint64
	for _, c := range h.charges {
		if c.Of == config.OfTokens {
			most = max(most, c.Cost)
		}
	}
	return most
}

// total is what a usage comes to. An upstream may say anything.
func total(u openai.Usage) uint64 {
	return uint64(max(0, u.Total, u.Prompt+u.Completion))
}
