// Package auth decides who may pass and with which key the request goes on.
//
// A client shows its key in one of the places that OpenAI-style SDKs use (see [config.KeyPlaces]). The key is
// looked up among the clients' by its digest. Then the route's rule says what happens:
//
//	             a client's key        another key       no key
//	required     upstream's key        401               401
//	passthrough  upstream's key        travels on        travels on
//	open         upstream's key        upstream's key    upstream's key
//
// Where the upstream has no keys of its own, the request goes on without one. In no case does a
// client's key travel on: not in the place where it was shown, and not in a copy elsewhere.
//
// An upstream's keys take turns ([Keys]). One that the upstream turned down rests ([RestOf]), and where the
// request is tried again, [Rekey] gives it another.
package auth

import (
	"cmp"

	"tollgate/config"
	"tollgate/extproc/exchange"
)

// Decision is what Admit says of a request that may pass.
type Decision struct {
	Client *config.Client // nil: not one that the configuration names

	// Place is the header in which the client showed its key, and authorization where it showed none; empty:
	// what the client sent travels on.
	Place string

	Key     string // the fingerprint of the upstream's key, once it is given; empty: none
	Changes exchange.Changes

	shown []credential
}

// Admit decides. Its error is an *exchange.Refusal.
func Admit(c *config.Config, route *config.Route, request *exchange.Request) (Decision, error) {
	if !route.ForAll.Permits(request.Address) || !route.IP.Permits(request.Address) {
		return Decision{}, errAddress
	}
	shown := find(request)
	var client *config.Client
	for _, credential := range shown {
		if found, ok := c.Client(credential.key); ok {
			client = found
			break
		}
	}
	switch {
	case client == nil && route.Auth == config.AuthPassthrough:
		return Decision{}, nil
	case client == nil && route.Auth == config.AuthRequired && len(shown) == 0:
		return Decision{}, errNoKey
	case client == nil && route.Auth == config.AuthRequired:
		return Decision{}, errUnknownKey
	}
	if inQuery(request.Path, shown) {
		return Decision{}, errKeyInQuery
	}
	return Decision{Client: client, Place: place(shown), shown: shown}, nil
}

// Give takes the client's key, and every copy of it, out of the request, and puts an upstream's key in,
// where it has one: into the header named, and where none is into the one in which the client showed its
// own. Where the client's own key travels on, it changes nothing.
func (d *Decision) Give(request *exchange.Request, into string, key Key, hasKey bool) {
	if d.Place == "" {
		return
	}
	d.Key = key.Fingerprint
	changes := swap(request, d.shown, cmp.Or(into, d.Place), key, hasKey)
	d.Changes.Set = append(d.Changes.Set, changes.Set...)
	d.Changes.Remove = append(d.Changes.Remove, changes.Remove...)
}

// Rekey puts another key into a request that the gate let pass before, and that is tried again: into the
// header named, where the key of the attempt before it may stand. It never adds to what the client sent.
func Rekey(request *exchange.Request, into string, key Key, hasKey bool) exchange.Changes {
	return swap(request, nil, into, key, hasKey)
}

// swap takes every credential and every copy of one out of the request, and puts the upstream's key
// into the header named, where there is one.
func swap(request *exchange.Request, shown []credential, into string, key Key, hasKey bool) exchange.Changes {
	var changes exchange.Changes
	for _, h := range request.Headers {
		if h.Name != protocols && carries(h, shown) && (h.Name != into || !hasKey) {
			changes.Remove = append(changes.Remove, h.Name)
		}
	}
	if offered := subprotocols(request); len(offered) > 0 {
		// Those that are no key must stay.
		if list := swapProtocol(offered, shown, key, hasKey && into == protocols); list != "" {
			changes.Set = append(changes.Set, exchange.Header{Name: protocols, Value: list})
		} else {
			changes.Remove = append(changes.Remove, protocols)
		}
	}
	if hasKey && into != protocols {
		changes.Set = append(changes.Set, exchange.Header{Name: into, Value: headerValue(into, key)})
	}
	return changes
}

// place is the header where the client showed its key, else authorization.
func place(shown []credential) string {
	if len(shown) > 0 {
		return shown[0].header
	}
	return "authorization"
}

func headerValue(header string, key Key) string {
	if header == "authorization" {
		return "Bearer " + key.Reveal()
	}
	return key.Reveal()
}

// inQuery tells whether a client's key stands in the path or query, where it would travel on, and
// into everyone's logs.
func inQuery(path string, shown []credential) bool {
	return copies(path, shown)
}
