package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	filterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
)

// serveNoop answers Envoy's external processing on a Unix socket until ctx ends.
func serveNoop(ctx context.Context, socket string) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "unix", socket)
	if err != nil {
		return fmt.Errorf("listening for Envoy: %w", err)
	}
	server := grpc.NewServer(grpc.MaxConcurrentStreams(1 << 30))
	extprocv3.RegisterExternalProcessorServer(server, noop{})
	defer context.AfterFunc(ctx, server.Stop)()
	if err := server.Serve(listener); err != nil {
		return fmt.Errorf("serving Envoy: %w", err)
	}
	return nil
}

// noop is the least that an external processor can do: it lets everything pass as it is, and ends as soon as
// nothing more can come.
type noop struct {
	extprocv3.UnimplementedExternalProcessorServer
}

// Process implements Envoy's service.
func (noop) Process(rpc extprocv3.ExternalProcessor_ProcessServer) error {
	var comes modes
	for first := true; ; first = false {
		message, err := rpc.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err //nolint:wrapcheck // gRPC's own
		}
		if first {
			comes = modesOf(message)
		}
		if !message.GetObservabilityMode() {
			if err := rpc.Send(proceed(message)); err != nil {
				return err //nolint:wrapcheck // gRPC's own
			}
		}
		if comes.over(message) {
			return nil
		}
	}
}

// modes says what comes after the request's headers.
type modes struct{ request, response bool }

func modesOf(first *extprocv3.ProcessingRequest) modes {
	if first.GetObservabilityMode() {
		return modes{request: true, response: true} // Envoy tells only a gate
	}
	config := first.GetProtocolConfig()
	return modes{
		request:  config.GetRequestBodyMode() != filterv3.ProcessingMode_NONE,
		response: config.GetResponseBodyMode() != filterv3.ProcessingMode_NONE,
	}
}

// over tells whether a message is the last.
func (m modes) over(message *extprocv3.ProcessingRequest) bool {
	switch of := message.GetRequest().(type) {
	case *extprocv3.ProcessingRequest_RequestHeaders:
		return !m.response && (!m.request || of.RequestHeaders.GetEndOfStream())
	case *extprocv3.ProcessingRequest_RequestBody:
		return !m.response && of.RequestBody.GetEndOfStream()
	case *extprocv3.ProcessingRequest_RequestTrailers:
		return !m.response
	case *extprocv3.ProcessingRequest_ResponseHeaders:
		return of.ResponseHeaders.GetEndOfStream()
	case *extprocv3.ProcessingRequest_ResponseBody:
		return of.ResponseBody.GetEndOfStream()
	}
	return true
}

// proceed is the answer that changes nothing.
func proceed(message *extprocv3.ProcessingRequest) *extprocv3.ProcessingResponse {
	switch of := message.GetRequest().(type) {
	case *extprocv3.ProcessingRequest_RequestHeaders:
		return &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_RequestHeaders{RequestHeaders: &extprocv3.HeadersResponse{}}}
	case *extprocv3.ProcessingRequest_RequestBody:
		return &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_RequestBody{RequestBody: same(of.RequestBody)}}
	case *extprocv3.ProcessingRequest_RequestTrailers:
		return &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_RequestTrailers{RequestTrailers: &extprocv3.TrailersResponse{}}}
	case *extprocv3.ProcessingRequest_ResponseHeaders:
		return &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ResponseHeaders{ResponseHeaders: &extprocv3.HeadersResponse{}}}
	case *extprocv3.ProcessingRequest_ResponseBody:
		return &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ResponseBody{ResponseBody: same(of.ResponseBody)}}
	}
	return &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ResponseTrailers{ResponseTrailers: &extprocv3.TrailersResponse{}}}
}

// same gives a piece of a body back, as full duplex wants it.
func same(body *extprocv3.HttpBody) *extprocv3.BodyResponse {
	return &extprocv3.BodyResponse{Response: &extprocv3.CommonResponse{BodyMutation: &extprocv3.BodyMutation{
		Mutation: &extprocv3.BodyMutation_StreamedResponse{StreamedResponse: &extprocv3.StreamedBodyResponse{
			Body: body.GetBody(), EndOfStream: body.GetEndOfStream(),
		}},
	}}}
}
