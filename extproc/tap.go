package extproc

import (
	"strings"
	"time"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"

	"tollgate/extproc/exchange"
	"tollgate/extproc/openai"
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
	gate      *Gate
	admission *admission
	api       openai.API
	request   body
	answer    answer
	end       exchange.End
}

// watch runs a tap until the answer's end, or until Envoy ends the stream: then the call was cut.
func (g *Gate) watch(s *stream, message *extprocv3.ProcessingRequest) error {
	admission := g.handoff.take(callID(message))
	if admission == nil {
		return nil // an answer of the gate's own, whose listeners know already
	}
	t := &tap{
		gate:      g,
		admission: admission,
		api:       openai.APIOf(admission.call.Path),
		request:   body{budget: &g.taps, most: maxBody},
		end:       exchange.End{Cause: exchange.Cut},
	}
	t.answer = newAnswer(t)
	defer t.finish()
	for {
		if t.hear(message) {
			return nil
		}
		var err error
		if message, err = s.rpc.Recv(); err != nil {
			return nil //nolint:nilerr // Envoy ended the stream: finish says so to who listens
		}
	}
}

// hear takes one message, and tells whether it was the answer's last.
func (t *tap) hear(message *extprocv3.ProcessingRequest) (last bool) {
	switch {
	case message.GetRequestBody() != nil:
		t.requestBody(message.GetRequestBody())
	case message.GetResponseHeaders() != nil:
		headers := message.GetResponseHeaders()
		t.end.Status = t.answer.begin(headers.GetHeaders().GetHeaders())
		last = headers.GetEndOfStream()
	case message.GetResponseBody() != nil:
		chunk := message.GetResponseBody()
		if t.end.First.IsZero() && len(chunk.GetBody()) > 0 {
			t.end.First = time.Now()
		}
		t.end.Bytes += int64(len(chunk.GetBody()))
		t.answer.feed(chunk.GetBody())
		last = chunk.GetEndOfStream()
	}
	if last {
		t.end.Cause = exchange.Whole
	}
	return last
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

// finish tells the end. A panic on the way must not keep listeners from hearing it.
func (t *tap) finish() {
	var whole *openai.Answer
	defer func() { t.admission.done(whole, t.end) }()
	t.request.free()
	t.end.Last = time.Now()
	whole, t.end.Events = t.answer.close()
	if t.request.gone || t.answer.whole.gone {
		t.gate.options.Skipped(SkippedBody)
	}
}

// answer reads an answer's bytes: decodes, splits and assembles them.
type answer struct {
	tap       *tap
	assembler *openai.Assembler // nil: an API that is not read
	decoder   *openai.Decoder   // nil: not encoded
	stream    *openai.Reader    // nil: not a stream of events
	whole     body
	events    int
}

func newAnswer(t *tap) answer {
	a := answer{tap: t, whole: body{budget: &t.gate.taps, most: maxBody}}
	if t.api != openai.Other {
		a.assembler = openai.NewAssembler(t.api)
	}
	return a
}

// begin reads the headers, and gives the status.
func (a *answer) begin(headers headerList) (status int) {
	if strings.HasPrefix(headers.get("content-type"), "text/event-stream") {
		a.stream = &openai.Reader{}
	}
	if encoding := headers.get("content-encoding"); encoding != "" && a.assembler != nil {
		decoder, known := openai.NewDecoder(encoding)
		if !known {
			a.assembler = nil
		}
		a.decoder = decoder
	}
	return headers.status()
}

func (a *answer) feed(chunk []byte) {
	switch {
	case a.assembler == nil:
	case a.decoder != nil:
		_ = a.decoder.Feed(chunk, a.decoded) // what cannot be decoded is left out
	default:
		a.decoded(chunk)
	}
}

func (a *answer) decoded(chunk []byte) {
	if a.stream != nil {
		a.stream.Feed(chunk, a.event)
		return
	}
	a.whole.add(chunk)
}

func (a *answer) event(event *openai.Event) {
	if !event.Whole {
		a.events++
	}
	a.assembler.Add(event)
	for _, l := range a.tap.admission.listeners {
		l.Event(event)
	}
}

// close reads what is left, and gives the answer as far as it came; nil: nothing that can be read.
func (a *answer) close() (*openai.Answer, int) {
	defer a.whole.free()
	if a.assembler == nil {
		return nil, 0
	}
	if a.decoder != nil {
		_ = a.decoder.Close(a.decoded)
	}
	if a.stream != nil {
		a.stream.Close(a.event)
	} else if len(a.whole.bytes) > 0 {
		a.event(&openai.Event{Data: a.whole.bytes, Whole: true})
	}
	return a.assembler.Answer(), a.events
}
