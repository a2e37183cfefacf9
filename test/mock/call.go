package mock

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// largestJSON bounds the bodies that are read whole.
const largestJSON = 64 << 20

// call is one request and the way to its answer.
type call struct {
	server *Server
	w      http.ResponseWriter
	r      *http.Request
	body   *digest
	seen   *Request
	orders orders
}

// answer is what a handler makes: pieces that are sent, and flushed, one after the other.
type answer struct {
	status      int // 0: 200
	contentType string
	length      int64 // content-length; -1: none
	count       int
	piece       func(i int) []byte
}

// apiError is an error in OpenAI's shape.
type apiError struct {
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"`
	Code    *string `json:"code"`
}

// errorOf is the error that goes with a status.
func errorOf(status int) apiError {
	e := apiError{Message: fmt.Sprintf("The mock was asked to answer %d %s.", status, http.StatusText(status)), Type: "invalid_request_error"}
	switch {
	case status == http.StatusUnauthorized:
		e.Code = new("invalid_api_key")
	case status == http.StatusTooManyRequests:
		e.Type, e.Code = "requests", new("rate_limit_exceeded")
	case status >= http.StatusInternalServerError:
		e.Type = "server_error"
	}
	return e
}

func (c *call) fail(status int, e apiError) {
	c.sendJSON(status, map[string]apiError{"error": e})
}

// badRequest says what is wrong with a body.
func (c *call) badRequest(param, message string) {
	c.fail(http.StatusBadRequest, apiError{Message: message, Type: "invalid_request_error", Param: &param})
}

// read takes a JSON body; false means that the refusal has been sent.
func (c *call) read(into any) bool {
	data, err := io.ReadAll(io.LimitReader(c.r.Body, largestJSON))
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	if err != nil {
		c.badRequest("body", "We could not parse the JSON body of your request: "+err.Error())
		return false
	}
	return true
}

func (c *call) sendJSON(status int, value any) {
	body := encode(value)
	if status == 0 {
		status = c.orders.status
	}
	c.send(answer{status: status, contentType: "application/json", length: int64(len(body)), count: 1, piece: one(body)})
}

// sendEvents streams server-sent events.
func (c *call) sendEvents(events [][]byte) {
	c.send(answer{
		status: c.orders.status, contentType: "text/event-stream; charset=utf-8", length: -1,
		count: len(events), piece: func(i int) []byte { return events[i] },
	})
}

func one(body []byte) func(int) []byte { return func(int) []byte { return body } }

// encode is JSON as people read it: <, > and & as they are.
func encode(value any) []byte {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		panic("bug: the mock's answer is no JSON: " + err.Error())
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

// event is one server-sent event; name may be "".
func event(name string, value any) []byte {
	line := append(append([]byte("data: "), encode(value)...), "\n\n"...)
	if name != "" {
		line = append([]byte("event: "+name+"\n"), line...)
	}
	return line
}
