package extproc

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"tollgate/extproc/cache"
	"tollgate/extproc/exchange"
	"tollgate/extproc/share"
)

// maxRides bounds how many calls a request waits for, one after the other, before it asks by itself: each
// of them failed.
const maxRides = 3

// Why a call that others wait for is not made.
var (
	errKept    = errors.New("the answer is kept already")
	errRefused = errors.New("the request that was to make the call was refused")
)

// errCrowded is the end of a request whose answer is large, as are many others.
var errCrowded = errors.New("too many large answers at once")

// errBroken is the end of an answer of which something has gone out: the client must see that it is cut.
var errBroken = errors.New("the answer broke off")

// join makes a request one of those that share a call.
func (g *Gate) join(v *visit) {
	k := v.caching
	k.call, k.leads = g.options.Shared.Join(k.shared)
	status := cache.StatusMiss
	k.result = exchange.CacheMiss
	if !k.leads {
		k.result, status = exchange.CacheCollapsed, cache.StatusCollapsed
	}
	v.tellCache(status)
}

// leave ends a request's part in a call. One that it was to make, and did not, fails.
func (v *visit) leave() {
	k := v.caching
	if k == nil || k.call == nil {
		return
	}
	if k.leads && k.led == nil {
		k.call.Fail(errRefused)
	}
	if k.led != nil {
		k.led.leave()
	}
	k.call.Leave()
	k.call, k.led = nil, nil
}

// ride answers by a call that several requests share. It is not done where the request has to go on by
// itself: Envoy takes no such calls, or those of others failed before anything of the answer went out.
func (g *Gate) ride(v *visit) (done bool, err error) {
	k := v.caching
	defer func() {
		if done && v.admission == nil {
			g.admitted(v).done(nil, exchange.End{Cause: exchange.Cut, Last: time.Now()})
		}
	}()
	for range maxRides {
		err := g.rideOnce(v)
		if err == nil || v.gone(err) || errors.Is(err, errBroken) || errors.Is(err, errCrowded) {
			return true, err
		}
		if k.leads && errors.Is(err, share.ErrNoWay) {
			k.leads, k.led = false, nil
			v.admission.keeping.inTap()
			break
		}
		if k.leads {
			return true, badGateway(err)
		}
		v.leave()
		if errors.Is(err, errKept) && g.find(v) {
			if err := g.outflow.wait(v.rpc.Context(), len(v.caching.hit.Body), outflowPatience); err != nil {
				return true, err
			}
			return true, g.replay(v)
		}
		g.join(v)
		v.hold.rides = v.hold.rides && !k.leads
	}
	v.hold.rides = false
	k.result = exchange.CacheMiss
	v.tellCache(cache.StatusMiss)
	return false, nil
}

// rideOnce waits for one call, and answers by it. Its error is errBroken once something has gone out.
func (g *Gate) rideOnce(v *visit) error {
	call, ctx := v.caching.call, v.rpc.Context()
	if v.caching.leads {
		if err := g.lead(v); err != nil {
			return err
		}
	}
	head, err := call.Begun(ctx)
	if err != nil {
		return fmt.Errorf("waiting for an answer: %w", err)
	}
	if !v.caching.leads && isFailure(head.Status) {
		_, _ = call.Whole(ctx) // or the next call to join would be this one
		return errors.New("the call of another request failed")
	}
	if head.IsStream() {
		return g.rideStream(v, call, head)
	}
	body, err := call.Whole(ctx)
	if err != nil {
		return fmt.Errorf("waiting for an answer: %w", err)
	}
	patience := outflowPatience
	if v.caching.leads {
		patience = outflowPaid
	}
	if err := g.outflow.wait(v.rpc.Context(), len(body), patience); err != nil {
		return fmt.Errorf("%w: %w", errCrowded, err)
	}
	heard := g.begin(v, head)
	length := exchange.Header{Name: "content-length", Value: strconv.Itoa(len(body))}
	if err = v.answer(head.Status, append(v.sharedHeaders(head), length)); err == nil {
		heard.body(body)
		err = v.answerBody(body, true)
	}
	return g.ridden(v, heard, err)
}

// rideStream follows a stream from its first event.
func (g *Gate) rideStream(v *visit, call *share.Call, head share.Head) error {
	heard := g.begin(v, head)
	if err := v.answer(head.Status, v.sharedHeaders(head)); err != nil {
		return g.ridden(v, heard, err)
	}
	r := v.newResponse(v.answerBody)
	r.shape(head.Header.Get("content-type"), head.Header.Get("content-encoding"))
	turns := &turns{outflow: g.outflow}
	for at, last := 0, false; !last; {
		var piece []byte
		var err error
		if piece, last, err = call.Next(v.rpc.Context(), at); err == nil {
			at += len(piece)
			err = turns.each(v.rpc.Context(), piece, func(part []byte, rest bool) error {
				heard.body(part)
				return r.chunk(part, last && !rest)
			})
		}
		if err != nil {
			return g.ridden(v, heard, err)
		}
	}
	return g.ridden(v, heard, nil)
}

// begin notes that an answer goes out. Who listens to the call of the leader hears of it already.
func (g *Gate) begin(v *visit, head share.Head) *follower {
	if v.caching.leads {
		return nil
	}
	v.decision.Key = "" // none of its own was used
	f := &follower{g.hear(g.admitted(v))}
	f.begin(head.Status, head.Header.Get("content-type"), head.Header.Get("content-encoding"))
	return f
}

// ridden notes how it went.
func (g *Gate) ridden(v *visit, heard *follower, err error) error {
	cause := exchange.Whole
	if err != nil {
		cause = exchange.Cut
		err = fmt.Errorf("%w: %w", errBroken, err)
	}
	answer, end := heard.finish(cause)
	spared := Spared{Bytes: end.Bytes, Took: time.Since(v.began)}
	if answer != nil && answer.Usage != nil {
		spared.Usage = *answer.Usage
	}
	g.options.Cached(v.route.Route, v.caching.result, spared)
	return err
}

// isFailure tells whether another request may have more luck.
func isFailure(status int) bool { return status >= 500 || status == http.StatusTooManyRequests }

func badGateway(err error) *exchange.Refusal {
	refusal := &exchange.Refusal{
		Status: 502, Type: "server_error", Code: "upstream_reset",
		Message: "Tollgate: the upstream broke the connection before its answer was whole.",
	}
	if errors.Is(err, share.ErrTooLarge) {
		refusal.Code = "answer_too_large"
		refusal.Message = "Tollgate: the answer is too large to be shared by those who ask for it: collapse: false lets it pass."
	}
	return refusal
}
