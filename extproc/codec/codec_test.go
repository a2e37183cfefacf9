package codec

import (
	"os"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	filterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

// head is what a real Envoy sends first: see TestHead in package xds.
func head(tb testing.TB) *extprocv3.ProcessingRequest {
	tb.Helper()
	text, err := os.ReadFile("../testdata/head.txtpb")
	if err != nil {
		tb.Fatal(err)
	}
	message := &extprocv3.ProcessingRequest{}
	if err := prototext.Unmarshal(text, message); err != nil {
		tb.Fatal(err)
	}
	return message
}

func strings(fields map[string]string) *structpb.Struct {
	all := map[string]*structpb.Value{}
	for name, value := range fields {
		all[name] = structpb.NewStringValue(value)
	}
	return &structpb.Struct{Fields: map[string]*structpb.Value{"tollgate": structpb.NewStructValue(&structpb.Struct{Fields: all})}}
}

// requests are messages as Envoy sends them.
func requests(tb testing.TB) map[string]*extprocv3.ProcessingRequest {
	tb.Helper()
	first := head(tb)
	first.ProtocolConfig = &extprocv3.ProtocolConfiguration{RequestBodyMode: filterv3.ProcessingMode_FULL_DUPLEX_STREAMED}
	return map[string]*extprocv3.ProcessingRequest{
		"head":                first,
		"the answer's head":   {Request: &extprocv3.ProcessingRequest_ResponseHeaders{ResponseHeaders: head(tb).GetRequestHeaders()}, ObservabilityMode: true},
		"a piece of a body":   {Request: &extprocv3.ProcessingRequest_RequestBody{RequestBody: &extprocv3.HttpBody{Body: make([]byte, 2000)}}},
		"an empty last piece": {Request: &extprocv3.ProcessingRequest_ResponseBody{ResponseBody: &extprocv3.HttpBody{EndOfStream: true}}, MetadataContext: &corev3.Metadata{}},
	}
}

// responses are messages as the gate sends them.
func responses() map[string]*extprocv3.ProcessingResponse {
	headers := []*corev3.HeaderValue{{Key: ":status", RawValue: []byte("200")}, {Key: "content-type", RawValue: []byte("application/json")}}
	pass := &extprocv3.HeadersResponse{Response: &extprocv3.CommonResponse{
		ClearRouteCache: true,
		HeaderMutation: &extprocv3.HeaderMutation{
			SetHeaders:    []*corev3.HeaderValueOption{{Header: headers[1], AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD}},
			RemoveHeaders: []string{"x-api-key", "x-tollgate-nothing"},
		},
	}}
	piece := &extprocv3.StreamedBodyResponse{Body: make([]byte, 70_000), EndOfStream: true}
	body := &extprocv3.BodyResponse{Response: &extprocv3.CommonResponse{BodyMutation: &extprocv3.BodyMutation{
		Mutation: &extprocv3.BodyMutation_StreamedResponse{StreamedResponse: piece},
	}}}
	streamed := func(of *extprocv3.StreamedImmediateResponse) *extprocv3.ProcessingResponse {
		return &extprocv3.ProcessingResponse{
			Response: &extprocv3.ProcessingResponse_StreamedImmediateResponse{StreamedImmediateResponse: of},
		}
	}
	return map[string]*extprocv3.ProcessingResponse{
		"pass": {
			Response:        &extprocv3.ProcessingResponse_RequestHeaders{RequestHeaders: pass},
			DynamicMetadata: strings(map[string]string{"verdict": "pass", "call": "ABCDEFGHIJKLMNOP", "remaining-requests": ""}),
		},
		"the request's body": {Response: &extprocv3.ProcessingResponse_RequestBody{RequestBody: body}},
		"the answer's head":  {Response: &extprocv3.ProcessingResponse_ResponseHeaders{ResponseHeaders: &extprocv3.HeadersResponse{}}},
		"the answer's body":  {Response: &extprocv3.ProcessingResponse_ResponseBody{ResponseBody: body}},
		"an answer": streamed(&extprocv3.StreamedImmediateResponse{Response: &extprocv3.StreamedImmediateResponse_HeadersResponse{
			HeadersResponse: &extprocv3.HttpHeaders{Headers: &corev3.HeaderMap{Headers: headers}},
		}}),
		"its body": streamed(&extprocv3.StreamedImmediateResponse{Response: &extprocv3.StreamedImmediateResponse_BodyResponse{BodyResponse: piece}}),
	}
}

// TestUsual: what is said for each request takes the short way, and means the same.
func TestUsual(t *testing.T) {
	t.Parallel()
	for name, want := range requests(t) {
		got := &extprocv3.ProcessingRequest{}
		if !readRequest(marshal(t, want), got) || !proto.Equal(got, want) {
			t.Errorf("%s is read as %v", name, got)
		}
	}
	for name, want := range responses() {
		bytes, ok := appendResponse(nil, want)
		got := &extprocv3.ProcessingResponse{}
		if err := proto.Unmarshal(bytes, got); err != nil || !ok || !proto.Equal(got, want) {
			t.Errorf("%s is written as %v (%v, %v)", name, got, ok, err)
		}
	}
}

// TestUnusual: all else is the library's.
func TestUnusual(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]proto.Message{
		"trailers": &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestTrailers{RequestTrailers: &extprocv3.HttpTrailers{}}},
		"refusal": &extprocv3.ProcessingResponse{
			Response:        &extprocv3.ProcessingResponse_ImmediateResponse{ImmediateResponse: &extprocv3.ImmediateResponse{Body: []byte("{}")}},
			DynamicMetadata: strings(map[string]string{"verdict": "refuse"}),
		},
		"number":          &extprocv3.ProcessingResponse{DynamicMetadata: &structpb.Struct{Fields: map[string]*structpb.Value{"n": structpb.NewNumberValue(1)}}},
		"another service": structpb.NewStringValue("x"),
	} {
		bytes, err := New().Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		got := want.ProtoReflect().New().Interface()
		if err := New().Unmarshal(bytes, got); err != nil || !proto.Equal(got, want) {
			t.Errorf("%s comes back as %v: %v", name, got, err)
		}
	}
	if err := New().Unmarshal(mem.BufferSlice{mem.SliceBuffer("\xff")}, &extprocv3.ProcessingRequest{}); err == nil {
		t.Error("a broken message is no error")
	}
}

