package load

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// Answer is when an answer came.
type Answer struct {
	Sent   time.Time
	First  time.Time // of a stream: its first event was there
	End    time.Time
	Events int
	Gaps   []time.Duration // between events; one less than events
}

// connection is one that is kept alive.
type connection struct {
	net.Conn

	reader *bufio.Reader
	buffer [32 << 10]byte
}

func dial(ctx context.Context, address string) (*connection, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	return &connection{Conn: conn, reader: bufio.NewReaderSize(conn, 32<<10)}, nil
}

// send sends a request as it is, and reads its answer into a, whose memory it takes again. Everything but a
// 200 that comes whole is an error.
func (c *connection) send(request []byte, a *Answer) error {
	*a = Answer{Sent: time.Now(), Gaps: a.Gaps[:0]}
	if _, err := c.Write(request); err != nil {
		return fmt.Errorf("sending a request: %w", err)
	}
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return fmt.Errorf("reading an answer: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(response.Body, 512))
		return fmt.Errorf("the answer is %s: %s", response.Status, said)
	}
	streamed := strings.HasPrefix(response.Header.Get("content-type"), "text/event-stream")
	if err := c.read(response.Body, streamed, a); err != nil {
		return fmt.Errorf("reading an answer's body: %w", err)
	}
	return nil
}

// read reads a body to its end.
func (c *connection) read(body io.Reader, streamed bool, a *Answer) error {
	var events eventCounter
	var last time.Time
	for {
		n, err := body.Read(c.buffer[:])
		if n > 0 && streamed {
			if came := events.count(c.buffer[:n]); came > 0 {
				last = a.add(came, last)
			}
		}
		switch {
		case err == io.EOF:
			a.End = time.Now()
			return nil
		case err != nil:
			return err //nolint:wrapcheck // send says what was being done
		}
	}
}

// add notes events that came together. It returns when.
func (a *Answer) add(came int, last time.Time) time.Time {
	now := time.Now()
	if a.Events == 0 {
		a.First, last = now, now
		came--
		a.Events++
	}
	for range came {
		a.Gaps = append(a.Gaps, now.Sub(last))
		last = now
		a.Events++
	}
	return now
}

// eventCounter counts the ends of server-sent events in a stream that is cut anywhere.
type eventCounter struct {
	newline bool // the last byte was the end of a line
}

func (e *eventCounter) count(piece []byte) int {
	ends := 0
	for _, b := range piece {
		switch b {
		case '\r':
		case '\n':
			if e.newline {
				ends++
			}
			e.newline = !e.newline
		default:
			e.newline = false
		}
	}
	return ends
}
