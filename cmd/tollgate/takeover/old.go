package takeover

import (
	"slices"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tollgate/extproc/limit"
)

// Old is the process that has the place.
type Old struct {
	// Path is of the Unix socket that is the place.
	Path string

	// Yield sends the counts, lets go of what only one process can have, and gives the state. The limits are those
	// of the new process from then on.
	Yield func(limits limit.Store, send func([]limit.Counter) error) (State, error)

	// Resume takes it all up again.
	Resume func()

	// Leave puts the new process's socket into the place, and goes.
	Leave func(socket string) error

	// Done hears that it has no more questions, or is gone.
	Done func()

	giving sync.Mutex // for good, once it has left
}

// Register adds the service to the gRPC server that Envoy uses.
func (o *Old) Register(g *grpc.Server) { g.RegisterService(description(), o) }

// give is one takeover, from the question to its end.
func (o *Old) give(s grpc.ServerStream) error {
	if !o.giving.TryLock() {
		return status.Error(codes.FailedPrecondition, "another process is taking over, or has done so")
	}
	left, err := o.leave(s)
	if !left {
		o.giving.Unlock()
		return err
	}
	defer o.Done()
	if err := say(s, word{Left: true}); err != nil {
		return err
	}
	_, err = hear(s)
	return err
}

// leave yields and leaves, or resumes.
func (o *Old) leave(s grpc.ServerStream) (left bool, err error) {
	asked, err := hear(s)
	if err != nil {
		return false, err
	}
	limits, err := newRemote(asked.Limits, o.Path) // asked until the process ends
	if err != nil {
		return false, status.Error(codes.InvalidArgument, err.Error())
	}
	serves, err := o.yield(s, limits)
	if err == nil {
		err = o.Leave(serves)
	}
	if err != nil {
		o.Resume()
		_ = limits.Close()
		return false, status.Error(codes.Aborted, err.Error())
	}
	return true, nil
}

// yield tells everything, and waits until the new process serves, and where.
func (o *Old) yield(s grpc.ServerStream, limits limit.Store) (serves string, err error) {
	state, err := o.Yield(limits, func(counters []limit.Counter) error {
		for some := range slices.Chunk(counters, chunk) {
			if err := say(s, word{Counters: some}); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = say(s, word{State: &state})
	}
	if err != nil {
		return "", err
	}
	heard, err := hear(s)
	return heard.Serves, err
}
