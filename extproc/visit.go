package extproc

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"

	"tollgate/config"
	"tollgate/extproc/auth"
	"tollgate/extproc/exchange"
	"tollgate/extproc/openai"
)

// visit is what the gate knows of one request. A request that is refused has what was known by then.
type visit struct {
	*stream

	began    time.Time
	route    *route
	request  *exchange.Request
	path     string // without the query
	decision auth.Decision
	asked    *openai.Request // nil: not read
	caching  *caching        // nil: no cache has to do with it
	hold     *hold           // nil: nothing was taken
	forced   bool            // the upstream is asked for usage that the client did not ask for

	upstream *config.Upstream // where it begins; nil: it is not chosen yet
	attempts bool             // what later attempts go with is asked

	admission *admission // nil: nobody listens, or not yet
}

// admit is the gate: from the request's headers to the verdict.
func (g *Gate) admit(s *stream, first *extprocv3.ProcessingRequest) error {
	request, err := s.head(first)
	if err != nil {
		return err
	}
	name := s.routeName()
	if name == "" {
		return errNowhere()
	}
	table := g.table.Load()
	route := table.find(name, request.Path)
	if route == nil {
		return errUnknown(name)
	}
	if config.NamesMany(name) {
		s.say(config.SaidRouteKey, route.ID)
	}
	v := &visit{stream: s, began: time.Now(), route: route, request: request}
	v.path = plainPath(request.Path)
	s.body = body{budget: &g.gates, most: maxAsked}
	defer s.body.free()
	if err := g.decide(table.config, v); err != nil {
		v.leave()
		g.refused(v, err)
		return err
	}
	defer v.leave()
	return g.serve(v)
}

// serve answers a request that may pass: from the cache, from a call that others ask for as well, or by
// letting it go on to the upstream.
func (g *Gate) serve(v *visit) error {
	if v.caching != nil && v.caching.hit != nil {
		return g.replay(v)
	}
	if v.caching != nil && v.caching.call != nil {
		if done, err := g.ride(v); done || err != nil {
			return err
		}
	}
	if v.caching != nil {
		g.options.Cached(v.route.Route, v.caching.result, Spared{})
	}
	v.choose()
	if err := v.pass(v.decision, g.follow(v)); err != nil {
		return err
	}
	v.body.free()
	return v.respond()
}

// decide asks the policies, one after the other: what costs least comes first, and what is taken from
// limits comes last, so that no refusal takes anything.
func (g *Gate) decide(c *config.Config, v *visit) (err error) {
	if v.decision, err = auth.Admit(c, v.route.Route, v.request); err != nil {
		return fmt.Errorf("admitting: %w", err)
	}
	if v.decision.Client != nil {
		v.say(config.ClientKey, v.decision.Client.Name)
	}
	v.body.who = v.sender()
	if err = v.read(); err != nil {
		return fmt.Errorf("reading the body: %w", err)
	}
	if err = auth.AdmitModel(v.decision.Client, v.request, v.asked); err != nil {
		return fmt.Errorf("admitting the model: %w", err)
	}
	v.rewrite()
	if err = g.lookUp(v); err != nil {
		return fmt.Errorf("asking the cache: %w", err)
	}
	if v.caching != nil && v.caching.hit != nil {
		if err = g.outflow.wait(v.rpc.Context(), len(v.caching.hit.Body), outflowPatience); err != nil {
			return fmt.Errorf("answering from the cache: %w", err)
		}
	}
	if err = g.take(v); err != nil {
		return fmt.Errorf("taking from limits: %w", err)
	}
	return nil
}

// sender is who has sent the request: a client by its name, others by their addresses.
func (v *visit) sender() string {
	if v.decision.Client != nil {
		return "client:" + v.decision.Client.Name
	}
	return "address:" + v.request.Address.String()
}

// follow leaves a request that passes for the tap, if one comes, and returns the call's id.
func (g *Gate) follow(v *visit) string {
	if !v.route.tapped {
		return ""
	}
	a := g.admitted(v)
	g.handoff.put(a)
	return a.call.ID
}

// admitted is the call of a request that may pass, and who listens to it.
func (g *Gate) admitted(v *visit) *admission {
	if v.admission != nil {
		return v.admission
	}
	call := newCall(v)
	call.Parent = cmp.Or(v.traceParent(), call.Parent)
	listeners := g.observe(v.route.Route, call)
	if v.hold.settles() {
		listeners = append(listeners, v.hold)
	}
	if v.hold.priced() {
		v.hold.call = call
	}
	v.admission = newAdmission(call, listeners, v.asked)
	if v.hold.priced() {
		v.admission.hold = v.hold
	}
	v.admission.keeping = g.keepingOf(v)
	return v.admission
}

// observe gathers who listens to a call.
func (g *Gate) observe(route *config.Route, call *exchange.Call) []Listener {
	var listeners []Listener
	for _, observe := range g.options.Observe {
		if l := observe(route, call); l != nil {
			listeners = append(listeners, l)
		}
	}
	return listeners
}

// refused tells whoever would have listened.
func (g *Gate) refused(v *visit, err error) {
	var refusal *exchange.Refusal
	if !errors.As(err, &refusal) {
		return
	}
	g.options.Refused(v.route.Route, refusal.Code)
	if !v.route.tapped {
		return
	}
	v.decision.Key = "" // none was used
	call := newCall(v)
	end := exchange.End{Cause: exchange.Refused, Status: refusal.Status, Code: refusal.Code, Last: time.Now()}
	newAdmission(call, g.observe(v.route.Route, call), v.asked).done(nil, end)
}

// newCall notes what is known of a request.
func newCall(v *visit) *exchange.Call {
	call := &exchange.Call{
		ID:          rand.Text()[:16],
		Began:       v.began,
		Route:       v.route.Prefix,
		Key:         v.decision.Key,
		Attempts:    v.attempts,
		Address:     v.request.Address,
		Method:      lasting(v.request.Method),
		Path:        trimmedPath(v.path, v.route.Prefix),
		ContentType: lasting(v.request.Get("content-type")),
		Parent:      lasting(v.request.Get("traceparent")),
		Shadowed:    v.hold != nil && v.hold.shadowed,
		Cache:       v.cacheResult(),
	}
	if v.upstream != nil {
		call.Upstream = v.upstream.Name
	}
	if v.decision.Client != nil {
		call.Client = v.decision.Client.Name
	}
	return call
}

// lasting is a header's value for as long as the call lasts: the request's are all one piece of memory, with the
// client's key in it. What most requests have needs no copy.
func lasting(value string) string {
	switch value {
	case http.MethodPost:
		return http.MethodPost
	case "application/json":
		return "application/json"
	}
	return strings.Clone(value)
}

// plainPath is a path as the upstream will see it: a final slash is no other path, and has no other limits.
func plainPath(path string) string {
	path, _, _ = strings.Cut(path, "?")
	return "/" + strings.Trim(path, "/")
}

// trimmedPath is a path below a route's prefix.
func trimmedPath(path, prefix string) string {
	return "/" + strings.Trim(strings.TrimPrefix(path, prefix), "/")
}
