package extproc

import (
	"context"
	"errors"
	"strconv"
	"time"

	"go.uber.org/zap"

	"tollgate/config"
	"tollgate/extproc/auth"
	"tollgate/extproc/exchange"
	"tollgate/extproc/limit"
	"tollgate/extproc/openai"
	"tollgate/extproc/tokens"
)

const (
	// settleWithin bounds how long the limits' store may take to hear what a call used.
	settleWithin = 5 * time.Second

	// settleAgain is how long a store that is away is left alone.
	settleAgain = 200 * time.Millisecond
)

// hold is what a call keeps of its limits until it has ended: its place among the calls in flight, and
// the tokens that it reserved. It listens to the call, and gives back what was not used.
type hold struct {
	gate     *Gate
	route    *config.Route
	leave    func() // nil: no place is kept
	charges  []limit.Charge
	outcome  limit.Outcome
	reserved tokens.Reservation
	shadowed bool // a limit that is tried out would have refused
	rides    bool // another request pays for the answer

	api   openai.API
	asked *openai.Request // kept where the tokens may have to be counted; else nil
	kept  int             // bytes of it
	who   string          // whose share of what gates hold they are
}

// take takes the request from all of its limits, or from none, and notes what is left for the answer's
// headers. Its error is an *exchange.Refusal.
func (g *Gate) take(v *visit) error {
	v.hold = &hold{gate: g, route: v.route.Route}
	if v.route.tapped { // else nobody would tell the end
		if err := g.enter(v); err != nil {
			return err
		}
	}
	err := g.charge(v)
	if err != nil && v.hold.leave != nil {
		v.hold.leave()
	}
	return err
}

// enter takes a place among the calls in flight.
func (g *Gate) enter(v *visit) error {
	return untilSettled(v.rpc.Context(), func() (again bool, err error) {
		v.hold.leave, err = g.inFlight.Enter(v.route.Route, v.decision.Client)
		return err != nil, err //nolint:wrapcheck // what the client reads
	})
}

// untilSettled tries again, for as long as it may help, what calls that have just ended stand in the way of: the
// client that got an answer's last byte comes again before the tap has heard of it. It gives the last error.
func untilSettled(ctx context.Context, try func() (again bool, err error)) error {
	for _, wait := range []time.Duration{5, 20, 60, 120} {
		again, err := try()
		if !again {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait * time.Millisecond):
		}
	}
	_, err := try()
	return err
}

func (g *Gate) charge(v *visit) error {
	ask := limit.Ask{Route: v.route.Route, Client: v.decision.Client, Address: v.request.Address, Path: v.path}
	ask.Model = auth.ModelOf(v.request, v.asked)
	h := v.hold
	if v.asked != nil && v.asked.API != openai.Other { // whose answers tell nobody what they took
		ask.Tokens = h.tokensOf(v)
	}
	h.charges = limit.Charges(&ask)
	if len(h.charges) == 0 {
		return nil
	}
	if err := untilSettled(v.rpc.Context(), func() (again bool, err error) {
		h.outcome, err = g.options.Limits.Reserve(v.rpc.Context(), h.charges)
		mayHelp := g.owing.Load() > 0 || h.outcome.Shared
		return err == nil && mayHelp && limit.WantsTokens(h.outcome, h.charges), err //nolint:wrapcheck // for the log
	}); err != nil {
		g.log.Debug("limits cannot be counted", zap.Error(err)) // who watches the store says so once
		return limit.Unavailable()                              //nolint:wrapcheck // what the client reads
	}
	g.tell(v)
	if !h.outcome.Allowed {
		return limit.Refusal(h.outcome, h.charges) //nolint:wrapcheck // what the client reads
	}
	h.keep(v)
	return nil
}

// tokensOf is what a request may take at most. What the upstream is not asked for costs none, unless the
// route says so; nil: there is nothing to settle either.
func (h *hold) tokensOf(v *visit) *limit.Tokens {
	if k := v.caching; k != nil && !v.route.Cache.ChargeTokens {
		if k.hit != nil {
			return nil
		}
		if k.call != nil && !k.leads {
			h.rides = true
			return &limit.Tokens{} // it may yet have to ask by itself, and then settles
		}
	}
	h.reserved = tokens.Reserve(v.asked)
	return &limit.Tokens{
		Prompt: h.reserved.Prompt, Answer: h.reserved.Answer, Answers: h.reserved.Answers, Open: !h.reserved.Named,
	}
}

