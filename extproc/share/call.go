package share

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"tollgate/config"
)

const (
	// maxAnswer bounds what is kept of one answer, and maxHeld of all that are under way.
	maxAnswer = 64 << 20
	maxHeld   = 512 << 20

	// pieceSize is how much is read at once.
	pieceSize = 32 << 10
)

// The errors of a call.
var (
	// ErrNoWay means that the call never reached the upstream, because Envoy has no listener for it.
	ErrNoWay = errors.New("Envoy does not take shared calls")

	// ErrTooLarge means that the answer is larger than can be kept for those who follow.
	ErrTooLarge = errors.New("the answer is too large to be shared")
)

// Head is an answer's status and header.
type Head struct {
	Status int
	Header http.Header
}

// IsStream tells whether the answer comes event by event.
func (h Head) IsStream() bool {
	return strings.HasPrefix(h.Header.Get("content-type"), "text/event-stream")
}

// Listener hears an answer while it comes. Its methods are called by one goroutine.
type Listener interface {
	Head(h Head)
	Body(piece []byte)
	// End is called once, before those who follow learn of the end; err is nil where the answer is whole.
	End(err error)
}

// Call is one call of an upstream.
type Call struct {
	calls  *Calls
	key    string
	ctx    context.Context //nolint:containedctx // the call is nobody's request: it has a life of its own
	cancel context.CancelFunc

	// Guarded by calls.mu.
	followers int
	head      *Head  // of a plain answer it is told with the end: nobody can do anything with it before
	body      []byte // only appended to: a part of it can be read without the lock
	ended     bool
	err       error
	changed   chan struct{} // closed at the next change

	over chan struct{} // closed at the end
}

// Start makes the call, in the background.
func (c *Call) Start(request *http.Request, listener Listener) {
	c.calls.workers.run(func() {
		var err error
		defer func() { c.end(err) }()
		defer func() {
			if reason := recover(); reason != nil {
				err = fmt.Errorf("bug: a shared call panicked: %v", reason)
			}
		}()
		err = c.run(request, listener)
		listener.End(err)
	})
}

// Fail ends a call that was not started.
func (c *Call) Fail(err error) { c.end(err) }

func (c *Call) run(request *http.Request, listener Listener) error {
	response, err := c.calls.lines.ask(c.ctx, request)
	if err != nil {
		return c.broken(err)
	}
	read := false
	defer func() { c.calls.lines.end(response, read) }()
	if response.Header.Get(config.NowhereHeader) != "" {
		return ErrNoWay
	}
	head := Head{Status: response.StatusCode, Header: response.Header}
	listener.Head(head)
	tell := c.change
	if !head.IsStream() {
		tell = c.quietly
	}
	tell(func() {
		c.head = &head
		if length := response.ContentLength; length > 0 && length <= pieceSize { // it may say anything
			c.body = make([]byte, 0, length)
		}
	})
	piece := c.calls.pieces.get()
	defer c.calls.pieces.put(piece)
	for {
		n, err := response.Body.Read(piece[:])
		if n > 0 {
			listener.Body(piece[:n])
			if !c.add(piece[:n], tell) {
				return ErrTooLarge
			}
		}
		if read = errors.Is(err, io.EOF); read {
			return nil
		}
		if err != nil {
			return c.broken(err)
		}
	}
}

// broken words the error of a connection.
func (c *Call) broken(err error) error {
	if c.ctx.Err() != nil {
		return fmt.Errorf("nobody follows the call any more: %w", c.ctx.Err())
	}
	if c.begun() {
		return fmt.Errorf("the answer broke off: %w", err)
	}
	return fmt.Errorf("%w: %w", ErrNoWay, err)
}

func (c *Call) begun() bool {
	c.calls.mu.Lock()
	defer c.calls.mu.Unlock()
	return c.head != nil
}

// add appends to the body, as far as there is room.
func (c *Call) add(piece []byte, tell func(what func())) bool {
	fits := true
	tell(func() {
		fits = len(c.body)+len(piece) <= maxAnswer && c.calls.held+int64(len(piece)) <= maxHeld
		if fits {
			c.body = append(c.body, piece...)
			c.calls.held += int64(len(piece))
		}
	})
	return fits
}

// change changes what those who follow see, and wakes them.
func (c *Call) change(what func()) {
	c.calls.mu.Lock()
	what()
	wake := c.changed
	c.changed = make(chan struct{})
	c.calls.mu.Unlock()
	close(wake)
}

// quietly changes what nobody waits for.
func (c *Call) quietly(what func()) {
	c.calls.mu.Lock()
	defer c.calls.mu.Unlock()
	what()
}

// end makes way for the next call with this key. What comes after the first end does not count.
func (c *Call) end(err error) {
	first := false
	c.change(func() {
		if first = !c.ended; !first {
			return
		}
		c.ended, c.err = true, err
		c.calls.held -= int64(len(c.body))
		c.forget()
	})
	if first {
		close(c.over)
		c.cancel()
	}
}

// forget lets nobody join any more. The caller holds the lock.
func (c *Call) forget() {
	if c.calls.calls[c.key] == c {
		delete(c.calls.calls, c.key)
	}
}

// Leave is called once by everyone who joined. A call that nobody follows is given up.
func (c *Call) Leave() {
	c.calls.mu.Lock()
	c.followers--
	alone := c.followers == 0 && !c.ended
	if alone {
		c.forget()
	}
	c.calls.mu.Unlock()
	if alone {
		c.cancel()
	}
}

// Begun waits for the head of a stream, or for the end of a plain answer. Its error is the call's, or ctx's.
func (c *Call) Begun(ctx context.Context) (Head, error) {
	for {
		c.calls.mu.Lock()
		head, ended, err, changed := c.head, c.ended, c.err, c.changed
		c.calls.mu.Unlock()
		switch {
		case head != nil && (ended || head.IsStream()):
			return *head, nil
		case ended:
			return Head{}, err
		}
		if err := wait(ctx, changed); err != nil {
			return Head{}, err
		}
	}
}

// Next waits for what comes after the first at bytes of a stream's body, and gives all that is there. last
// tells that the answer is whole with it. What is returned must not be written to.
func (c *Call) Next(ctx context.Context, at int) (piece []byte, last bool, err error) {
	for {
		c.calls.mu.Lock()
		body, ended, failed, changed := c.body, c.ended, c.err, c.changed
		c.calls.mu.Unlock()
		switch {
		case ended && failed == nil:
			return body[at:], true, nil
		case at < len(body):
			return body[at:len(body):len(body)], false, nil
		case ended:
			return nil, false, failed
		}
		if err := wait(ctx, changed); err != nil {
			return nil, false, err
		}
	}
}

// Whole waits for the whole body.
func (c *Call) Whole(ctx context.Context) ([]byte, error) {
	if err := wait(ctx, c.over); err != nil {
		return nil, err
	}
	return c.body, c.err // nobody changes them any more
}

func wait(ctx context.Context, changed <-chan struct{}) error {
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for a shared call: %w", ctx.Err())
	}
}
