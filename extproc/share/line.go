package share

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	// idleWithin ends a line on which no call was made for so long, before Envoy does.
	idleWithin = 30 * time.Second

	// mostIdle is how many lines wait for the next call.
	mostIdle = 1000

	// atOnce is how much can be written to a Unix socket that nobody reads yet. More is written while the answer is
	// waited for: an upstream may answer before it has read all.
	atOnce = 64 << 10

	bufferSize = 16 << 10
)

// lines are connections to Envoy, with one call at a time on each. Other than net/http's transport they have no
// goroutines that hand requests and answers on: who makes a call writes and reads itself, which takes half the time.
type lines struct {
	socket string

	mu     sync.Mutex
	idle   []*line // what was used last is last
	reaper *time.Timer
	closed bool
}

type line struct {
	net.Conn

	in    *bufio.Reader
	out   *bufio.Writer
	since time.Time // idle since; zero: it is new
}

// answer is an upstream's answer, whose body is to be read. Who has it must end it.
type answer struct {
	*http.Response

	line    *line
	written chan error // of the request; full once it is known
	stays   func() bool
}

// ask sends a request, whose answer comes while ctx lasts. A line that Envoy has closed meanwhile shows when it is
// written to: another is taken.
func (l *lines) ask(ctx context.Context, request *http.Request) (*answer, error) {
	for {
		on, err := l.get(ctx)
		if err != nil {
			return nil, err
		}
		a := &answer{line: on, written: make(chan error, 1), stays: context.AfterFunc(ctx, func() { _ = on.Close() })}
		if err = a.send(request); err == nil {
			return a, nil
		}
		l.end(a, false)
		if on.since.IsZero() || !a.unwritten() || ctx.Err() != nil {
			return nil, err
		}
		if request.Body, err = request.GetBody(); err != nil {
			return nil, fmt.Errorf("asking once more: %w", err)
		}
	}
}

// send writes the request and reads the answer's head.
func (a *answer) send(request *http.Request) (err error) {
	if request.ContentLength > atOnce {
		go a.write(request)
	} else {
		a.write(request)
	}
	for a.Response == nil || a.StatusCode < http.StatusOK { // 100 Continue, 103 Early Hints
		if a.Response, err = http.ReadResponse(a.line.in, request); err != nil {
			return fmt.Errorf("reading an answer: %w", err)
		}
	}
	return nil
}

func (a *answer) write(request *http.Request) {
	err := request.Write(a.line.out)
	if err == nil {
		err = a.line.out.Flush()
	}
	a.written <- err
}

// unwritten tells whether the request is known not to have gone out whole.
func (a *answer) unwritten() bool {
	select {
	case err := <-a.written:
		return err != nil
	default:
		return false
	}
}

// end gives an answer's line back, if all of the answer was read and another call can be made on it.
func (l *lines) end(a *answer, read bool) {
	reusable := read && !a.Close && a.line.in.Buffered() == 0
	if reusable {
		select {
		case err := <-a.written:
			reusable = err == nil
		default: // the upstream wanted to know no more
			reusable = false
		}
	}
	if !a.stays() || !reusable || !l.put(a.line) {
		_ = a.line.Close()
	}
}

func (l *lines) get(ctx context.Context) (*line, error) {
	l.mu.Lock()
	if last := len(l.idle) - 1; last >= 0 {
		on := l.idle[last]
		l.idle[last], l.idle = nil, l.idle[:last]
		l.mu.Unlock()
		return on, nil
	}
	l.mu.Unlock()
	connection, err := (&net.Dialer{}).DialContext(ctx, "unix", l.socket)
	if err != nil {
		return nil, fmt.Errorf("connecting to Envoy: %w", err)
	}
	return &line{Conn: connection, in: bufio.NewReaderSize(connection, bufferSize), out: bufio.NewWriterSize(connection, bufferSize)}, nil
}

func (l *lines) put(on *line) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.idle) == mostIdle {
		return false
	}
	on.since = time.Now()
	l.idle = append(l.idle, on)
	if len(l.idle) == 1 {
		l.reapLater()
	}
	return true
}

// reapLater has the lines looked at. The caller holds the lock.
func (l *lines) reapLater() {
	if l.reaper == nil {
		l.reaper = time.AfterFunc(idleWithin, func() { l.reap(time.Now()) })
		return
	}
	l.reaper.Reset(idleWithin)
}

// reap closes the lines that have been idle for too long.
func (l *lines) reap(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := 0
	for old < len(l.idle) && now.Sub(l.idle[old].since) >= idleWithin {
		_ = l.idle[old].Close()
		old++
	}
	l.idle = append(l.idle[:0:0], l.idle[old:]...)
	if len(l.idle) > 0 {
		l.reapLater()
	}
}

// close closes the lines that are idle, and each that becomes so.
func (l *lines) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, on := range l.idle {
		_ = on.Close()
	}
	l.idle = nil
}
