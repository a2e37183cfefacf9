package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"time"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"tollgate/cmd/tollgate/takeover"
	"tollgate/config"
	"tollgate/extproc"
	"tollgate/xds"
)

const (
	// oldRoutesFor is how long requests can come that Envoy matched before it had the new routes.
	oldRoutesFor = 30 * time.Second

	// lookAgain is how often what must come about is looked at.
	lookAgain = 50 * time.Millisecond
)

// place is what a process serves, as it changes hands: taken from the one before, given to the next one.
type place struct {
	service *service
	socket  string                  // path; empty: it cannot change hands
	end     context.CancelCauseFunc // of serving

	before     *takeover.Successor // the one that yielded to this one; nil: none did
	gateBefore extprocv3.ExternalProcessorClient
	limits     *takeover.Limits // for those before
	next       *config.Config   // to be brought to Envoys, which run another one; nil: they run the same

	gate *grpc.Server  // for the next one, about requests that it does not know
	done chan struct{} // closed when it has no more questions
}

// newPlace asks the process that serves at the address for its place, where that is wanted.
func newPlace(ctx context.Context, s *service) (*place, error) {
	path, isUnix := strings.CutPrefix(s.options.link.listen, "unix://")
	p := &place{service: s, limits: takeover.NewLimits(s.ledger), done: make(chan struct{})}
	if isUnix {
		p.socket = path
	}
	if s.options.takeOver && !isUnix {
		return nil, withHint(errors.New("a place can be taken over on a Unix socket only"), "--listen unix:///PATH, or start without --take-over")
	}
	if s.options.takeOver && answered(path) {
		if err := p.take(ctx); err != nil {
			return nil, err
		}
	}
	p.limits.Counted()
	return p, nil
}

// besides listens at a path beside the place that is nobody's yet.
func (p *place) besides(name string) (listener *net.UnixListener, path string, err error) {
	path = filepath.Join(filepath.Dir(p.socket), name+"."+rand.Text()[:6])
	listener, err = listenAt(path)
	return listener, path, err
}

// take asks for the place.
func (p *place) take(ctx context.Context) error {
	listener, path, err := p.besides("limits")
	if err != nil {
		return err
	}
	p.limits.Listen(listener, path)
	p.before, err = takeover.Ask(ctx, "unix://"+p.socket, p.limits)
	if err != nil {
		p.limits.Close()
		return err //nolint:wrapcheck // it says what was being done
	}
	p.service.log.Info("taking over from another process", zap.String("its_version", p.before.State.Version))
	gate, err := grpc.NewClient(p.before.State.Gate, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)))
	if err != nil {
		p.giveUp()
		return fmt.Errorf("reaching the process before: %w", err)
	}
	p.gateBefore = extprocv3.NewExternalProcessorClient(gate)
	return nil
}

// taken tells whether another process has yielded.
func (p *place) taken() bool { return p.before != nil }

// giveUp has the process before go on, with what only one can have.
func (p *place) giveUp() {
	if !p.taken() {
		return
	}
	if p.service.answers != nil {
		_ = p.service.answers.Close()
	}
	if p.service.admin != nil {
		p.service.admin.close()
	}
	p.before.Close()
	p.limits.Close()
}

// apply brings the configuration into force. Envoys that another process configured keep what they have until
// they have come here: what differs is a change, like an edit.
func (p *place) apply(ctx context.Context, c *config.Config) error {
	s := p.service
	if !p.taken() {
		return s.live.apply(ctx, c)
	}
	state := &p.before.State
	var rests []extproc.KeyRest
	running, err := xds.UnmarshalParts(state.Resources)
	if err == nil {
		err = json.Unmarshal(state.KeyRests, &rests)
	}
	if err != nil {
		return fmt.Errorf("understanding the process before: %w", err)
	}
	resources, err := build(c, s.live.shared)
	if err != nil {
		return err
	}
	if running.Version() != resources.Version() {
		p.next = c
	}
	s.live.adopt(c, running)
	s.gate.RestKeys(rests)
	return nil
}

// listen opens the port for Envoy: where another process has it, by being put into its place.
func (p *place) listen(ctx context.Context) (net.Listener, error) {
	if !p.taken() {
		return listenOn(ctx, p.service.options.link.listen)
	}
	listener, path, err := p.besides("new")
	if err != nil {
		return nil, err
	}
	if err := p.before.Serve(path); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return listener, nil
}

// settle brings Envoys to the configuration, and then lets the process before go.
func (p *place) settle(ctx context.Context) {
	if !p.taken() {
		return
	}
	if p.next == nil {
		p.before.Done()
		return
	}
	s := p.service
	if !await(ctx, func() bool { _, ready := s.control.Ready(); return ready }) {
		return // it is to end
	}
	rests := s.gate.KeyRests()
	if err := s.live.apply(ctx, p.next); err != nil {
		s.log.Error("Envoy stays with the configuration of the process before", zap.Error(err))
	}
	s.gate.RestKeys(rests)
	time.AfterFunc(oldRoutesFor, p.before.Done)
}

// await looks until something is so; false: ctx ended before.
func await(ctx context.Context, so func() bool) bool {
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	for !so() {
		select {
		case <-ctx.Done():
			return false
		case <-again.C:
		}
	}
	return true
}
