package mock

import (
	"bytes"
	"compress/gzip"
	"net"
	"net/http"
	"strconv"
	"time"
)

// send answers as ordered.
func (c *call) send(a answer) {
	// Before the answer, so that who has it finds the request recorded.
	if err := c.finish(); err != nil || !c.wait(c.orders.delay) {
		panic(http.ErrAbortHandler)
	}
	if c.orders.cut == breakReset {
		c.reset()
	}
	if c.orders.gzip {
		a = compressed(a)
	}
	if c.orders.garble != "" {
		c.garble(a)
		return
	}
	c.sendHeader(a)
	if c.orders.cut == breakHeaders {
		c.abort()
	}
	if bodyAllowed(c.r.Method, a.status) {
		c.sendPieces(a)
	}
	for name, values := range c.orders.trailers {
		c.w.Header()[name] = values
	}
}

func (c *call) sendHeader(a answer) {
	h := c.w.Header()
	h.Set("content-type", a.contentType)
	h.Set("x-request-id", "req_mock")
	if a.length >= 0 && len(c.orders.trailers) == 0 {
		h.Set("content-length", strconv.FormatInt(a.length, 10))
	}
	if c.orders.gzip {
		h.Set("content-encoding", "gzip")
	}
	for name, values := range c.orders.header {
		h[name] = values
	}
	for name := range c.orders.trailers {
		h.Add("trailer", name)
	}
	if !bodyAllowed(http.MethodGet, a.status) {
		h.Del("content-length")
	}
	if a.status == 0 {
		a.status = http.StatusOK
	}
	c.w.WriteHeader(a.status)
	if a.length < 0 {
		_ = http.NewResponseController(c.w).Flush() // a stream's client sees at once that it was taken up
	}
}

// bodyAllowed tells whether an answer may have a body.
func bodyAllowed(method string, status int) bool {
	return method != http.MethodHead && status != http.StatusNoContent && status != http.StatusNotModified
}

// sendPieces sends the body, and cuts or stalls it in its middle where that was ordered.
func (c *call) sendPieces(a answer) {
	defer c.server.endSteps(c.orders.step)
	middle := a.count / 2
	for i := range a.count {
		if i > 0 && !c.wait(c.orders.interval) || !c.server.awaitStep(c.r.Context(), c.orders.step) {
			panic(http.ErrAbortHandler)
		}
		piece := a.piece(i)
		if i == middle {
			piece = c.halve(piece, a.count)
		}
		c.write(piece)
	}
}

// halve sends the first half of the piece in the middle where something is to happen there, and
// returns what is still to be sent.
func (c *call) halve(piece []byte, count int) []byte {
	if c.orders.cut == breakBody && count > 1 {
		c.abort()
	}
	if c.orders.cut == "" && c.orders.stall == 0 {
		return piece
	}
	half := len(piece) / 2
	c.write(piece[:half])
	if c.orders.cut != "" {
		c.abort()
	}
	if !c.wait(c.orders.stall) {
		panic(http.ErrAbortHandler)
	}
	return piece[half:]
}

func (c *call) write(piece []byte) {
	_, err := c.w.Write(piece)
	if err == nil {
		err = http.NewResponseController(c.w).Flush()
	}
	if err != nil {
		panic(http.ErrAbortHandler)
	}
}

// abort ends the connection (HTTP/2: the stream) without an end of the body.
func (c *call) abort() {
	_ = http.NewResponseController(c.w).Flush() // it is given up anyway
	panic(http.ErrAbortHandler)
}

// reset ends the connection before any header, with a TCP reset where HTTP/1 lets us.
func (c *call) reset() {
	conn, _, err := http.NewResponseController(c.w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	raw := conn
	if secure, ok := conn.(interface{ NetConn() net.Conn }); ok {
		raw = secure.NetConn()
	}
	if tcp, ok := raw.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // without it the peer sees an end in good order
	}
	_ = raw.Close()
	panic(http.ErrAbortHandler)
}

// wait pauses; false means that the client has gone.
func (c *call) wait(d time.Duration) bool {
	if d == 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-c.r.Context().Done():
		return false
	}
}

// compressed is the same answer through gzip, each piece complete by itself.
func compressed(a answer) answer {
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	plain := a.piece
	a.piece = func(i int) []byte {
		out.Reset()
		_, _ = zip.Write(plain(i)) // into memory: cannot fail
		if i == a.count-1 {
			_ = zip.Close()
		} else {
			_ = zip.Flush()
		}
		return bytes.Clone(out.Bytes())
	}
	a.length = -1
	if a.count == 1 {
		a.length = int64(len(a.piece(0)))
		body := bytes.Clone(out.Bytes())
		a.piece = one(body)
	}
	return a
}
