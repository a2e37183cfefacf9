// Package shallow has streams wait for Envoy's messages with little on their stacks.
//
// A goroutine's stack is 2, 4 or 8 KB, and more, and what it has grown to it keeps. From gRPC's RecvMsg to where it
// waits is a kilobyte, which is the one that makes 8 KB of 4; reading a message, and an answer in it, is deeper still.
// With thousands of streams that stand open that is most of the memory. So here a stream waits by what is below RecvMsg,
// and what is deep is done on the stack of a coroutine, which it has for its turn: see Receive.
package shallow

import (
	"encoding/binary"
	"errors"
	"io"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
)

// Server is a server whose streams wait so. What they receive is the same as without it, and they end with the same
// codes. The codec and the most bytes of a message are to be those of the gRPC server, whose interceptors, stats handlers
// and logs see nothing of what is received.
func Server(server extprocv3.ExternalProcessorServer, codec encoding.CodecV2, most int) extprocv3.ExternalProcessorServer {
	return &shallow{ExternalProcessorServer: server, codec: codec, most: most, turns: make(turns, mostTurns)}
}

type shallow struct {
	extprocv3.ExternalProcessorServer
	codec encoding.CodecV2
	most  int
	turns turns
}

// Process implements Envoy's service.
func (s *shallow) Process(rpc extprocv3.ExternalProcessor_ProcessServer) error {
	from, ok := grpc.ServerTransportStreamFromContext(rpc.Context()).(transport)
	if ok && (from.RecvCompress() == "" || from.RecvCompress() == encoding.Identity) { // Envoy does not compress, unless it is told to
		rpc = &stream{ExternalProcessor_ProcessServer: rpc, shallow: s, from: from}
	}
	return s.ExternalProcessorServer.Process(rpc) //nolint:wrapcheck // the server's own
}

// transport is what gRPC itself receives from. It promises that to nobody: where a version of gRPC has something
// else, messages are received its own way, and TestSame fails.
type transport interface {
	ReadMessageHeader(header []byte) error
	Read(n int) (mem.BufferSlice, error)
	RecvCompress() string
	WriteStatus(status *status.Status) error
}

// stream is a gRPC stream, but for how it receives.
type stream struct {
	extprocv3.ExternalProcessor_ProcessServer
	shallow *shallow
	from    transport
	prefix  [5]byte // of a message: whether it is compressed, and its length
}

// Recv implements Envoy's service.
func (s *stream) Recv() (*extprocv3.ProcessingRequest, error) {
	message := &extprocv3.ProcessingRequest{}
	if err := s.RecvMsg(message); err != nil {
		return nil, err
	}
	return message, nil
}

// RecvMsg implements gRPC's interface.
func (s *stream) RecvMsg(message any) error {
	if s.from.ReadMessageHeader(s.prefix[:]) != nil {
		return s.ended()
	}
	_, err := s.shallow.turns.take(s, message, nil)
	return err
}

// Receive waits for a stream's next message and has it taken, which tells whether it was the last. The message is
// gone when that returns.
func Receive(rpc extprocv3.ExternalProcessor_ProcessServer, take func(*extprocv3.ProcessingRequest) (last bool)) (last bool, err error) {
	s, ok := rpc.(*stream)
	if !ok {
		message, err := rpc.Recv()
		return err == nil && take(message), err //nolint:wrapcheck // gRPC's own
	}
	if s.from.ReadMessageHeader(s.prefix[:]) != nil { // it is here that streams stand
		return false, s.ended()
	}
	return s.shallow.turns.take(s, nil, take)
}

// ended is gRPC's own word on how a stream has ended: below it, an error stays what the next one gets who reads.
func (s *stream) ended() error {
	return s.ExternalProcessor_ProcessServer.RecvMsg(nil) //nolint:wrapcheck // gRPC's own
}

// read reads a message of which the prefix is there, as gRPC does.
func (s *stream) read(message any) error {
	size := binary.BigEndian.Uint32(s.prefix[1:])
	if int64(size) > int64(s.shallow.most) {
		return s.fail(codes.ResourceExhausted, "a message of %d bytes is larger than the %d that are received", size, s.shallow.most)
	}
	data, err := s.from.Read(int(size))
	if errors.Is(err, io.EOF) {
		return s.fail(codes.Internal, "a message is cut: %v", io.ErrUnexpectedEOF)
	}
	if err != nil {
		return s.ended()
	}
	defer data.Free()
	if s.prefix[0] != 0 {
		return s.fail(codes.Internal, "a message has the format %d on a stream that is not compressed", s.prefix[0])
	}
	if err := s.shallow.codec.Unmarshal(data, message); err != nil {
		return s.fail(codes.Internal, "reading a message: %v", err)
	}
	return nil
}

// fail ends a stream on which something came that is no message: as gRPC does, without waiting for the server's word.
func (s *stream) fail(code codes.Code, format string, args ...any) error {
	said := status.Newf(code, format, args...)
	_ = s.from.WriteStatus(said) // which can fail only where nobody hears it
	return said.Err()
}
