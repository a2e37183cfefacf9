package extproc

import (
	"strings"
	"time"

	"tollgate/extproc/exchange"
	"tollgate/extproc/openai"
)

// hearing hears one answer, wherever it comes from, and tells the call's listeners of it. There is one for each
// stream that stands open, so it has no more than that needs.
type hearing struct {
	gate      *Gate
	admission *admission

	assembler *openai.Assembler // nil: an API that is not read
	decoder   *openai.Decoder   // nil: not encoded
	stream    *openai.Reader    // nil: not a stream of events
	whole     *body             // nil: not an answer in one piece
	kept      *keeping          // nil: not for the cache
	malformed bool              // it cannot be decoded

	// What exchange.End will tell.
	status        int
	upstream, key string
	first         time.Time
	events        int
	bytes         int64
}

func (g *Gate) hear(a *admission) *hearing {
	h := &hearing{gate: g, admission: a, kept: a.keeping}
	if api := openai.APIOf(a.call.Path); api != openai.Other && (len(a.listeners) > 0 || a.keeping != nil) {
		h.assembler = openai.NewAssembler(api)
		h.assembler.Bare = !a.words() // the cache looks at the bytes
	}
	return h
}

// begin hears the answer's head.
func (h *hearing) begin(status int, contentType, encoding string) {
	h.status = status
	if strings.HasPrefix(contentType, "text/event-stream") {
		h.stream = &openai.Reader{}
	} else if h.assembler != nil {
		h.whole = &body{budget: &h.gate.taps, most: maxBody}
	}
	if encoding != "" && h.assembler != nil {
		decoder, known := openai.NewDecoder(encoding)
		if !known {
			h.assembler = nil
		}
		h.decoder = decoder
	}
	h.kept.begin(status, contentType, h.stream != nil)
}

// body hears the next piece.
func (h *hearing) body(piece []byte) {
	if h.first.IsZero() && len(piece) > 0 {
		h.first = time.Now()
	}
	h.bytes += int64(len(piece))
	switch {
	case h.assembler == nil:
	case h.decoder != nil:
		h.malformed = h.decoder.Feed(piece, h.decoded) != nil || h.malformed // what cannot be decoded is left out
	default:
		h.decoded(piece)
	}
}

func (h *hearing) decoded(piece []byte) {
	switch {
	case h.stream != nil:
		h.kept.add(piece)
		h.stream.Feed(piece, h.event)
	case h.whole != nil:
		h.whole.add(piece)
	}
}

func (h *hearing) event(event *openai.Event) {
	if !event.Whole {
		h.events++
	}
	h.assembler.Add(event)
	for _, l := range h.admission.listeners {
		l.Event(event)
	}
}

// finish tells the end. A panic on the way must not keep listeners from hearing it.
func (h *hearing) finish(cause exchange.Cause) (answer *openai.Answer, end exchange.End) {
	end = exchange.End{
		Cause: cause, Status: h.status, Upstream: h.upstream, Key: h.key,
		First: h.first, Last: time.Now(), Events: h.events, Bytes: h.bytes,
	}
	defer func() { h.admission.done(answer, end) }()
	if h.whole != nil {
		defer h.whole.free()
	}
	answer = h.close()
	end.Events = h.events // with what was left
	if h.malformed {
		h.kept.drop()
	}
	h.kept.done(answer, end)
	if h.whole != nil && h.whole.gone {
		h.gate.options.Skipped(SkippedBody)
	}
	return answer, end
}

// close reads what is left, and gives the answer as far as it came; nil: nothing that can be read.
func (h *hearing) close() *openai.Answer {
	if h.assembler == nil {
		return nil
	}
	if h.decoder != nil {
		h.malformed = h.decoder.Close(h.decoded) != nil || h.malformed
	}
	switch {
	case h.stream != nil:
		h.stream.Close(h.event)
	case h.whole != nil && len(h.whole.bytes) > 0:
		h.kept.all(h.whole.bytes)
		h.event(&openai.Event{Data: h.whole.bytes, Whole: true})
	}
	return h.assembler.Answer()
}
