package extproc

import (
	"fmt"
	"strconv"
	"strings"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"

	"tollgate/extproc/exchange"
	"tollgate/extproc/flow"
	"tollgate/extproc/openai"
)

// response is an answer on its way to the client, on a route where the gate has a hand in it.
type response struct {
	*stream

	send     func(piece []byte, last bool) error
	splitter flow.Splitter
	pacer    *flow.Pacer       // nil: as fast as it comes
	filter   *flow.UsageFilter // nil: nothing is taken out
	shaped   bool              // it is a stream of events; else it passes as it is
	ready    []byte            // what may go, and has not been sent
}

// rewrite changes the body that the upstream gets: it is asked for a stream's usage where the client does
// not ask but the route wants it exact, and does not get what is meant for Tollgate.
func (v *visit) rewrite() {
	if v.asked == nil || len(v.body.bytes) == 0 {
		return
	}
	before := len(v.body.bytes)
	if v.route.ExactUsage && v.responds && (v.asked.API == openai.Chat || v.asked.API == openai.Completions) {
		changed, ok := flow.AskUsage(v.body.bytes)
		if ok {
			v.forced = true
			v.body.replace(changed)
			v.set("accept-encoding", "identity") // or it could not be taken out again
		}
	}
	if _, ours := v.asked.Fields["caching"]; ours && v.asked.API != openai.Other {
		if changed, ok := flow.DropMember(v.body.bytes, "caching"); ok {
			v.body.replace(changed)
		}
	}
	if len(v.body.bytes) != before && v.request.Get("content-length") != "" {
		v.set("content-length", strconv.Itoa(len(v.body.bytes)))
	}
}

// set sets a header of the request that the upstream gets.
func (v *visit) set(name, value string) {
	v.decision.Changes.Set = append(v.decision.Changes.Set, exchange.Header{Name: name, Value: value})
}

// respond lets the answer by: a stream of events at its route's pace, and without what only Tollgate
// asked for. What Envoy sends waits while an event waits, so that the upstream does, too.
func (v *visit) respond() error {
	if !v.responds {
		return nil
	}
	r := v.newResponse(v.letBody)
	for last := false; !last; {
		message, err := v.recv()
		if err != nil {
			return fmt.Errorf("receiving the answer: %w", err)
		}
		if last, err = r.let(message); err != nil {
			return err
		}
	}
	return nil
}

func (v *visit) newResponse(send func(piece []byte, last bool) error) *response {
	r := &response{stream: v.stream, send: send, pacer: flow.NewPacer(v.route.PaceOf(v.decision.Client, v.path))}
	if v.forced {
		r.filter = &flow.UsageFilter{}
	}
	return r
}

// let lets one message by, and tells whether it was the answer's last.
func (r *response) let(message *extprocv3.ProcessingRequest) (last bool, err error) {
	switch {
	case message.GetResponseHeaders() != nil:
		headers := message.GetResponseHeaders()
		return headers.GetEndOfStream(), r.begin(headers.GetHeaders().GetHeaders())
	case message.GetResponseBody() != nil:
		chunk := message.GetResponseBody()
		return chunk.GetEndOfStream(), r.chunk(chunk.GetBody(), chunk.GetEndOfStream())
	case message.GetResponseTrailers() != nil:
		if err := r.rest(); err != nil {
			return true, err
		}
		return true, r.letTrailers()
	}
	return true, fmt.Errorf("Envoy sends %T where the answer is due", message.GetRequest())
}

func (r *response) begin(headers headerList) error {
	r.shape(headers.get("content-type"), headers.get("content-encoding"))
	if r.shaped && r.filter != nil {
		return r.letHeaders("content-length")
	}
	return r.letHeaders()
}

// shape tells whether there is something to do.
func (r *response) shape(contentType, encoding string) {
	r.shaped = (r.pacer != nil || r.filter != nil) && encoding == "" && strings.HasPrefix(contentType, "text/event-stream")
}

func (r *response) chunk(bytes []byte, last bool) error {
	if !r.shaped {
		return r.send(bytes, last)
	}
	if err := r.splitter.Feed(bytes, r.piece); err != nil {
		return err //nolint:wrapcheck // it is piece's
	}
	if last {
		if err := r.splitter.Close(r.piece); err != nil {
			return err //nolint:wrapcheck // it is piece's
		}
	}
	return r.flush(last)
}

// rest sends what is held, before trailers.
func (r *response) rest() error {
	if !r.shaped {
		return nil
	}
	if err := r.splitter.Close(r.piece); err != nil {
		return err //nolint:wrapcheck // it is piece's
	}
	return r.flush(false)
}

// piece takes one piece of the stream. An event goes when it is due; what came before it goes before it
// waits.
func (r *response) piece(p flow.Piece) error {
	if r.filter.Takes(p) {
		return nil
	}
	if p.Event && !p.More && r.pacer != nil {
		if err := r.flush(false); err != nil {
			return err
		}
		if err := r.pacer.Wait(r.rpc.Context()); err != nil {
			return fmt.Errorf("waiting for an event's turn: %w", err)
		}
	}
	r.ready = append(r.ready, p.Bytes...)
	return nil
}

func (r *response) flush(last bool) error {
	if len(r.ready) == 0 && !last {
		return nil
	}
	err := r.send(r.ready, last)
	r.ready = r.ready[:0] // sending has copied it
	return err
}
