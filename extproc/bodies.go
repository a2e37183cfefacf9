package extproc

import (
	"fmt"

	filterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
)

// maxPiece is how much of a body goes into one message.
const maxPiece = 256 << 10

// askForBody has Envoy send the request's body, which it keeps until then.
func (s *stream) askForBody() error {
	s.comes = true
	return s.send(&extprocv3.ProcessingResponse{ModeOverride: &filterv3.ProcessingMode{
		RequestBodyMode:     filterv3.ProcessingMode_FULL_DUPLEX_STREAMED,
		RequestTrailerMode:  filterv3.ProcessingMode_SEND, // which that mode demands
		ResponseHeaderMode:  filterv3.ProcessingMode_SKIP,
		ResponseTrailerMode: filterv3.ProcessingMode_SKIP,
	}})
}

// receive reads the request's body to its end, if Envoy sends it. Its error is an *exchange.Refusal
// where the body is too large, or comes too slowly.
func (s *stream) receive() error {
	if !s.comes {
		return nil
	}
	patience := s.wait()
	err := s.receiveAll(patience)
	if !patience.end() {
		if patience.err != nil {
			return patience.err
		}
		return tooSlow() // which has been sent
	}
	return err
}

func (s *stream) receiveAll(patience *patience) error {
	for whole := false; !whole; {
		message, err := s.recv()
		if err != nil {
			return fmt.Errorf("receiving the body: %w", err)
		}
		switch {
		case message.GetRequestBody() != nil:
			chunk := message.GetRequestBody().GetBody()
			s.body.add(chunk)
			patience.came(len(chunk))
			whole = message.GetRequestBody().GetEndOfStream()
		case message.GetRequestTrailers() != nil:
			s.trailers, whole = true, true
		default:
			return fmt.Errorf("Envoy sends %T where the request's body is due", message.GetRequest())
		}
		if s.body.gone {
			return tooLarge(&s.body)
		}
	}
	return nil
}

// forward sends the body on, after the verdict.
func (s *stream) forward() error {
	if !s.comes {
		return nil
	}
	rest := s.body.bytes
	for last := false; !last; {
		piece := rest[:min(len(rest), maxPiece)]
		rest = rest[len(piece):]
		last = len(rest) == 0
		if err := s.send(&extprocv3.ProcessingResponse{
			Response: &extprocv3.ProcessingResponse_RequestBody{RequestBody: bodyPiece(piece, last && !s.trailers)},
		}); err != nil {
			return err
		}
	}
	if s.trailers {
		return s.send(&extprocv3.ProcessingResponse{
			Response: &extprocv3.ProcessingResponse_RequestTrailers{RequestTrailers: &extprocv3.TrailersResponse{}},
		})
	}
	return nil
}

// letHeaders lets the answer's headers by, without those named.
func (s *stream) letHeaders(without ...string) error {
	return s.send(&extprocv3.ProcessingResponse{
		Response: &extprocv3.ProcessingResponse_ResponseHeaders{ResponseHeaders: &extprocv3.HeadersResponse{
			Response: &extprocv3.CommonResponse{HeaderMutation: mutation(nil, without)},
		}},
	})
}

// letBody sends a piece of the answer's body to the client.
func (s *stream) letBody(piece []byte, last bool) error {
	return s.send(&extprocv3.ProcessingResponse{
		Response: &extprocv3.ProcessingResponse_ResponseBody{ResponseBody: bodyPiece(piece, last)},
	})
}

// letTrailers lets the answer's trailers by.
func (s *stream) letTrailers() error {
	return s.send(&extprocv3.ProcessingResponse{
		Response: &extprocv3.ProcessingResponse_ResponseTrailers{ResponseTrailers: &extprocv3.TrailersResponse{}},
	})
}

func bodyPiece(piece []byte, last bool) *extprocv3.BodyResponse {
	return &extprocv3.BodyResponse{Response: &extprocv3.CommonResponse{BodyMutation: &extprocv3.BodyMutation{
		Mutation: &extprocv3.BodyMutation_StreamedResponse{
			StreamedResponse: &extprocv3.StreamedBodyResponse{Body: piece, EndOfStream: last},
		},
	}}}
}
