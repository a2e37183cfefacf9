package shallow_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"testing"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip" // so that gRPC reads it
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	"tollgate/extproc/codec"
	"tollgate/extproc/shallow"
)

// most is how many bytes a message may have here.
const most = 1000

// call is what a client says, frame by frame, and how it ends.
type call struct {
	headers []hpack.HeaderField
	sent    []byte
	end     func(*http2.Framer, net.Conn) error
	gone    bool // what the client is told is not asked
	gRPCs   bool // it is received gRPC's own way
}

// TestSame: whatever a client sends, a stream receives the same as without this package, it ends with the same
// code, and the client is told the same.
func TestSame(t *testing.T) {
	t.Parallel()
	hello, large := framed(0, body(t, 100)), body(t, most)
	for name, c := range map[string]call{
		"whole":                   {sent: slices.Concat(hello, framed(0, nil), hello), end: endStream},
		"nothing":                 {end: endStream},
		"cancelled":               {sent: hello, end: reset, gone: true},
		"too late":                {end: wait, gone: true, headers: []hpack.HeaderField{{Name: "grpc-timeout", Value: "50m"}}},
		"the connection is lost":  {sent: hello, end: hangUp, gone: true},
		"too large":               {sent: framed(0, large), end: wait},
		"a cut prefix":            {sent: slices.Concat(hello, hello[:3]), end: endStream},
		"a prefix alone":          {sent: slices.Concat(hello, hello[:5]), end: endStream},
		"a cut message":           {sent: slices.Concat(hello, hello[:9]), end: endStream},
		"cancelled in a message":  {sent: slices.Concat(hello, hello[:9]), end: reset, gone: true},
		"no message":              {sent: framed(0, []byte("these bytes")), end: wait},
		"compressed, too large":   {sent: framed(1, large), end: wait},
		"compressed, then gone":   {sent: slices.Concat(hello, framed(1, body(t, 100))[:9]), end: reset, gone: true},
		"of an unknown format":    {sent: framed(7, body(t, 100)), end: wait},
		"identity":                {sent: hello, end: endStream, headers: []hpack.HeaderField{{Name: "grpc-encoding", Value: "identity"}}},
		"said to be compressed":   {sent: framed(1, body(t, 100)), end: wait},
		"compressed":              {sent: framed(1, zipped(t, body(t, 100))), end: endStream, headers: []hpack.HeaderField{{Name: "grpc-encoding", Value: "gzip"}}, gRPCs: true},
		"compressed and no gzip":  {sent: hello[:5], end: endStream, headers: []hpack.HeaderField{{Name: "grpc-encoding", Value: "gzip"}}, gRPCs: true},
		"a message in two frames": {sent: slices.Concat(hello, hello[:9]), end: rest(hello[9:])},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := &recorder{}
			want := c.on(t, server, server)
			server = &recorder{}
			got := c.on(t, server, shallow.Server(server, codec.New(), most))
			if got != want {
				t.Errorf("it comes to\n%+v, and with gRPC's own way to\n%+v", got, want)
			}
			if server.gRPCs != c.gRPCs {
				t.Errorf("received gRPC's own way: %t. Where this version of gRPC receives from something else, streams have twice the stack: see transport", server.gRPCs)
			}
		})
	}
}

// outcome is what came of a call.
type outcome struct {
	received string // by the server, one message after the other
	ended    codes.Code
	eof      bool
	told     string // the status that the client is told
}

// recorder is a server that receives what comes, and has nothing to say to it.
type recorder struct {
	outcome outcome
	gRPCs   bool // it receives gRPC's own way

	came  sync.Once
	first chan struct{} // closed when the first message has come, or none will
	done  chan struct{}
}