// FuzzRead: whatever bytes come, the library reads the same out of them, or the same error.
func FuzzRead(f *testing.F) {
	for _, m := range requests(f) {
		f.Add(marshal(f, m))
		f.Add(append(marshal(f, m), marshal(f, m)...))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		want, got := &extprocv3.ProcessingRequest{}, &extprocv3.ProcessingRequest{}
		failed := proto.Unmarshal(data, want)
		err := New().Unmarshal(mem.BufferSlice{mem.SliceBuffer(data)}, got)
		if (failed == nil) != (err == nil) {
			t.Fatalf("the error is %v, the library's %v", err, failed)
		}
		if failed == nil && !proto.Equal(want, got) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
	})
}

// FuzzWrite: whatever message is sent, the library reads it as what it was.
func FuzzWrite(f *testing.F) {
	for _, m := range responses() {
		f.Add(marshal(f, m))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		want, got := &extprocv3.ProcessingResponse{}, &extprocv3.ProcessingResponse{}
		if (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(data, want) != nil {
			t.Skip()
		}
		bytes, err := New().Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		if err := proto.Unmarshal(bytes.Materialize(), got); err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(want, got) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
	})
}

func marshal(tb testing.TB, m proto.Message) []byte {
	tb.Helper()
	bytes, err := proto.Marshal(m)
	if err != nil {
		tb.Fatal(err)
	}
	return bytes
}

func BenchmarkRead(b *testing.B) {
	bytes := mem.BufferSlice{mem.SliceBuffer(marshal(b, head(b)))}
	b.ReportAllocs()
	for b.Loop() {
		if err := New().Unmarshal(bytes, &extprocv3.ProcessingRequest{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWrite(b *testing.B) {
	message := responses()["pass"]
	b.ReportAllocs()
	for b.Loop() {
		bytes, err := New().Marshal(message)
		if err != nil {
			b.Fatal(err)
		}
		bytes.Free()
	}
}

func BenchmarkLibrary(b *testing.B) {
	bytes, message := marshal(b, head(b)), responses()["pass"]
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := proto.Unmarshal(bytes, &extprocv3.ProcessingRequest{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("write", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := proto.Marshal(message); err != nil {
				b.Fatal(err)
			}
		}
	})
}
