package extproc

import (
	"context"
	"errors"
	"strconv"
	"time"

	"go.uber.org/zap"

	"tollgate/config"
	"tollgate/config/money"
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
	tapped   bool // the end of the call is told
	shadowed bool // a limit that is tried out would have refused
	free     bool // it costs nothing
	rides    bool // another request pays for the answer

	api       openai.API
	reserved  tokens.Reservation
	estimated bool            // reserved is known
	asked     *openai.Request // kept where the tokens may have to be counted; else nil
	kept      int             // bytes of it
	who       string          // whose share of what gates hold they are

	call   *exchange.Call // nil: it has no price, or does not pass
	models []string       // that the request names
	choice *config.Choice // where it may go
}

// take takes the request from all of its limits, or from none, and notes what is left for the answer's
// headers. Its error is an *exchange.Refusal.
func (g *Gate) take(v *visit) error {
	v.hold = &hold{gate: g, route: v.route.Route, tapped: v.route.tapped, api: openai.APIOf(v.path)}
	if v.route.tapped { // else nobody would tell the end
		if err := g.enter(v); err != nil {
			return err
		}
	}
	err := g.charge(v)
	if err != nil {
		v.hold.exit()
	}
	return err
}

// exit gives the place among the calls in flight to others.
func (h *hold) exit() {
	if h.leave != nil {
		h.leave()
		h.leave = nil
	}
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
	counts := len(h.route.Prices) > 0 || v.under(config.OfTokens)
	if counts && v.asked != nil && v.asked.API != openai.Other { // whose answers tell nobody what they took
		ask.Tokens = h.tokensOf(v)
	}
	var err error
	if ask.Cost, err = h.costOf(v, &ask); err != nil {
		return err
	}
	h.charges = limit.Charges(&ask)
	if len(h.charges) == 0 {
		h.keep(v)
		return nil
	}
	if err := untilSettled(v.rpc.Context(), func() (again bool, err error) {
		h.outcome, err = g.options.Limits.Reserve(v.rpc.Context(), h.charges)
		mayHelp := g.owing.Load() > 0 || h.outcome.Shared
		return err == nil && mayHelp && limit.MayFit(h.outcome, h.charges), err //nolint:wrapcheck // for the log
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
			h.rides, h.estimated = true, true
			return &limit.Tokens{} // it may yet have to ask by itself, and then settles
		}
	}
	return h.reserve(v.asked)
}

// reserve estimates what a request may take, once.
func (h *hold) reserve(asked *openai.Request) *limit.Tokens {
	if !h.estimated {
		h.reserved, h.estimated = tokens.Reserve(asked), true
	}
	return &limit.Tokens{
		Prompt: h.reserved.Prompt, Answer: h.reserved.Answer, Answers: h.reserved.Answers, Open: !h.reserved.Named,
	}
}

// tell notes what is left of the limits, for the answer's headers, the logs and metrics.
func (g *Gate) tell(v *visit) {
	h := v.hold
	for _, of := range []config.Quantity{config.OfRequests, config.OfTokens, config.OfCost} {
		left, ok := limit.HeadroomOf(h.outcome, h.charges, of)
		if !ok {
			continue
		}
		g.options.Headroom(v.route.Route, v.decision.Client, of, left)
		if of == config.OfCost {
			continue // there is no header for it
		}
		v.say(config.LimitKey+string(of), strconv.FormatUint(left.Limit, 10))
		v.say(config.RemainingKey+string(of), strconv.FormatUint(left.Remaining, 10))
		v.say(config.ResetKey+string(of), left.Reset.String())
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
	owes := h.owes()
	if owes {
		h.gate.owing.Add(1)
	}
	spared := v.caching != nil && v.caching.result.Spared() // by an answer that may have come as a stream
	if (owes || h.priced()) && v.asked != nil && (v.asked.Stream || spared) && h.asked == nil {
		if h.gate.gates.short() {
			h.reserve(v.asked)
			return
		}
		h.asked = v.asked
		h.kept, h.who = len(v.body.bytes), v.body.who
		v.body.kept = true
	}
}

// owes tells whether tokens or money are reserved.
func (h *hold) owes() bool {
	for i, c := range h.charges {
		if c.Of.Settled() && h.outcome.Decisions[i].Charged {
			return true
		}
	}
	return false
}

// settles tells whether the end of the call must be heard.
func (h *hold) settles() bool { return h.leave != nil || h.owes() || h.priced() }

// Event is not looked at.
func (h *hold) Event(*openai.Event) {}

// Words is told of what has to be paid for: where the upstream does not tell its tokens, they are counted.
func (h *hold) Words() bool { return h.owes() || h.priced() }

// Done gives the place free, and settles in the background: the store may be far.
func (h *hold) Done(answer *openai.Answer, end exchange.End) {
	h.exit()
	if !h.owes() {
		h.forget()
		return
	}
	h.gate.settling.Go(func() {
		defer h.gate.owing.Add(-1)
		usage, known := h.used(answer, end)
		h.forget()
		var of []config.Quantity
		if known {
			of = append(of, config.OfTokens)
		}
		if end.Priced {
			of = append(of, config.OfCost)
		}
		reserved, used := h.reservedTokens(), total(usage)
		if !known {
			used = reserved
		}
		if adjustments := limit.Settlements(h.outcome, h.charges, limit.Used{Tokens: used, Cost: money.Amount(end.Cost)}, of...); len(adjustments) > 0 {
			if err := h.gate.settle(adjustments); err != nil {
				h.gate.log.Debug("what a call used could not be settled; what it reserved stays taken", zap.Error(err))
				return
			}
		}
		if reserved > 0 {
			h.gate.options.Settled(h.route, reserved, used)
		}
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
