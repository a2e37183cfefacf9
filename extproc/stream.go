package extproc

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	filterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"

	"tollgate/config"
	"tollgate/extproc/auth"
	"tollgate/extproc/exchange"
)

// stream is one request's conversation with Envoy. It is the only place that reads and builds
// Envoy's messages.
type stream struct {
	rpc  extprocv3.ExternalProcessor_ProcessServer
	said map[string]*structpb.Value // what Envoy will keep as the request's metadata

	bodiless bool // the request ends with its headers
	comes    bool // its body comes, and waits here for the verdict
	body     body
	trailers bool // it ends with trailers
	responds bool // the answer comes, too, on its way to the client
	reroute  bool // Envoy is to choose the route anew, by what was said
	refused  bool // an answer of the gate's own was sent, and is the last word
}

// nothing is a header that no request has. Envoy chooses a route anew only where a header is changed.
const nothing = "x-tollgate-nothing"

// say adds to the request's metadata, which travels with the verdict.
func (s *stream) say(key, value string) {
	if s.said == nil {
		s.said = map[string]*structpb.Value{}
	}
	s.said[key] = structpb.NewStringValue(value)
}

// head reads the first message: the request's headers.
func (s *stream) head(message *extprocv3.ProcessingRequest) (*exchange.Request, error) {
	headers := message.GetRequestHeaders()
	if headers == nil {
		return nil, errors.New("the first message does not hold the request's headers: Envoy's filter is not configured by this program")
	}
	s.expect(message)
	s.responds = message.GetProtocolConfig().GetResponseBodyMode() == filterv3.ProcessingMode_FULL_DUPLEX_STREAMED
	return newRequest(headers.GetHeaders().GetHeaders(), s.clientAddress()), nil
}

// expect notes what follows a request's headers.
func (s *stream) expect(message *extprocv3.ProcessingRequest) {
	s.bodiless = message.GetRequestHeaders().GetEndOfStream()
	s.comes = !s.bodiless && message.GetProtocolConfig().GetRequestBodyMode() == filterv3.ProcessingMode_FULL_DUPLEX_STREAMED
}

// initial is a value of the gRPC metadata that the stream began with; empty: none.
func (s *stream) initial(key string) string {
	if values := metadata.ValueFromIncomingContext(s.rpc.Context(), key); len(values) == 1 {
		return values[0]
	}
	return ""
}

// routeName is Envoy's name for the route that it chose: see config.Named.
func (s *stream) routeName() string { return s.initial(config.RouteHeader) }

// traceParent is the trace context of the stream: Envoy's span, where it makes one. Empty: none.
func (s *stream) traceParent() string { return s.initial("traceparent") }

func newRequest(headers []*corev3.HeaderValue, address netip.Addr) *exchange.Request {
	request := &exchange.Request{Address: address, Headers: make([]exchange.Header, 0, len(headers))}
	values := joined(headers)
	for _, h := range headers {
		var value string
		value, values = values[:len(h.GetRawValue())], values[len(h.GetRawValue()):]
		switch h.GetKey() {
		case ":method":
			request.Method = value
		case ":path":
			request.Path = value
		}
		request.Headers = append(request.Headers, exchange.Header{Name: h.GetKey(), Value: value})
	}
	return request
}

// joined is the values of headers, one after the other: one copy for all.
func joined(headers []*corev3.HeaderValue) string {
	size := 0
	for _, h := range headers {
		size += len(h.GetRawValue())
	}
	var all strings.Builder
	all.Grow(size)
	for _, h := range headers {
		all.Write(h.GetRawValue())
	}
	return all.String()
}

// clientAddress is where the client is. Where it cannot be read the address is not valid, and rules about
// addresses refuse it.
func (s *stream) clientAddress() netip.Addr {
	address, err := netip.ParseAddr(s.initial(config.AddressHeader))
	if err != nil {
		return netip.Addr{}
	}
	return address.Unmap()
}

// pass sends the verdict that the request may go on, changed. By the call's id, if it has one, the
// tap will find it.
func (s *stream) pass(decision auth.Decision, call string) error {
	s.say(config.VerdictKey, config.VerdictPass)
	if call != "" {
		s.say(config.CallKey, call)
	}
	if s.trailers {
		s.say(config.OnceKey, "1")
		s.reroute = true
	}
	changes := decision.Changes
	if s.reroute {
		changes.Remove = append(changes.Remove, nothing)
	}
	if err := s.verdict(&extprocv3.ProcessingResponse{
		Response: &extprocv3.ProcessingResponse_RequestHeaders{RequestHeaders: &extprocv3.HeadersResponse{
			Response: &extprocv3.CommonResponse{
				HeaderMutation:  mutation(changes.Set, changes.Remove),
				ClearRouteCache: s.reroute,
			},
		}},
	}); err != nil {
		return err
	}
	return s.forward()
}

// refuse sends an answer of the gate's own, once.
func (s *stream) refuse(r *exchange.Refusal) error {
	if s.refused {
		return nil
	}
	s.refused = true
	headers := append([]exchange.Header{{Name: "content-type", Value: "application/json"}}, r.Headers...)
	s.say(config.VerdictKey, config.VerdictRefuse)
	return s.verdict(&extprocv3.ProcessingResponse{
		Response: &extprocv3.ProcessingResponse_ImmediateResponse{ImmediateResponse: &extprocv3.ImmediateResponse{
			Status:  &typev3.HttpStatus{Code: typev3.StatusCode(r.Status)}, //nolint:gosec // an HTTP status
			Headers: mutation(headers, nil),
			Body:    errorBody(r),
			Details: "tollgate_" + r.Code,
		}},
	})
}

