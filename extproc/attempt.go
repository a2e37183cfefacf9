package extproc

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"go.uber.org/zap"

	"tollgate/config"
	"tollgate/extproc/auth"
)

// Where a request may be tried again with another key (config.Needs.Attempts), Envoy asks on its way to the
// upstream as well, in filters of its own: before each attempt after the first, what it goes with. And it
// tells, without waiting, of each answer that turns a key down. Nothing is kept here from one attempt to the
// next: what they must know of each other is the request's metadata.

// handOver says what later attempts must know.
func (v *visit) handOver() {
	switch {
	case !v.route.attempts:
	case v.decision.Into == "": // the client's own key, for which there is no other
		v.say(config.OwnKey, "1")
		v.reroute = true
	default:
		v.say(config.KeyKey, v.decision.Key)
		v.say(config.IntoKey, v.decision.Into)
	}
}

// attempt prepares an attempt that follows another. Its error is an *exchange.Refusal where no key is left.
func (g *Gate) attempt(s *stream, first *extprocv3.ProcessingRequest) error {
	route, upstream, keys, err := g.towards(s)
	if err != nil {
		return err
	}
	into, headers := said(first, config.IntoKey), first.GetRequestHeaders()
	if into == "" || headers == nil {
		return errors.New("an attempt comes without the gate's word where its key goes")
	}
	key, wait, ok := keys.Again(time.Now(), said(first, config.KeyKey))
	if !ok {
		refusal := auth.NoKeyLeft(wait)
		g.options.Refused(route.Route, refusal.Code)
		return fmt.Errorf("choosing another key of upstream %q: %w", upstream.Name, refusal)
	}
	s.say(config.KeyKey, key.Fingerprint)
	return s.change(auth.Rekey(newRequest(headers.GetHeaders().GetHeaders(), netip.Addr{}), into, key, true))
}

// learn hears that an upstream turned a key down, which rests then.
func (g *Gate) learn(s *stream, first *extprocv3.ProcessingRequest) error {
	_, upstream, keys, err := g.towards(s)
	if err != nil {
		return err
	}
	headers := headerList(first.GetResponseHeaders().GetHeaders().GetHeaders())
	key, now := said(first, config.KeyKey), time.Now()
	rest := auth.RestOf(headers.status(), headers.get, now)
	if key == "" || rest.For <= 0 {
		return nil
	}
	g.options.KeyAnswered(upstream, key, headers.status())
	if keys.Rest(key, now, rest) {
		g.log.Warn("an upstream turned a key down; the others take its turns", zap.String("upstream", upstream.Name),
			zap.String("key", key), zap.Int("status", headers.status()), zap.Duration("for", rest.For.Round(time.Millisecond)))
	}
	return nil
}

// towards finds where an attempt goes.
func (g *Gate) towards(s *stream) (*route, *config.Upstream, *auth.Keys, error) {
	id, name := s.routeID(), s.initial(config.UpstreamHeader)
	route, ok := g.table.Load().routes[id]
	if !ok {
		return nil, nil, nil, fmt.Errorf("Envoy names a route that is not known here: %q", id)
	}
	upstream, keys := route.target(name)
	if upstream == nil {
		return nil, nil, nil, fmt.Errorf("route %s does not lead to upstream %q", id, name)
	}
	return route, upstream, keys, nil
}

// KeyRest is an upstream's key, by its fingerprint, and how long it still rests; 0: it does not.
type KeyRest struct {
	Upstream, Key string
	For           time.Duration
}

// KeyRests tells of all keys of the configuration in force how long they rest.
func (g *Gate) KeyRests() []KeyRest {
	var all []KeyRest
	now, seen := time.Now(), map[*auth.Keys]bool{}
	for _, route := range g.table.Load().routes {
		if !route.retired.IsZero() || seen[route.keys] {
			continue
		}
		seen[route.keys] = true
		for _, r := range route.keys.Resting(now) {
			all = append(all, KeyRest{route.Upstream.Name, r.Fingerprint, r.For})
		}
	}
	return all
}
