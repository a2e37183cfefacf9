// Package takeover is how a process that serves Envoy gives its place to a newer one, over the Unix socket
// that it serves on. The words are JSON, so that versions may differ.
//
//  1. The new process makes what does not need the old one, and asks: [Ask]. It says where its limits can be
//     asked ([Limits]).
//  2. The old one tells its counts, while it goes on counting, and those that have changed meanwhile at a moment
//     from which on its limits are the new one's. It lets go of what only one process can have, tells its [State],
//     and goes on serving.
//  3. The new one takes up the rest, listens on a socket of its own, and says where: [Successor.Serve]. The old one
//     renames that socket to the place, in one step, and leaves. Where either fails before, the old one goes on as
//     if nothing had been.
//  4. Envoy connects to the new one, and the old one answers what is under way. The new one sends to it what only
//     the old one can know (State.Gate), and says when nothing more will come: [Successor.Done].
package takeover

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"tollgate/extproc/limit"
)

const (
	serviceName = "tollgate.takeover.v1.Place"
	method      = "/" + serviceName + "/Take"

	// chunk is how many counters travel in one message: well below gRPC's 4 MiB.
	chunk = 500
)

// State is what an old process tells the new one, beside its counts.
type State struct {
	Version   string // of the program
	Gate      string // unix:///PATH where it can still be asked about requests that it knows
	Resources []byte // what Envoy runs (xds.Parts)
	KeyRests  []byte // how upstreams' keys rest (extproc.KeyRest)
}

// word is what the two say to each other, one thing at a time.
type word struct {
	Limits   string          `json:",omitempty"` // new: path of the socket where its limits can be asked
	Counters []limit.Counter `json:",omitempty"` // old
	State    *State          `json:",omitempty"` // old: after its counters
	Serves   string          `json:",omitempty"` // new: path of the socket that is to be in the place
	Left     bool            `json:",omitempty"` // old: it is there
	Done     bool            `json:",omitempty"` // new
}

// stream is either end of the conversation.
type stream interface {
	SendMsg(message any) error
	RecvMsg(message any) error
}

func say(s stream, w word) error {
	written, err := json.Marshal(w)
	if err != nil {
		return fmt.Errorf("writing to the other process: %w", err)
	}
	if err := s.SendMsg(wrapperspb.Bytes(written)); err != nil && !errors.Is(err, io.EOF) { // whose reason hear tells
		return fmt.Errorf("writing to the other process: %w", err)
	}
	return nil
}

func hear(s stream) (word, error) {
	var message wrapperspb.BytesValue
	var w word
	err := s.RecvMsg(&message)
	if err == nil {
		err = json.Unmarshal(message.GetValue(), &w)
	}
	if err != nil {
		return word{}, fmt.Errorf("hearing from the other process: %w", err)
	}
	return w, nil
}

// description is the service, for an [Old].
func description() *grpc.ServiceDesc {
	return &grpc.ServiceDesc{
		ServiceName: serviceName,
		HandlerType: (*any)(nil),
		Streams: []grpc.StreamDesc{{
			StreamName: "Take", ServerStreams: true, ClientStreams: true,
			Handler: func(old any, s grpc.ServerStream) error {
				o, ok := old.(*Old)
				if !ok {
					return status.Error(codes.Internal, "bug: the service is somebody else's")
				}
				return o.give(s)
			},
		}},
	}
}
