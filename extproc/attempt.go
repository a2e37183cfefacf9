package extproc

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"go.uber.org/zap"

	"tollgate/config"
	"tollgate/extproc/auth"
	"tollgate/extproc/exchange"
	"tollgate/extproc/flow"
)

// Where a request may be tried again with another key or at another upstream (config.Needs.Attempts), Envoy
// asks on its way to the upstream as well, in filters of its own: before an attempt, what it goes with. And it
// tells, without waiting, of each answer that turns a key down. Nothing is kept here from one attempt to the
// next: what they must know of each other is the request's metadata.

// attempt is one attempt at an upstream.
type attempt struct {
	route    *route
	choice   *choice
	upstream *config.Upstream
	keys     *auth.Keys
}

// towards finds where an attempt goes: only where its route leads.
func (g *Gate) towards(s *stream, first *extprocv3.ProcessingRequest) (*attempt, error) {
	name := cmp.Or(said(first, config.SaidRouteKey), s.routeName())
	route := g.table.Load().find(name, "")
	if route == nil {
		return nil, errUnknown(name)
	}
	c := route.ledBy(said(first, config.LeadKey))
	upstream := s.initial(config.UpstreamHeader)
	t := c.target(upstream)
	if t < 0 {
		return nil, fmt.Errorf("route %s does not lead to upstream %q", name, upstream)
	}
	return &attempt{route: route, choice: c, upstream: c.Targets[t].Upstream, keys: c.keys[t]}, nil
}

// prepare gives an attempt its key, and where there are several upstreams what else is this one's. Its error
// is an *exchange.Refusal where no key is left.
func (g *Gate) prepare(s *stream, first *extprocv3.ProcessingRequest) error {
	a, err := g.towards(s, first)
	if err != nil {
		return err
	}
	into, headers := said(first, config.IntoKey), first.GetRequestHeaders()
	if into == "" || headers == nil {
		return errors.New("an attempt comes without the gate's word where its key goes")
	}
	key, hasKey, err := a.key(first)
	if err != nil {
		var refusal *exchange.Refusal
		if errors.As(err, &refusal) {
			g.options.Refused(a.route.Route, refusal.Code)
		}
		return err
	}
	request := newRequest(headers.GetHeaders().GetHeaders(), netip.Addr{})
	changes := auth.Rekey(request, cmp.Or(a.upstream.KeyHeader, into), key, hasKey)
	s.say(config.KeyKey, key.Fingerprint)
	if a.choice.Several() {
		changes.Set = append(changes.Set, a.address(request.Path, said(first, config.UpstreamKey))...)
		s.say(config.UpstreamKey, a.upstream.Name)
	}
	s.expect(first)
	s.body = body{budget: &g.gates, most: maxAsked}
	defer s.body.free()
	if !s.bodiless && s.initial(config.BodyHeader) != "" {
		if err := s.askForBody(); err != nil {
			return err
		}
	}
	if err := s.receive(); err != nil {
		return err
	}
	if changed, ok := flow.Rename(s.body.bytes, a.upstream.ModelName); ok {
		s.body.replace(changed)
	}
	if s.comes && request.Get("content-length") != "" { // which may be that of the attempt before
		changes.Set = append(changes.Set, exchange.Header{Name: "content-length", Value: strconv.Itoa(len(s.body.bytes))})
	}
	if err := s.change(changes); err != nil {
		return err
	}
	return s.forward()
}

// key chooses an attempt's key. It is refused where all keys of all upstreams rest, and the attempt before has
// been turned down; a first one is made all the same.
func (a *attempt) key(first *extprocv3.ProcessingRequest) (key auth.Key, hasKey bool, err error) {
	if len(a.upstream.Keys) == 0 {
		return auth.Key{}, false, nil
	}
	now := time.Now()
	key, wait, ok := a.keys.Again(now, said(first, config.KeyKey))
	if ok {
		return key, true, nil
	}
	isFirst := a.choice.Several() && said(first, config.UpstreamKey) == ""
	if isFirst || a.choice.anyReady(now) {
		key, ok = a.keys.Next(now)
		return key, ok, nil
	}
	return auth.Key{}, false, fmt.Errorf("choosing another key of upstream %q: %w", a.upstream.Name, auth.NoKeyLeft(wait))
}

// address is where this upstream is, in the place of the one before, whose base path is taken off.
func (a *attempt) address(path, before string) []exchange.Header {
	path, query, asked := strings.Cut(path, "?")
	if t := a.choice.target(before); t >= 0 {
		path = cmp.Or(strings.TrimPrefix(path, a.choice.Targets[t].BasePath), "/")
	}
	if base := a.upstream.BasePath; base != "" {
		path = base + strings.TrimSuffix(path, "/")
	}
	if asked {
		path += "?" + query
	}
	return []exchange.Header{{Name: ":authority", Value: a.upstream.Authority()}, {Name: ":path", Value: path}}
}

// learn hears that an upstream turned a key down, which rests then.
func (g *Gate) learn(s *stream, first *extprocv3.ProcessingRequest) error {
	a, err := g.towards(s, first)
	if err != nil {
		return err
	}
	headers := headerList(first.GetResponseHeaders().GetHeaders().GetHeaders())
	key, now := said(first, config.KeyKey), time.Now()
	rest := auth.RestOf(headers.status(), headers.get, now)
	if key == "" || rest.For <= 0 {
		return nil
	}
	g.options.KeyAnswered(a.upstream, key, headers.status())
	if a.keys.Rest(key, now, rest) {
		g.log.Warn("an upstream turned a key down; others take its turns", zap.String("upstream", a.upstream.Name),
			zap.String("key", key), zap.Int("status", headers.status()), zap.Duration("for", rest.For.Round(time.Millisecond)))
	}
	return nil
}

// KeyRest is an upstream's key, by its fingerprint, and how it rests.
type KeyRest struct {
	Upstream, Key string
	auth.Rest     // For is 0: it does not
}

// KeyRests tells of all keys of the configuration in force how they rest.
func (g *Gate) KeyRests() []KeyRest {
	var all []KeyRest
	now := time.Now()
	for keys, upstream := range g.rings() {
		for _, r := range keys.Resting(now) {
			all = append(all, KeyRest{upstream, r.Fingerprint, r.Rest})
		}
	}
	return all
}

// RestKeys has keys rest as they did in another process.
func (g *Gate) RestKeys(rests []KeyRest) {
	now := time.Now()
	for keys, upstream := range g.rings() {
		for _, r := range rests {
			if r.Upstream == upstream {
				keys.Rest(r.Key, now, r.Rest)
			}
		}
	}
}

// rings are the keys of the configuration in force, and the upstreams that they are for.
func (g *Gate) rings() map[*auth.Keys]string {
	rings := map[*auth.Keys]string{}
	for _, route := range g.table.Load().routes {
		if !route.retired.IsZero() {
			continue
		}
		for _, c := range route.choices {
			for t, keys := range c.keys {
				rings[keys] = c.Targets[t].Name
			}
		}
	}
	return rings
}
