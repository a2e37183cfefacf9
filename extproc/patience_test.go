package extproc

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"

	"tollgate/extproc/exchange"
)

// sender is Envoy's end of a stream: it sends pieces of a body, and ends the stream when it is refused.
type sender struct {
	grpc.ServerStream

	pieces  chan *extprocv3.ProcessingRequest
	refused chan struct{}
}

func (s *sender) Context() context.Context { return context.Background() }

func (s *sender) Recv() (*extprocv3.ProcessingRequest, error) {
	select {
	case piece := <-s.pieces:
		return piece, nil
	case <-s.refused:
		return nil, io.EOF
	}
}

func (s *sender) Send(response *extprocv3.ProcessingResponse) error {
	if response.GetImmediateResponse().GetStatus().GetCode() == 408 {
		close(s.refused)
	}
	return nil
}

func (s *sender) piece(size int, last bool) {
	body := &extprocv3.HttpBody{Body: make([]byte, size), EndOfStream: last}
	select {
	case s.pieces <- &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestBody{RequestBody: body}}:
	case <-s.refused:
	}
}

// TestSlowBodies: which bodies are waited for, and for how long the others are.
func TestSlowBodies(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		send func(s *sender)
		ends time.Duration // when it is refused; 0: it is not
	}{
		"at once":                  {func(s *sender) { s.piece(1000, true) }, 0},
		"never":                    {func(*sender) {}, time.Minute},
		"a beginning":              {func(s *sender) { s.piece(10*slowest, false) }, time.Minute},
		"much, and then no more":   {func(s *sender) { s.piece(60<<20, false) }, time.Minute},
		"small, within the minute": {func(s *sender) { s.every(10*time.Second, 100, 5) }, 0},
		"fast enough, for an hour": {func(s *sender) { s.every(time.Second, slowest+1, 3600) }, 0},
		"half as fast as it must":  {func(s *sender) { s.every(time.Second, slowest/2, 3600) }, 2 * time.Minute},
		"much, and then trickling": {func(s *sender) { s.piece(30<<20, false); s.every(time.Second, 1, 3600) }, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				rpc := &sender{pieces: make(chan *extprocv3.ProcessingRequest), refused: make(chan struct{})}
				s := &stream{rpc: rpc, comes: true, body: body{budget: &budget{}, most: maxAsked}}
				began := time.Now()
				sent := make(chan struct{})
				go func() {
					defer close(sent)
					test.send(rpc)
				}()
				err := s.receive()
				refusal, refused := err.(*exchange.Refusal) //nolint:errorlint // it is not wrapped
				took := time.Since(began)
				<-sent
				switch {
				case test.ends == 0 && err != nil:
					t.Errorf("after %s: %v", took, err)
				case test.ends > 0 && (!refused || refusal.Status != 408):
					t.Errorf("after %s: %v", took, err)
				case test.ends > 0 && (took < test.ends-2*time.Second || took > test.ends+2*time.Second):
					t.Errorf("it was refused after %s, want %s", took, test.ends)
				case refused && s.refuse(refusal) != nil:
					t.Error("it was refused twice")
				}
			})
		})
	}
}

// every sends a number of pieces, and waits before each.
func (s *sender) every(wait time.Duration, size, times int) {
	for n := 1; n <= times; n++ {
		time.Sleep(wait) //nolint:forbidigo // the bubble's clock, not the world's
		s.piece(size, n == times)
	}
}