// answer begins an answer of the gate's own, in the place of an upstream's. Other than refuse it keeps the
// answer's content-type, and its body can come in pieces.
func (s *stream) answer(status int, headers []exchange.Header) error {
	head := &corev3.HeaderMap{Headers: valuesOf(append([]exchange.Header{{Name: ":status", Value: strconv.Itoa(status)}}, headers...))}
	s.say(config.VerdictKey, config.VerdictAnswer)
	return s.verdict(&extprocv3.ProcessingResponse{
		Response: &extprocv3.ProcessingResponse_StreamedImmediateResponse{StreamedImmediateResponse: &extprocv3.StreamedImmediateResponse{
			Response: &extprocv3.StreamedImmediateResponse_HeadersResponse{HeadersResponse: &extprocv3.HttpHeaders{Headers: head}},
		}},
	})
}

// answerBody sends a piece of that answer's body.
func (s *stream) answerBody(piece []byte, last bool) error {
	for len(piece) > maxPiece {
		if err := s.answerBody(piece[:maxPiece], false); err != nil {
			return err
		}
		piece = piece[maxPiece:]
	}
	return s.send(&extprocv3.ProcessingResponse{
		Response: &extprocv3.ProcessingResponse_StreamedImmediateResponse{StreamedImmediateResponse: &extprocv3.StreamedImmediateResponse{
			Response: &extprocv3.StreamedImmediateResponse_BodyResponse{
				BodyResponse: &extprocv3.StreamedBodyResponse{Body: piece, EndOfStream: last},
			},
		}},
	})
}

// verdict answers Envoy, with all that was said.
func (s *stream) verdict(response *extprocv3.ProcessingResponse) error {
	response.DynamicMetadata = &structpb.Struct{Fields: map[string]*structpb.Value{
		config.MetadataNamespace: structpb.NewStructValue(&structpb.Struct{Fields: s.said}),
	}}
	return s.send(response)
}

// send is how anything is sent to Envoy.
func (s *stream) send(response *extprocv3.ProcessingResponse) error {
	err := s.rpc.Send(response)
	switch status.Code(err) {
	case codes.OK:
		return nil
	case codes.Unavailable, codes.Canceled: // the connection breaks: the stream's context may not know of it yet
		return errGone
	default:
		return fmt.Errorf("sending to Envoy: %w", err)
	}
}

// valuesOf is headers as Envoy has them, in one piece of memory, and their values in another.
func valuesOf(headers []exchange.Header) []*corev3.HeaderValue {
	size := 0
	for _, h := range headers {
		size += len(h.Value)
	}
	list, values, bytes := make([]*corev3.HeaderValue, len(headers)), make([]corev3.HeaderValue, len(headers)), make([]byte, 0, size)
	for i, h := range headers {
		begin := len(bytes)
		bytes = append(bytes, h.Value...)
		values[i].Key, values[i].RawValue = h.Name, bytes[begin:len(bytes):len(bytes)]
		list[i] = &values[i]
	}
	return list
}

func mutation(set []exchange.Header, remove []string) *extprocv3.HeaderMutation {
	m := &extprocv3.HeaderMutation{RemoveHeaders: remove}
	for _, header := range valuesOf(set) {
		m.SetHeaders = append(m.SetHeaders, &corev3.HeaderValueOption{
			Header:       header,
			AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
		})
	}
	return m
}

// errGone is the end of a stream on which more was to come: Envoy has given up the request.
var errGone = errors.New("Envoy has given up the request")

// recv waits for the next message.
func (s *stream) recv() (*extprocv3.ProcessingRequest, error) {
	message, err := s.rpc.Recv()
	if errors.Is(err, io.EOF) {
		return nil, errGone
	}
	return message, err //nolint:wrapcheck // the caller says what was to come
}

// gone tells whether an error came of Envoy having given up the request, which is no fault of the gate.
func (s *stream) gone(err error) bool { return errors.Is(err, errGone) || s.rpc.Context().Err() != nil }

// change sends an attempt on its way, changed.
func (s *stream) change(changes exchange.Changes) error {
	return s.verdict(&extprocv3.ProcessingResponse{
		Response: &extprocv3.ProcessingResponse_RequestHeaders{RequestHeaders: &extprocv3.HeadersResponse{
			Response: &extprocv3.CommonResponse{HeaderMutation: mutation(changes.Set, changes.Remove)},
		}},
	})
}

// said reads from a message what was said of its request before.
func said(message *extprocv3.ProcessingRequest, key string) string {
	return message.GetMetadataContext().GetFilterMetadata()[config.MetadataNamespace].GetFields()[key].GetStringValue()
}

// headerList is Envoy's list of headers.
type headerList []*corev3.HeaderValue

// get returns a header's value, or "".
func (l headerList) get(name string) string {
	for _, h := range l {
		if h.GetKey() == name {
			return string(h.GetRawValue())
		}
	}
	return ""
}

// status is the answer's status; 0 where there is none.
func (l headerList) status() int {
	status, err := strconv.Atoi(l.get(":status"))
	if err != nil {
		return 0
	}
	return status
}
