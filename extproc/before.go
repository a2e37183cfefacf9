package extproc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc/metadata"

	"tollgate/config"
)

// Waiting is how many calls wait for their tap.
func (g *Gate) Waiting() int { return g.handoff.len() }

// knows tells whether a stream can be handled here. Where this process took the place of another one, Envoy asks
// it for a while about what only that one knows: a call whose tap comes, and routes of a configuration that Envoy
// still runs.
func (g *Gate) knows(s *stream, first *extprocv3.ProcessingRequest) bool {
	isTap := first.GetObservabilityMode() && s.initial(config.UpstreamHeader) == ""
	if isTap {
		id := s.initial(config.CallHeader)
		return id == "" || g.handoff.has(id)
	}
	name := s.routeName()
	if name == "" {
		return true
	}
	path := headerList(first.GetRequestHeaders().GetHeaders().GetHeaders()).get(":path")
	return g.table.Load().find(cmp.Or(said(first, config.SaidRouteKey), name), path) != nil
}

// relay hands a stream on, both ways. Where the other end fails, so does this one: a gate stays closed.
func relay(gate extprocv3.ExternalProcessorClient, from extprocv3.ExternalProcessor_ProcessServer, first *extprocv3.ProcessingRequest) error {
	ctx, cancel := context.WithCancel(from.Context())
	defer cancel()
	incoming, _ := metadata.FromIncomingContext(ctx)
	to, err := gate.Process(metadata.NewOutgoingContext(ctx, incoming.Copy()))
	if err != nil {
		return fmt.Errorf("handing a request to the process before: %w", err)
	}
	go func() {
		err := to.Send(first)
		for err == nil {
			var message *extprocv3.ProcessingRequest
			if message, err = from.Recv(); err == nil {
				err = to.Send(message)
			}
		}
		if errors.Is(err, io.EOF) {
			_ = to.CloseSend()
		} // else ctx ends it, as it does Envoy's stream
	}()
	for {
		answer, err := to.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = from.Send(answer)
		}
		if err != nil {
			return err //nolint:wrapcheck // a status of the other process, or of Envoy's stream
		}
	}
}
