package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// connectingAtOnce is how many connections are being made at any time.
const connectingAtOnce = 50

// Held are streams that are open at once, for as long as they last.
type Held struct {
	conns   []*connection
	events  atomic.Int64
	reading sync.WaitGroup
	broken  atomic.Bool
}

// Hold opens n streams, and returns when each has had its first event.
func Hold(ctx context.Context, address string, n int, numbers *atomic.Int64, request Request) (*Held, error) {
	h := &Held{conns: make([]*connection, n)}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(connectingAtOnce)
	for i := range n {
		group.Go(func() error {
			c, err := dial(ctx, address)
			if err != nil {
				return err
			}
			h.conns[i] = c
			return h.open(c, request(nil, numbers.Add(1)))
		})
	}
	if err := group.Wait(); err != nil {
		h.Close()
		return nil, fmt.Errorf("opening %d streams: %w", n, err)
	}
	return h, nil
}

// open sends a request, waits for its first event, and has the others read.
func (h *Held) open(c *connection, request []byte) error {
	if _, err := c.Write(request); err != nil {
		return fmt.Errorf("sending a request: %w", err)
	}
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return fmt.Errorf("reading an answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(response.Body, 512))
		_ = response.Body.Close()
		return fmt.Errorf("the answer is %s: %s", response.Status, said)
	}
	var events eventCounter
	read := func() (int, error) {
		n, err := response.Body.Read(c.buffer[:])
		h.events.Add(int64(events.count(c.buffer[:n])))
		return n, err //nolint:wrapcheck // it is only looked at
	}
	n, err := read()
	if n == 0 {
		_ = response.Body.Close()
		return fmt.Errorf("reading a stream's first event: %w", err)
	}
	h.reading.Go(func() {
		defer func() { _ = response.Body.Close() }()
		for err == nil { // else it has come as a whole
			_, err = read()
		}
		if errors.Is(err, io.EOF) {
			h.broken.Store(true)
		}
	})
	return nil
}

// Events is how many have come by now.
func (h *Held) Events() int64 { return h.events.Load() }

// Ended tells whether a stream has.
func (h *Held) Ended() bool { return h.broken.Load() }

// Close ends the streams.
func (h *Held) Close() {
	for _, c := range h.conns {
		if c != nil {
			_ = c.Close()
		}
	}
	h.reading.Wait()
}
