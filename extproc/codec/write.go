package codec

import (
	"unicode/utf8"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/structpb"
)

// sizeHint is about how long a message will be.
func sizeHint(m *extprocv3.ProcessingResponse) int {
	const headers = 1 << 10
	return headers + len(m.GetRequestBody().GetResponse().GetBodyMutation().GetStreamedResponse().GetBody()) +
		len(m.GetResponseBody().GetResponse().GetBodyMutation().GetStreamedResponse().GetBody()) +
		len(m.GetStreamedImmediateResponse().GetBodyResponse().GetBody())
}

// writer writes a message, and notes if there is something in it that it does not know.
type writer struct {
	out     []byte
	unknown bool
}

// appendResponse appends a message; false: it holds something else.
func appendResponse(out []byte, m *extprocv3.ProcessingResponse) ([]byte, bool) {
	w := &writer{out: out}
	if m.ModeOverride != nil || m.OverrideMessageTimeout != nil || m.TypedDynamicMetadata != nil ||
		m.RequestDrainRequests || m.RequestDrainResponses || m.ServerWindowUpdate != nil ||
		m.RequestDrain { //nolint:staticcheck // deprecated, and looked for
		return out, false
	}
	switch of := m.GetResponse().(type) {
	case *extprocv3.ProcessingResponse_RequestHeaders:
		w.message(1, func() { w.common(of.RequestHeaders.GetResponse()) })
	case *extprocv3.ProcessingResponse_ResponseHeaders:
		w.message(2, func() { w.common(of.ResponseHeaders.GetResponse()) })
	case *extprocv3.ProcessingResponse_RequestBody:
		w.message(3, func() { w.common(of.RequestBody.GetResponse()) })
	case *extprocv3.ProcessingResponse_ResponseBody:
		w.message(4, func() { w.common(of.ResponseBody.GetResponse()) })
	case *extprocv3.ProcessingResponse_StreamedImmediateResponse:
		w.message(11, func() { w.immediate(of.StreamedImmediateResponse) })
	default:
		return out, false
	}
	if m.DynamicMetadata != nil {
		w.message(8, func() { w.fields(m.DynamicMetadata) })
	}
	return w.out, !w.unknown
}

// message writes a field that is a message, whose length is known once it is written.
func (w *writer) message(id protowire.Number, content func()) {
	w.out = protowire.AppendTag(w.out, id, protowire.BytesType)
	w.out = append(w.out, 0)
	start := len(w.out)
	content()
	length := len(w.out) - start
	more := protowire.SizeVarint(uint64(length)) - 1 //nolint:gosec // a length
	for range more {
		w.out = append(w.out, 0)
	}
	copy(w.out[start+more:], w.out[start:start+length])
	protowire.AppendVarint(w.out[:start-1], uint64(length)) //nolint:gosec // a length
}

func (w *writer) text(id protowire.Number, value string) {
	w.unknown = w.unknown || !utf8.ValidString(value) // the library says what is wrong
	w.out = protowire.AppendString(protowire.AppendTag(w.out, id, protowire.BytesType), value)
}

func (w *writer) bytes(id protowire.Number, value []byte) {
	w.out = protowire.AppendBytes(protowire.AppendTag(w.out, id, protowire.BytesType), value)
}

func (w *writer) number(id protowire.Number, value uint64) {
	w.out = protowire.AppendVarint(protowire.AppendTag(w.out, id, protowire.VarintType), value)
}

// common writes what a request's headers, an answer's headers and pieces of a body are answered with.
func (w *writer) common(m *extprocv3.CommonResponse) {
	if m == nil {
		return
	}
	w.message(1, func() {
		w.unknown = w.unknown || m.Status != 0 || m.Trailers != nil
		if m.HeaderMutation != nil {
			w.message(2, func() { w.mutation(m.HeaderMutation) })
		}
		if m.BodyMutation != nil {
			piece := m.BodyMutation.GetStreamedResponse()
			w.unknown = w.unknown || piece == nil
			w.message(3, func() { w.message(3, func() { w.piece(piece) }) })
		}
		if m.ClearRouteCache {
			w.number(5, 1)
		}
	})
}

func (w *writer) mutation(m *extprocv3.HeaderMutation) {
	for _, h := range m.GetSetHeaders() {
		w.unknown = w.unknown || h.GetKeepEmptyValue() ||
			h.GetAppend() != nil //nolint:staticcheck // deprecated, and looked for
		w.message(1, func() {
			if h.GetHeader() != nil {
				w.message(1, func() { w.header(h.GetHeader()) })
			}
			if h.GetAppendAction() != 0 {
				w.number(3, uint64(h.GetAppendAction())) //nolint:gosec // an enum's number
			}
		})
	}
	for _, name := range m.GetRemoveHeaders() {
		w.text(2, name)
	}
}

func (w *writer) header(h *corev3.HeaderValue) {
	w.unknown = w.unknown || h.GetValue() != ""
	w.text(1, h.GetKey())
	w.bytes(3, h.GetRawValue())
}

func (w *writer) piece(p *extprocv3.StreamedBodyResponse) {
	w.unknown = w.unknown || p.GetEndOfStreamWithoutMessage() || p.GetGrpcMessageCompressed() || p.GetDrainComplete()
	w.bytes(1, p.GetBody())
	if p.GetEndOfStream() {
		w.number(2, 1)
	}
}

// immediate writes the head of an answer of the gate's own, or a piece of its body.
func (w *writer) immediate(m *extprocv3.StreamedImmediateResponse) {
	switch of := m.GetResponse().(type) {
	case *extprocv3.StreamedImmediateResponse_HeadersResponse:
		w.unknown = w.unknown || of.HeadersResponse.GetHeaders() == nil || of.HeadersResponse.GetEndOfStream() ||
			of.HeadersResponse.GetAttributes() != nil //nolint:staticcheck // deprecated, and looked for
		w.message(1, func() {
			w.message(1, func() {
				for _, h := range of.HeadersResponse.GetHeaders().GetHeaders() {
					w.message(1, func() { w.header(h) })
				}
			})
		})
	case *extprocv3.StreamedImmediateResponse_BodyResponse:
		w.message(2, func() { w.piece(of.BodyResponse) })
	default:
		w.unknown = true
	}
}

// fields writes metadata: strings, and what is below a name.
func (w *writer) fields(of *structpb.Struct) {
	for name, value := range of.GetFields() {
		w.message(1, func() {
			w.text(1, name)
			w.message(2, func() {
				switch kind := value.GetKind().(type) {
				case *structpb.Value_StringValue:
					w.text(3, kind.StringValue)
				case *structpb.Value_StructValue:
					w.message(5, func() { w.fields(kind.StructValue) })
				default:
					w.unknown = true
				}
			})
		})
	}
}