// tell notes what is left of the limits, for the answer's headers, the logs and metrics.
func (g *Gate) tell(v *visit) {
	h := v.hold
	for _, of := range []string{config.OfRequests, config.OfTokens} {
		left, ok := limit.HeadroomOf(h.outcome, h.charges, of == config.OfTokens)
		if !ok {
			continue
		}
		v.say(config.LimitKey+of, strconv.FormatUint(left.Limit, 10))
		v.say(config.RemainingKey+of, strconv.FormatUint(left.Remaining, 10))
		v.say(config.ResetKey+of, left.Reset.String())
		g.options.Headroom(v.route.Route, v.decision.Client, of, left)
	}
	if limit.Shadowed(h.outcome) {
		h.shadowed = true
		v.say(config.ShadowKey, "refuse")
		g.options.Shadowed(v.route.Route)
	}
}

// keep holds on to a request whose tokens the upstream may not tell: a stream that nobody asked for its
// usage. Its bytes stay counted as held, and where those are many it is not kept: the estimate of its prompt is
// good enough then.
func (h *hold) keep(v *visit) {
	if !h.owes() {
		return
	}
	h.gate.owing.Add(1)
	if v.asked == nil {
		return
	}
	h.api = v.asked.API
	if v.asked.Stream && !h.gate.gates.short() {
		h.asked = v.asked
		h.kept, h.who = len(v.body.bytes), v.body.who
		v.body.kept = true
	}
}

// owes tells whether tokens are reserved.
func (h *hold) owes() bool {
	for i, c := range h.charges {
		if c.Tokens && h.outcome.Decisions[i].Charged {
			return true
		}
	}
	return false
}

// settles tells whether the end of the call must be heard.
func (h *hold) settles() bool { return h.leave != nil || h.owes() }

// Asked is not needed: the gate knows.
func (h *hold) Asked(*openai.Request) {}

// Event is not looked at.
func (h *hold) Event(*openai.Event) {}

// Done gives the place free, and settles in the background: the store may be far.
func (h *hold) Done(answer *openai.Answer, end exchange.End) {
	if h.leave != nil {
		h.leave()
	}
	if !h.owes() {
		return
	}
	h.gate.settling.Go(func() {
		defer h.gate.owing.Add(-1)
		used, known := h.used(answer, end)
		h.gate.gates.give(h.who, h.kept)
		if !known {
			h.gate.options.Settled(h.route, h.reservedTokens(), h.reservedTokens())
			return
		}
		if err := h.gate.settle(limit.Settlements(h.outcome, h.charges, used)); err != nil {
			h.gate.log.Debug("what a call used could not be settled; what it reserved stays taken", zap.Error(err))
			return
		}
		h.gate.options.Settled(h.route, h.reservedTokens(), used)
	})
}

// settle tells the limits' store what a call used. Where that is away it tries again for a while: what was
// reserved would else stay taken until its window is over.
func (g *Gate) settle(adjustments []limit.Adjustment) error {
	ctx, cancel := context.WithTimeout(context.Background(), settleWithin)
	defer cancel()
	for {
		err := g.options.Limits.Settle(ctx, adjustments)
		if !errors.Is(err, limit.ErrUnavailable) {
			return err //nolint:wrapcheck // for the log
		}
		select {
		case <-ctx.Done():
			return err //nolint:wrapcheck // for the log
		case <-g.ending:
			return err //nolint:wrapcheck // for the log
		case <-time.After(settleAgain):
		}
	}
}

// used is how many tokens a call took. What is not known counts as it was reserved, so that hanging up is
// never cheaper than staying.
func (h *hold) used(answer *openai.Answer, end exchange.End) (used uint64, known bool) {
	streams := h.asked != nil || end.Events > 0
	switch {
	case h.rides:
		return 0, true
	case answer != nil && answer.Usage != nil && h.api == openai.Messages && end.Cause != exchange.Whole:
		return max(total(*answer.Usage), h.count(answer)), true // it begins with a usage, of what there was by then
	case answer != nil && answer.Usage != nil:
		return total(*answer.Usage), true
	case end.Status >= 400:
		return 0, true // there is no answer to pay for
	case end.Cause == exchange.Unseen || end.Status == 0 || answer != nil && answer.Truncated:
		return 0, false
	case answer == nil && !streams:
		return 0, false
	case end.Cause == exchange.Whole || streams:
		return h.count(answer), true
	}
	return 0, false
}

// count counts by a tokenizer: of a stream that was cut, what came of it.
func (h *hold) count(answer *openai.Answer) uint64 {
	if h.asked != nil {
		return total(tokens.Count(h.asked, answer))
	}
	counted := tokens.Count(&openai.Request{API: h.api}, answer)
	return h.reserved.Prompt + uint64(max(0, counted.Completion))
}

// reservedTokens is the most that was reserved.
func (h *hold) reservedTokens() uint64 {
	var most uint64
	for _, c := range h.charges {
		if c.Tokens {
			most = max(most, c.Cost)
		}
	}
	return most
}

// total is what a usage comes to. An upstream may say anything.
func total(u openai.Usage) uint64 {
	return uint64(max(0, u.Total, u.Prompt+u.Completion))
}
