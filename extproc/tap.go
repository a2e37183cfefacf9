package extproc

import (
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"

	"tollgate/config"
	"tollgate/extproc/exchange"
	"tollgate/extproc/openai"
	"tollgate/extproc/shallow"
)

const (
	// maxBody bounds what the tap keeps of one request's body, or of one answer that is no stream.
	maxBody = 16 << 20

	// maxHeld bounds what all taps keep together, and what all gates do.
	maxHeld = 256 << 20

	// SkippedBody is what Options.Skipped hears of a body that was too large to keep.
	SkippedBody = "body"
)

// tap follows one call beside its path: it reads copies of what streams by, and tells the listeners.
// It reads always, and never waits for anyone: Envoy would stall the client once its window is full.
type tap struct {
	*hearing

	api     openai.API
	request body
}

// watch runs a tap until the answer's end, or until Envoy ends the stream: then the call was cut.
func (g *Gate) watch(s *stream, message *extprocv3.ProcessingRequest) error {
	admission := g.handoff.take(s.initial(config.CallHeader))
	if admission == nil {
		return nil // an answer of the gate's own, whose listeners know already
	}
	t := &tap{
		hearing: g.hear(admission),
		api:     openai.APIOf(admission.call.Path),
		request: body{budget: &g.taps, most: maxBody},
	}
	cause := exchange.Cut
	defer func() { t.finish(cause) }()
	defer t.closeRequest()
	rpc, take := s.rpc, t.take // while it waits, it needs no more of s
	for last := take(message); !last; {
		var err error
		if last, err = shallow.Receive(rpc, take); err != nil {
			return nil //nolint:nilerr // Envoy ended the stream: finish says so to who listens
		}
	}
	cause = exchange.Whole
	return nil
}

// take takes one message, and tells whether it was the answer's last.
func (t *tap) take(message *extprocv3.ProcessingRequest) (last bool) {
	switch {
	case message.GetRequestBody() != nil:
		t.requestBody(message.GetRequestBody())
	case message.GetResponseHeaders() != nil:
		headers := headerList(message.GetResponseHeaders().GetHeaders().GetHeaders())
		t.begin(headers.status(), headers.get("content-type"), headers.get("content-encoding"))
		t.upstream, t.key = said(message, config.UpstreamKey), said(message, config.KeyKey)
		return message.GetResponseHeaders().GetEndOfStream()
	case message.GetResponseBody() != nil:
		t.body(message.GetResponseBody().GetBody())
		return message.GetResponseBody().GetEndOfStream()
	}
	return false
}

func (t *tap) requestBody(chunk *extprocv3.HttpBody) {
	if t.api == openai.Other {
		return
	}
	t.request.add(chunk.GetBody())
	if !chunk.GetEndOfStream() || len(t.request.bytes) == 0 {
		return
	}
	asked, err := openai.ParseRequest(t.api, t.admission.call.ContentType, t.request.bytes)
	if err == nil {
		t.admission.asked(asked)
	}
	t.request.free()
}

func (t *tap) closeRequest() {
	t.request.free()
	if t.request.gone {
		t.gate.options.Skipped(SkippedBody)
	}
}
