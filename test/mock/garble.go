package mock

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"time"
)

// What mock-garble makes of an answer.
const (
	garbleNotHTTP  = "not-http"
	garbleChunk    = "chunk"
	garbleTooLong  = "too-long"
	garbleTooShort = "too-short"
	garbleHalf     = "half"
	garbleNoise    = "noise"
)

// patience is how long a peer gets to notice that a connection has ended.
const patience = 5 * time.Second

// Noise stands between two events of a stream, or before a plain answer, where `mock-garble: noise` asks for it.
const Noise = "data: {\"noise\x00\xff\n\n"

// garble sends what no upstream should send. What is wrong with HTTP itself goes out without net/http, which
// would not let it.
func (c *call) garble(a answer) {
	var body bytes.Buffer
	for i := range a.count {
		if c.orders.garble == garbleNoise && i == a.count/2 {
			body.WriteString(Noise)
		}
		body.Write(a.piece(i))
	}
	all := body.Bytes()
	half := all[:len(all)/2]
	switch c.orders.garble {
	case garbleNotHTTP:
		c.raw([]byte("this is no HTTP\r\n\r\n"))
	case garbleChunk:
		c.raw(fmt.Appendf(nil, "%stransfer-encoding: chunked\r\n\r\n%x\r\n%s\r\nno number\r\n%s", c.rawHead(a), len(half), half, all[len(half):]))
	case garbleTooLong:
		c.raw(fmt.Appendf(nil, "%scontent-length: %d\r\n\r\n%s", c.rawHead(a), len(all)+1000, all))
	case garbleTooShort:
		c.raw(fmt.Appendf(nil, "%scontent-length: %d\r\n\r\n%s", c.rawHead(a), len(half), all))
	case garbleHalf:
		all = half
	}
	if a.length >= 0 {
		a.length = int64(len(all))
	}
	a.count, a.piece = 1, one(all)
	c.sendHeader(a)
	c.sendPieces(a)
}

// rawHead is the head of an answer without its length.
func (c *call) rawHead(a answer) []byte {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return fmt.Appendf(nil, "HTTP/1.1 %d %s\r\ncontent-type: %s\r\n", a.status, http.StatusText(a.status), a.contentType)
}

// raw sends bytes and ends the connection; over HTTP/2, where it cannot, it resets the stream.
func (c *call) raw(answer []byte) {
	conn, _, err := http.NewResponseController(c.w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	_, _ = conn.Write(answer) // who does not read it has gone
	if closing, ok := conn.(interface{ CloseWrite() error }); ok && closing.CloseWrite() == nil {
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		_, _ = io.Copy(io.Discard, conn) // until the peer has read it: a close with bytes unread would reset
	}
	_ = conn.Close()
	panic(http.ErrAbortHandler)
}
