package takeover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"tollgate/extproc/limit"
)

const (
	limitsName = "tollgate.takeover.v1.Limits"

	// answerWithin bounds one question: the other process is on the same machine.
	answerWithin = 2 * time.Second
)

// Limits lets an old process ask the new one's limits: by the same way that Envoy takes, and before that is
// open to it by a listener of their own.
type Limits struct {
	memory *limit.Memory
	store  limit.Store   // which counts there, or with the next process
	ready  chan struct{} // closed when the old one's counts are here

	address string       // of the listener of their own; empty: there is none
	server  *grpc.Server // on it
}

// NewLimits makes a ledger known to other processes.
func NewLimits(ledger *limit.Ledger) *Limits {
	return &Limits{memory: ledger.Memory, store: ledger, ready: make(chan struct{})}
}

// Register adds the limits to the gRPC server that Envoy uses.
func (l *Limits) Register(g *grpc.Server) { g.RegisterService(l.description(), l) }

// Listen answers on a listener, which is at an address, until Close.
func (l *Limits) Listen(listener net.Listener, address string) {
	l.address, l.server = address, grpc.NewServer()
	l.Register(l.server)
	go func() { _ = l.server.Serve(listener) }() // its error is that it was stopped
}

// Close closes the listener; who asks there goes on at the one of Envoy's.
func (l *Limits) Close() {
	if l.server != nil {
		l.server.GracefulStop()
	}
}

// Counted says that all counts are here.
func (l *Limits) Counted() { close(l.ready) }

func (l *Limits) description() *grpc.ServiceDesc {
	return &grpc.ServiceDesc{
		ServiceName: limitsName,
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{
			answering("Reserve", l.ready, l.store.Reserve),
			answering("Check", l.ready, l.store.Check),
			answering("Settle", l.ready, func(ctx context.Context, adjustments []limit.Adjustment) (struct{}, error) {
				return struct{}{}, l.store.Settle(ctx, adjustments)
			}),
		},
	}
}

// answering makes a method of a function. Nobody is answered before ready.
func answering[In, Out any](name string, ready <-chan struct{}, answer func(context.Context, In) (Out, error)) grpc.MethodDesc {
	return grpc.MethodDesc{
		MethodName: name,
		Handler: func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			var asked wrapperspb.BytesValue
			if err := decode(&asked); err != nil {
				return nil, err
			}
			var in In
			if err := json.Unmarshal(asked.GetValue(), &in); err != nil {
				return nil, status.Error(codes.InvalidArgument, err.Error())
			}
			select {
			case <-ready:
			case <-ctx.Done():
				return nil, status.FromContextError(ctx.Err()).Err()
			}
			out, err := answer(ctx, in)
			if errors.Is(err, limit.ErrUnavailable) {
				return nil, status.Error(codes.Unavailable, err.Error())
			} else if err != nil {
				return nil, status.Error(codes.InvalidArgument, err.Error())
			}
			written, err := json.Marshal(out)
			if err != nil {
				return nil, status.Error(codes.Internal, err.Error())
			}
			return wrapperspb.Bytes(written), nil
		},
	}
}

// remote is the limits of the processes that come after this one, as it asks them.
type remote struct{ connection *grpc.ClientConn }

// newRemote finds them at the new process's own address, and when that is no more at the place that is to be
// its own: whoever has it knows them.
func newRemote(own, place string) (*remote, error) {
	dial := func(ctx context.Context, _ string) (net.Conn, error) {
		var dialer net.Dialer
		connection, err := dialer.DialContext(ctx, "unix", own)
		if err != nil {
			connection, err = dialer.DialContext(ctx, "unix", place)
		}
		return connection, err //nolint:wrapcheck // gRPC does
	}
	connection, err := grpc.NewClient("passthrough:///limits", grpc.WithContextDialer(dial),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, fmt.Errorf("asking the limits of the new process: %w", err)
	}
	return &remote{connection}, nil
}

// Reserve implements [limit.Store].
func (r *remote) Reserve(ctx context.Context, charges []limit.Charge) (out limit.Outcome, err error) {
	err = r.ask(ctx, "Reserve", charges, &out)
	return out, err
}

// Check implements [limit.Store].
func (r *remote) Check(ctx context.Context, charges []limit.Charge) (out limit.Outcome, err error) {
	err = r.ask(ctx, "Check", charges, &out)
	return out, err
}

// Settle implements [limit.Store].
func (r *remote) Settle(ctx context.Context, adjustments []limit.Adjustment) error {
	return r.ask(ctx, "Settle", adjustments, &struct{}{})
}

func (r *remote) Close() error { return r.connection.Close() } //nolint:wrapcheck // nobody hears it

// ask asks one question. Where the other process is gone the error is [limit.ErrUnavailable].
func (r *remote) ask(ctx context.Context, name string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	written, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("asking the limits of the new process: %w", err)
	}
	var answer wrapperspb.BytesValue
	err = r.connection.Invoke(ctx, "/"+limitsName+"/"+name, wrapperspb.Bytes(written), &answer)
	switch status.Code(err) { //nolint:exhaustive // all others are of this question alone
	case codes.OK:
	case codes.Unavailable, codes.DeadlineExceeded:
		return fmt.Errorf("%w: %w", limit.ErrUnavailable, err)
	default:
		return fmt.Errorf("asking the limits of the new process: %w", err)
	}
	if err := json.Unmarshal(answer.GetValue(), out); err != nil {
		return fmt.Errorf("asking the limits of the new process: %w", err)
	}
	return nil
}
