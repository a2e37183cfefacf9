package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"tollgate/cmd/tollgate/takeover"
	"tollgate/envoy"
	"tollgate/extproc/limit"
)

const (
	// moveWithin is how long Envoy may take to open streams at the next process alone: by itself, since a stream
	// that it opens just when it is told to go elsewhere (GOAWAY) would be lost.
	moveWithin = envoy.GateAge + 2*time.Second

	// lingerWithin bounds how long a process that was replaced stays for the sake of streams that are under way.
	lingerWithin = time.Hour

	// resumeWithin bounds how long a process waits for what it had yielded.
	resumeWithin = 5 * time.Second
)

// errTakenOver is why a process ends that another one has replaced.
var errTakenOver = errors.New("another process has taken over")

// register lets the next process ask.
func (p *place) register(server *grpc.Server) {
	if p.socket == "" {
		return
	}
	p.limits.Register(server)
	old := &takeover.Old{Path: p.socket, Yield: p.yield, Resume: p.resume, Leave: p.leave, Done: func() { close(p.done) }}
	old.Register(server)
}

// yield hands on the counts, and lets go of all that only one process can have.
func (p *place) yield(limits limit.Store, send func([]limit.Counter) error) (takeover.State, error) {
	s := p.service
	s.log.Info("another process is taking over")
	var err error
	for some := range s.ledger.Memory.Export(true) {
		if err = send(some); err != nil {
			break
		}
	}
	s.live.mu.Lock() // no change of the configuration until it has, or this one resumes
	if err != nil {
		return takeover.State{}, err
	}
	state := takeover.State{Version: version}
	var alsoErr error
	state.Resources, err = s.control.InForce().Marshal()
	state.KeyRests, alsoErr = json.Marshal(s.gate.KeyRests())
	if err = errors.Join(err, alsoErr, s.answers.lend(), p.serveGate(&state)); err != nil {
		return state, err
	}
	s.admin.close()
	return state, send(s.ledger.Move(limits))
}

// serveGate answers the next process.
func (p *place) serveGate(state *takeover.State) error {
	listener, path, err := p.besides("gate")
	if err != nil {
		return err
	}
	state.Gate = "unix://" + path
	p.gate = newGRPCServer()
	extprocv3.RegisterExternalProcessorServer(p.gate, p.service.gate)
	go func() { _ = p.gate.Serve(listener) }() // its error is that it was stopped
	return nil
}

// resume goes on as before: the other process did not get there.
func (p *place) resume() {
	s := p.service
	s.log.Error("the other process did not get so far as to take over; this one goes on")
	if p.gate != nil {
		p.gate.Stop()
	}
	s.ledger.Stay()
	ctx, cancel := context.WithTimeout(context.Background(), resumeWithin)
	defer cancel()
	var err error
	if !await(ctx, func() bool { // the other process may be just ending
		err = errors.Join(s.answers.takeBack(), s.admin.open(ctx))
		return err == nil
	}) {
		s.log.Error("going on without", zap.Error(err))
	}
	s.live.mu.Unlock()
}

// leave puts the next process into the place, and ends serving.
func (p *place) leave(socket string) error {
	if err := os.Rename(socket, p.socket); err != nil { // in one step: who connects reaches this one or the next
		return fmt.Errorf("giving the place: %w", err)
	}
	p.end(errTakenOver)
	p.service.live.mu.Unlock()
	return nil
}

// handOn ends a process that was replaced, when all that is under way has ended. Streams lose nothing by its
// staying, so it stays for as long as they do.
func (p *place) handOn(server *grpc.Server, noMoreDiscovery func()) {
	log := p.service.log
	ctx, cancel := drainTime(context.Background(), lingerWithin)
	defer cancel()
	log.Info("another process has taken over; calls under way end here", zap.Duration("within", lingerWithin))
	select {
	case <-time.After(moveWithin):
	case <-ctx.Done():
	}
	noMoreDiscovery()
	endCalls(ctx, log, server)
	select {
	case <-p.done:
	case <-ctx.Done():
	}
	await(ctx, func() bool { return p.service.gate.Waiting() == 0 })
	endCalls(ctx, log, p.gate)
}
