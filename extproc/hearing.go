package extproc

import (
	"strings"
	"time"

	"tollgate/extproc/exchange"
	"tollgate/extproc/openai"
)

// hearing hears one answer, wherever it comes from, and tells the call's listeners of it.
type hearing struct {
	gate      *Gate
	admission *admission
	end       exchange.End

	assembler *openai.Assembler // nil: an API that is not read
	decoder   *openai.Decoder   // nil: not encoded
	stream    *openai.Reader    // nil: not a stream of events
	whole     body
	kept      *keeping // nil: not for the cache
	malformed bool     // it cannot be decoded
}

func (g *Gate) hear(a *admission) *hearing {
	h := &hearing{
		gate: g, admission: a, kept: a.keeping,
		end:   exchange.End{Cause: exchange.Cut},
		whole: body{budget: &g.taps, most: maxBody},
	}
	if api := openai.APIOf(a.call.Path); api != openai.Other && (len(a.listeners) > 0 || a.keeping != nil) {
		h.assembler = openai.NewAssembler(api)
		h.assembler.Bare = !a.words() // the cache looks at the bytes
	}
	return h
}

// begin hears the answer's head.
func (h *hearing) begin(status int, contentType, encoding string) {
	h.end.Status = status
	if strings.HasPrefix(contentType, "text/event-stream") {
		h.stream = &openai.Reader{}
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
	if h.end.First.IsZero() && len(piece) > 0 {
		h.end.First = time.Now()
	}
	h.end.Bytes += int64(len(piece))
	switch {
	case h.assembler == nil:
	case h.decoder != nil:
		h.malformed = h.decoder.Feed(piece, h.decoded) != nil || h.malformed // what cannot be decoded is left out
	default:
		h.decoded(piece)
	}
}

func (h *hearing) decoded(piece []byte) {
	if h.stream == nil {
		h.whole.add(piece)
		return
	}
	h.kept.add(piece)
	h.stream.Feed(piece, h.event)
}

func (h *hearing) event(event *openai.Event) {
	if !event.Whole {
		h.end.Events++
	}
	h.assembler.Add(event)
	for _, l := range h.admission.listeners {
		l.Event(event)
	}
}

// finish tells the end. A panic on the way must not keep listeners from hearing it.
func (h *hearing) finish(cause exchange.Cause) (answer *openai.Answer, end exchange.End) {
	h.end.Cause, h.end.Last = cause, time.Now()
	defer func() { h.admission.done(answer, h.end) }()
	defer h.whole.free()
	answer = h.close()
	if h.malformed {
		h.kept.drop()
	}
	h.kept.done(answer, h.end)
	if h.whole.gone {
		h.gate.options.Skipped(SkippedBody)
	}
	return answer, h.end
}

// close reads what is left, and gives the answer as far as it came; nil: nothing that can be read.
func (h *hearing) close() *openai.Answer {
	if h.assembler == nil {
		return nil
	}
	if h.decoder != nil {
		h.malformed = h.decoder.Close(h.decoded) != nil || h.malformed
	}
	if h.stream != nil {
		h.stream.Close(h.event)
	} else if len(h.whole.bytes) > 0 {
		h.kept.all(h.whole.bytes)
		h.event(&openai.Event{Data: h.whole.bytes, Whole: true})
	}
	return h.assembler.Answer()
}
