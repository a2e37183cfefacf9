package share

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"syscall"
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
	since time.Time // idle since
}

// answer is an upstream's answer, whose body is to be read. Who has it must end it.
type answer struct {
	*http.Response

	line    *line
	written chan error // of the request, once it is known
	stays   func() bool
}

// ask sends a request, whose answer comes while ctx lasts.
func (l *lines) ask(ctx context.Context, request *http.Request) (*answer, error) {
	on, err := l.get(ctx)
	if err != nil {
		return nil, err
	}
	a := &answer{line: on, written: make(chan error, 1), stays: context.AfterFunc(ctx, func() { _ = on.Close() })}
	if err := a.send(request); err != nil {
		l.end(a, false)
		return nil, err
	}
	return a, nil
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

// end gives an answer's line back, if all of the answer was read and another call can be made on it.
func (l *lines) end(a *answer, read bool) {
	reusable := read && !a.Close && a.line.in.Buffered() == 0
	if reusable {
		select {
		case err := <-a.written:
			reusable = err == nil
		default: // the upstream wanted to read no more
			reusable = false
		}
	}
	if !a.stays() || !reusable || !l.put(a.line) {
		_ = a.line.Close()
	}
}

// get gives a line on which nothing has come since its last answer: not its end, and nothing that the next call would
// take for its answer.
func (l *lines) get(ctx context.Context) (*line, error) {
	for on := l.pop(); on != nil; on = l.pop() {
		if on.silent() {
			return on, nil
		}
		_ = on.Close()
	}
	connection, err := (&net.Dialer{}).DialContext(ctx, "unix", l.socket)
	if err != nil {
		return nil, fmt.Errorf("connecting to Envoy: %w", err)
	}
	return &line{Conn: connection, in: bufio.NewReaderSize(connection, bufferSize), out: bufio.NewWriterSize(connection, bufferSize)}, nil
}

// pop takes the line that was used last; nil: none is idle.
func (l *lines) pop() *line {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := len(l.idle) - 1
	if last < 0 {
		return nil
	}
	on := l.idle[last]
	l.idle[last], l.idle = nil, l.idle[:last]
	return on
}

// silent tells whether there is nothing to read, without waiting for it.
func (l *line) silent() (silent bool) {
	connection, ok := l.Conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := connection.SyscallConn()
	if err != nil {
		return false
	}
	err = raw.Read(func(file uintptr) bool {
		_, _, err := syscall.Recvfrom(int(file), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		silent = errors.Is(err, syscall.EAGAIN)
		return true
	})
	return silent && err == nil
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
