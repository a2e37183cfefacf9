// Package exchange holds the words that the policies share: what is asked, who asks, how it is
// refused. It knows neither Envoy nor the configuration, so a policy can be tested with a literal.
package exchange

import (
	"net/netip"
	"strings"
)

// Request is what the gate knows of a request before its body.
type Request struct {
	Method  string
	Path    string // with the query, as the client sent it
	Address netip.Addr
	Headers []Header // in the order received; names are lower case
}

// Header is one header field.
type Header struct{ Name, Value string }

// Get returns the first value of a header, or "". The name must be lower case.
func (r *Request) Get(name string) string {
	for _, h := range r.Headers {
		if h.Name == name {
			return h.Value
		}
	}
	return ""
}

// Changes is what must be different in the request that the upstream gets.
type Changes struct {
	Set    []Header // replaces what was there
	Remove []string // names
}

// Refusal is an answer of the gate's own, in the shape of OpenAI's errors. It is the only error
// whose words a client reads.
type Refusal struct {
	Status  int    // HTTP status, 4xx or 5xx
	Message string // for people; never holds a key
	Type    string // OpenAI's error type, such as invalid_request_error
	Code    string // for programs, such as invalid_api_key
	Headers []Header
}

// Error gives the code and the message.
func (r *Refusal) Error() string { return r.Code + ": " + r.Message }

// BearerToken takes the token out of an Authorization header (RFC 6750). The scheme's case does not
// matter. A value without a scheme is taken whole, as the original takes it.
func BearerToken(authorization string) string {
	scheme, token, ok := strings.Cut(authorization, " ")
	if ok && strings.EqualFold(scheme, "bearer") {
		return strings.TrimSpace(token)
	}
	return authorization
}
