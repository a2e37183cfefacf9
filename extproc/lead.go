package extproc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"tollgate/config"
	"tollgate/extproc/exchange"
	"tollgate/extproc/openai"
	"tollgate/extproc/share"
)

// leading hears a shared call for the request that made it, whether its client stays or not: what it
// reserved is settled when the call has ended.
type leading struct {
	*hearing

	mu   sync.Mutex
	left bool // the request does not wait any more
	lost bool // the call never reached the upstream
}

// Head hears the answer's head.
func (l *leading) Head(h share.Head) {
	l.begin(h.Status, h.Header.Get("content-type"), h.Header.Get("content-encoding"))
}

// Body hears the next piece.
func (l *leading) Body(piece []byte) { l.body(piece) }

// End tells the listeners, unless the request goes on by itself.
func (l *leading) End(err error) {
	cause := exchange.Whole
	if err != nil {
		cause = exchange.Cut
	}
	l.mu.Lock()
	l.lost = errors.Is(err, share.ErrNoWay)
	waits := l.lost && !l.left
	l.mu.Unlock()
	if !waits {
		l.finish(cause)
	}
}

// leave is called when the request waits no more, and does not go on by itself.
func (l *leading) leave() {
	l.mu.Lock()
	forgotten := l.lost && !l.left
	l.left = true
	l.mu.Unlock()
	if forgotten {
		l.finish(exchange.Unseen)
	}
}

// lead makes the call.
func (g *Gate) lead(v *visit) error {
	v.choose()
	request, err := v.upstreamRequest()
	if err != nil {
		return err
	}
	admission := g.admitted(v)
	if admission.keeping != nil {
		admission.keeping.waits = true
	}
	v.caching.led = &leading{hearing: g.hear(admission)}
	v.caching.call.Start(request, v.caching.led)
	return nil
}

// upstreamRequest is the request as the upstream gets it.
func (v *visit) upstreamRequest() (*http.Request, error) {
	request, err := http.NewRequestWithContext(context.Background(), v.request.Method, "http://upstream", bytes.NewReader(v.body.bytes))
	if err != nil {
		return nil, fmt.Errorf("making a call: %w", err)
	}
	// As Envoy matches it: neither escaped again nor cleaned.
	request.URL.Opaque = v.request.Path
	changes := v.decision.Changes
	for _, h := range v.request.Headers {
		if !strings.HasPrefix(h.Name, ":") && !slices.Contains(changes.Remove, h.Name) && !isHop(h.Name) {
			request.Header.Add(h.Name, h.Value)
		}
	}
	for _, h := range changes.Set {
		request.Header.Set(h.Name, h.Value)
	}
	request.Host = v.request.Get(":authority")
	if request.Header.Get("user-agent") == "" {
		request.Header.Set("user-agent", "") // else net/http names itself
	}
	request.Header.Set("accept-encoding", "identity")
	request.Header.Set(config.RouteHeader, v.routeName())
	for _, key := range []string{config.SaidRouteKey, config.OwnKey, config.LeadKey, config.KeyKey, config.IntoKey} {
		if told, ok := v.said[key]; ok {
			request.Header.Set(config.ToldHeader+key, told.GetStringValue())
		}
	}
	return request, nil
}

// isHop tells whether a header belongs to one connection (RFC 9110, 7.6.1), or is Envoy's own.
func isHop(name string) bool {
	switch name {
	case "connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "content-length", "host":
		return true
	}
	return strings.HasPrefix(name, "x-envoy-") || slices.Contains(config.HopHeaders(), name)
}

// sharedHeaders are the headers of an answer that was made for several: all that the upstream sent for
// the one who made the call, what tells of the body for the others.
func (v *visit) sharedHeaders(head share.Head) []exchange.Header {
	headers := v.ownHeaders(head.Header.Get("content-type"))
	if encoding := head.Header.Get("content-encoding"); encoding != "" {
		headers = append(headers, exchange.Header{Name: "content-encoding", Value: encoding})
	}
	if !v.caching.leads {
		return headers
	}
	own := len(headers)
	for name, values := range head.Header {
		name = strings.ToLower(name)
		if isHop(name) || name == "set-cookie" && len(values) > 1 || slices.ContainsFunc(headers[:own], func(h exchange.Header) bool { return h.Name == name }) {
			continue
		}
		// Of several Envoy would keep the last: one list means the same (RFC 9110, 5.3), but for cookies.
		headers = append(headers, exchange.Header{Name: name, Value: strings.Join(values, ", ")})
	}
	return headers
}

// follower hears an answer for a request that did not make the call. A nil follower hears nothing.
type follower struct{ *hearing }

func (f *follower) body(piece []byte) {
	if f != nil {
		f.hearing.body(piece)
	}
}

func (f *follower) finish(cause exchange.Cause) (*openai.Answer, exchange.End) {
	if f == nil {
		return nil, exchange.End{}
	}
	return f.hearing.finish(cause)
}
