package mock

import (
	"net/http"
	"strings"
)

// Fields are headers or trailers, by their names in lower case, as HTTP/2 has them.
type Fields map[string][]string

// Echo is what /echo tells of a request.
type Echo struct {
	Method           string   `json:"method"`
	URI              string   `json:"uri"`
	Host             string   `json:"host"`
	Proto            string   `json:"proto"`
	Headers          Fields   `json:"headers"`
	ContentLength    int64    `json:"content_length"`
	TransferEncoding []string `json:"transfer_encoding"`
	BodySHA256       string   `json:"body_sha256"`
	BodyLength       int64    `json:"body_length"`
	Trailers         Fields   `json:"trailers"`
}

// echo tells what arrived.
func (c *call) echo() {
	if err := c.finish(); err != nil {
		c.badRequest("body", "The body did not arrive whole: "+err.Error())
		return
	}
	c.sendJSON(0, Echo{
		Method: c.r.Method, URI: c.r.RequestURI, Host: c.r.Host, Proto: c.r.Proto,
		Headers: lower(c.r.Header), ContentLength: c.r.ContentLength, TransferEncoding: c.r.TransferEncoding,
		BodySHA256: c.body.hex(), BodyLength: c.body.length, Trailers: lower(c.r.Trailer),
	})
}

func lower(h http.Header) Fields {
	lowered := make(Fields, len(h))
	for name, values := range h {
		lowered[strings.ToLower(name)] = values
	}
	return lowered
}
