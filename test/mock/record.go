package mock

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"net/http"
)

// remembered is how many requests the mock keeps, the latest ones.
const remembered = 1000

// Request is what the mock saw of one request.
type Request struct {
	Method, URI, Host string
	Proto             string // HTTP/1.1, HTTP/2.0
	ALPN              string // the protocol that TLS negotiated; "" without TLS
	Header            http.Header

	// Of the body and what follows it, known when it was read to its end.
	Whole      bool
	BodySHA256 string
	BodyLength int64
	Trailer    http.Header
}

// Requests returns what the mock saw, oldest first: the last 1,000 at most. A request is there once
// its headers have come, and has its body's digest once an answer to it begins.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Request, len(s.requests))
	for i, r := range s.requests {
		list[i] = *r
		list[i].Header, list[i].Trailer = r.Header.Clone(), r.Trailer.Clone()
	}
	return list
}

// begin notes a request.
func (s *Server) begin(w http.ResponseWriter, r *http.Request) *call {
	c := &call{
		server: s, w: w, r: r,
		body: &digest{from: r.Body, sum: sha256.New()},
		seen: &Request{Method: r.Method, URI: r.RequestURI, Host: r.Host, Proto: r.Proto, Header: r.Header.Clone()},
	}
	if r.TLS != nil {
		c.seen.ALPN = r.TLS.NegotiatedProtocol
	}
	r.Body = c.body
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, c.seen)
	if len(s.requests) > remembered {
		s.requests = s.requests[1:]
	}
	return c
}

// finish reads what is left of the body and notes it.
func (c *call) finish() error {
	_, err := io.Copy(io.Discard, c.body)
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	c.seen.Whole, c.seen.Trailer = err == nil, c.r.Trailer.Clone()
	c.seen.BodySHA256, c.seen.BodyLength = c.body.hex(), c.body.length
	if err != nil {
		return fmt.Errorf("reading the request's body: %w", err)
	}
	return nil
}

// digest is a body that counts and hashes what is read of it.
type digest struct {
	from   io.ReadCloser
	sum    hash.Hash
	length int64
}

func (d *digest) Read(p []byte) (int, error) {
	n, err := d.from.Read(p)
	d.sum.Write(p[:n])
	d.length += int64(n)
	return n, err //nolint:wrapcheck // io.EOF must stay io.EOF
}

func (d *digest) Close() error { return d.from.Close() } //nolint:wrapcheck // it is the body

func (d *digest) hex() string { return hex.EncodeToString(d.sum.Sum(nil)) }
