package takeover

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// yieldWithin is how long an old process may take to yield, with a million counters.
const yieldWithin = 2 * time.Minute

// Successor is the process that takes the place.
type Successor struct {
	State State // of the old one

	connection *grpc.ClientConn
	stream     grpc.ClientStream
	end        context.CancelFunc
}

// Ask asks the process that serves at an address for its place, and returns when it has yielded. Its counts are
// in limits then.
func Ask(ctx context.Context, address string, limits *Limits) (*Successor, error) {
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, fmt.Errorf("asking for the place: %w", err)
	}
	s := &Successor{connection: connection}
	ctx, s.end = context.WithCancel(ctx)
	late := time.AfterFunc(yieldWithin, s.end)
	err = s.ask(ctx, limits)
	if !late.Stop() {
		err = fmt.Errorf("it has not yielded within %s", yieldWithin)
	}
	if err == nil {
		return s, nil
	}
	s.Close()
	if status.Code(errors.Unwrap(err)) == codes.Unimplemented {
		return nil, errors.New("asking for the place: the process that has it is of a version that cannot give it")
	}
	return nil, fmt.Errorf("asking for the place: %w", err)
}

func (s *Successor) ask(ctx context.Context, limits *Limits) (err error) {
	all := &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}
	if s.stream, err = s.connection.NewStream(ctx, all, method); err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	if err := say(s.stream, word{Limits: limits.address}); err != nil {
		return err
	}
	for {
		heard, err := hear(s.stream)
		if err != nil {
			return err
		}
		if heard.State != nil {
			s.State = *heard.State
			return nil
		}
		limits.memory.Import(heard.Counters)
	}
}

// Serve has the old process put this one's socket into its place.
func (s *Successor) Serve(socket string) error {
	if err := say(s.stream, word{Serves: socket}); err != nil {
		return err
	}
	_, err := hear(s.stream)
	return err
}

// Done tells it that nothing more will be asked.
func (s *Successor) Done() {
	_ = say(s.stream, word{Done: true}) // gone is as good
	s.Close()
}

// Close ends the conversation. Before Serve, the old process goes on as if nothing had been.
func (s *Successor) Close() {
	s.end()
	_ = s.connection.Close() // that it was closed is all that can be wrong
}
