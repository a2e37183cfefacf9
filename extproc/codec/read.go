package codec

import (
	"unicode/utf8"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// field is one field of a message: bytes, or a number.
type field struct {
	id     protowire.Number
	bytes  []byte // nil: it is a number
	number uint64
}

// next takes the first field off a message; false: it is of another kind, or broken.
func next(data []byte) (f field, rest []byte, ok bool) {
	id, kind, n := protowire.ConsumeTag(data)
	if n < 0 {
		return field{}, nil, false
	}
	data, f.id = data[n:], id
	switch kind {
	case protowire.BytesType:
		f.bytes, n = protowire.ConsumeBytes(data)
	case protowire.VarintType:
		f.number, n = protowire.ConsumeVarint(data)
	default:
		return field{}, nil, false
	}
	if n < 0 {
		return field{}, nil, false
	}
	return f, data[n:], true
}

// is tells whether a field is the one with an id and of a kind.
func (f field) is(id protowire.Number, bytes bool) bool {
	return f.id == id && (f.bytes != nil) == bytes
}

// readRequest reads a message as Envoy writes it, once each field; false: it may hold something else.
func readRequest(data []byte, m *extprocv3.ProcessingRequest) bool {
	for len(data) > 0 {
		f, rest, ok := next(data)
		if !ok {
			return false
		}
		data = rest
		switch {
		case f.is(2, true) || f.is(3, true):
			ok = m.Request == nil && readHeaders(f, m)
		case f.is(4, true) || f.is(5, true):
			ok = m.Request == nil && readBody(f, m)
		case f.is(8, true):
			ok = m.MetadataContext == nil
			m.MetadataContext = &corev3.Metadata{}
			ok = ok && readRest(f.bytes, m.MetadataContext)
		case f.is(10, false):
			m.ObservabilityMode = f.number != 0
		case f.is(11, true):
			ok = m.ProtocolConfig == nil
			m.ProtocolConfig = &extprocv3.ProtocolConfiguration{}
			ok = ok && readRest(f.bytes, m.ProtocolConfig)
		default:
			ok = false
		}
		if !ok {
			return false
		}
	}
	return true
}

// readRest leaves to the library what is mostly empty.
func readRest(data []byte, m proto.Message) bool {
	return len(data) == 0 || proto.Unmarshal(data, m) == nil
}

// headers is what a message with headers is made of, in one piece.
type headers struct {
	request  extprocv3.ProcessingRequest_RequestHeaders
	response extprocv3.ProcessingRequest_ResponseHeaders
	http     extprocv3.HttpHeaders
	list     corev3.HeaderMap
}

func readHeaders(of field, m *extprocv3.ProcessingRequest) bool {
	h := &headers{}
	for data := of.bytes; len(data) > 0; {
		f, rest, ok := next(data)
		if !ok {
			return false
		}
		data = rest
		switch {
		case f.is(1, true) && h.http.Headers == nil:
			h.http.Headers = &h.list
			if h.list.Headers, ok = readList(f.bytes); !ok {
				return false
			}
		case f.is(3, false):
			h.http.EndOfStream = f.number != 0
		default:
			return false
		}
	}
	if of.id == 2 {
		h.request.RequestHeaders = &h.http
		m.Request = &h.request
	} else {
		h.response.ResponseHeaders = &h.http
		m.Request = &h.response
	}
	return true
}

func readList(data []byte) ([]*corev3.HeaderValue, bool) {
	n := 0
	for rest := data; len(rest) > 0; n++ {
		var f field
		var ok bool
		if f, rest, ok = next(rest); !ok || !f.is(1, true) {
			return nil, false
		}
	}
	values, list := make([]corev3.HeaderValue, n), make([]*corev3.HeaderValue, n)
	for i := range values {
		var f field
		f, data, _ = next(data)
		if !readHeader(f.bytes, &values[i]) {
			return nil, false
		}
		list[i] = &values[i]
	}
	return list, true
}

func readHeader(data []byte, h *corev3.HeaderValue) bool {
	for len(data) > 0 {
		f, rest, ok := next(data)
		if !ok {
			return false
		}
		data = rest
		switch {
		case f.is(1, true) && utf8.Valid(f.bytes):
			h.Key = name(f.bytes)
		case f.is(3, true):
			h.RawValue = f.bytes[:len(f.bytes):len(f.bytes)]
		default:
			return false
		}
	}
	return true
}

// bodyPiece is what a message with a piece of a body is made of.
type bodyPiece struct {
	request  extprocv3.ProcessingRequest_RequestBody
	response extprocv3.ProcessingRequest_ResponseBody
	http     extprocv3.HttpBody
}

func readBody(of field, m *extprocv3.ProcessingRequest) bool {
	b := &bodyPiece{}
	for data := of.bytes; len(data) > 0; {
		f, rest, ok := next(data)
		if !ok {
			return false
		}
		data = rest
		switch {
		case f.is(1, true):
			b.http.Body = f.bytes[:len(f.bytes):len(f.bytes)]
		case f.is(2, false):
			b.http.EndOfStream = f.number != 0
		default:
			return false
		}
	}
	if of.id == 4 {
		b.request.RequestBody = &b.http
		m.Request = &b.request
	} else {
		b.response.ResponseBody = &b.http
		m.Request = &b.response
	}
	return true
}

// name is a header's name, of which the common ones need no copy.
func name(bytes []byte) string {
	switch string(bytes) {
	case ":authority":
		return ":authority"
	case ":method":
		return ":method"
	case ":path":
		return ":path"
	case ":scheme":
		return ":scheme"
	case ":status":
		return ":status"
	case "accept":
		return "accept"
	case "accept-encoding":
		return "accept-encoding"
	case "authorization":
		return "authorization"
	case "content-length":
		return "content-length"
	case "content-type":
		return "content-type"
	case "user-agent":
		return "user-agent"
	case "x-forwarded-proto":
		return "x-forwarded-proto"
	}
	return string(bytes)
}