func (r *recorder) Process(rpc extprocv3.ExternalProcessor_ProcessServer) error {
	defer close(r.done)
	defer r.came.Do(func() { close(r.first) })
	_, r.gRPCs = rpc.(*grpc.GenericServerStream[extprocv3.ProcessingRequest, extprocv3.ProcessingResponse])
	for {
		message, err := rpc.Recv()
		if err != nil {
			r.outcome.ended, r.outcome.eof = status.Code(err), err == io.EOF //nolint:errorlint // gRPC has it bare
			if r.outcome.ended == codes.DeadlineExceeded {
				r.outcome.ended = codes.Canceled // of gRPC's two clocks for a deadline either can be first
			}
			return nil
		}
		r.outcome.received += message.String() + "\n"
		r.came.Do(func() { close(r.first) })
	}
}

// on makes the call to a server, which records.
func (c *call) on(t *testing.T, record *recorder, processor extprocv3.ExternalProcessorServer) outcome {
	t.Helper()
	record.first, record.done = make(chan struct{}), make(chan struct{})
	listener := bufconn.Listen(1 << 16)
	server := grpc.NewServer(grpc.ForceServerCodecV2(codec.New()), grpc.MaxRecvMsgSize(most))
	extprocv3.RegisterExternalProcessorServer(server, processor)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	connection, err := listener.DialContext(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	told, err := c.make(connection, record.first)
	if err != nil {
		t.Fatal(err)
	}
	<-record.done
	record.outcome.told = told
	return record.outcome
}

// make makes the call, and returns the status that it ends with, or how it was reset.
func (c *call) make(connection net.Conn, first <-chan struct{}) (told string, err error) {
	framer := http2.NewFramer(connection, connection)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, field := range append([]hpack.HeaderField{
		{Name: ":method", Value: "POST"},
		{Name: ":scheme", Value: "http"},
		{Name: ":authority", Value: "here"},
		{Name: ":path", Value: extprocv3.ExternalProcessor_Process_FullMethodName},
		{Name: "content-type", Value: "application/grpc"},
		{Name: "te", Value: "trailers"},
	}, c.headers...) {
		_ = encoder.WriteField(field) // to memory
	}
	_, err = io.WriteString(connection, http2.ClientPreface)
	if err = errors.Join(err,
		framer.WriteSettings(),
		framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true}),
		framer.WriteData(1, false, c.sent),
	); err != nil {
		return "", err
	}
	if c.gone {
		<-first // with the end on its heels it may be taken or not
		return "", c.end(framer, connection)
	}
	if err := c.end(framer, connection); err != nil {
		return "", err
	}
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return "", err
		}
		switch frame := frame.(type) {
		case *http2.RSTStreamFrame:
			return frame.ErrCode.String(), nil
		case *http2.MetaHeadersFrame:
			if i := slices.IndexFunc(frame.Fields, func(f hpack.HeaderField) bool { return f.Name == "grpc-status" }); i >= 0 {
				return frame.Fields[i].Value, nil
			}
		}
	}
}

func endStream(framer *http2.Framer, _ net.Conn) error { return framer.WriteData(1, true, nil) }
func reset(framer *http2.Framer, _ net.Conn) error {
	return framer.WriteRSTStream(1, http2.ErrCodeCancel)
}
func hangUp(_ *http2.Framer, connection net.Conn) error { return connection.Close() }
func wait(*http2.Framer, net.Conn) error                { return nil }

func rest(sent []byte) func(*http2.Framer, net.Conn) error {
	return func(framer *http2.Framer, _ net.Conn) error { return framer.WriteData(1, true, sent) }
}

// framed is a message as gRPC writes it.
func framed(compressed byte, message []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{compressed}, uint32(len(message))), message...)
}

// body is a message with a body of n bytes.
func body(t *testing.T, n int) []byte {
	t.Helper()
	message, err := proto.Marshal(&extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestBody{
		RequestBody: &extprocv3.HttpBody{Body: make([]byte, n)},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return message
}

func zipped(t *testing.T, message []byte) []byte {
	t.Helper()
	var zip bytes.Buffer
	w := gzip.NewWriter(&zip)
	if _, err := w.Write(message); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return zip.Bytes()
}
