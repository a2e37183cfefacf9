// Package codec turns Envoy's external-processing messages into bytes and back, for gRPC: what a request costs
// in Go is to a good part this, done by reflection.
//
// It knows by heart what Envoy and the gate say to each other for each request (headers, bodies, metadata of
// strings). Every other message, and every message that is not written as usual, is the protobuf library's: there
// is no message that one of them reads and the other does not, nor one that they read differently (FuzzRead,
// FuzzWrite).
package codec

import (
	"fmt"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc/encoding"
	protocodec "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// codec is gRPC's codec for protobuf, with these messages apart.
type codec struct{ encoding.CodecV2 }

// New returns the codec for a server: see grpc.ForceServerCodecV2. It is right for all services.
func New() encoding.CodecV2 { return codec{encoding.GetCodecV2(protocodec.Name)} }

// Marshal implements gRPC's interface.
func (c codec) Marshal(message any) (mem.BufferSlice, error) {
	response, ok := message.(*extprocv3.ProcessingResponse)
	if !ok {
		return c.CodecV2.Marshal(message) //nolint:wrapcheck // gRPC's own
	}
	pool := mem.DefaultBufferPool()
	buffer := pool.Get(sizeHint(response))
	bytes, ok := appendResponse((*buffer)[:0], response)
	if !ok {
		pool.Put(buffer)
		return c.CodecV2.Marshal(message) //nolint:wrapcheck // gRPC's own
	}
	*buffer = bytes
	return mem.BufferSlice{mem.NewBuffer(buffer, pool)}, nil
}

// Unmarshal implements gRPC's interface. What it reads are parts of one copy of the bytes.
func (c codec) Unmarshal(data mem.BufferSlice, message any) error {
	request, ok := message.(*extprocv3.ProcessingRequest)
	if !ok {
		return c.CodecV2.Unmarshal(data, message) //nolint:wrapcheck // gRPC's own
	}
	bytes := data.Materialize()
	if readRequest(bytes, request) {
		return nil
	}
	if err := proto.Unmarshal(bytes, request); err != nil {
		return fmt.Errorf("reading Envoy's message: %w", err)
	}
	return nil
}
