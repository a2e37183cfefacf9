package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// RouteKey is Route.ID in its two parts: what says where a request came in, and what Envoy and the gate agree on.
type RouteKey struct{ Prefix, Agreed string }

// Key is the route's.
func (r *Route) Key() RouteKey { return Named(r.ID, "") }

// Envoy has one route for many of ours that it handles alike, where these differ in nothing but their prefixes and
// have as many segments. Its name has a star for each segment, what the IDs of all of them have behind their
// prefixes, and what tells it from others that have these two in common: */*@0123456789ab.3f1c. Only the path of a
// request says which of them is meant.

// NameOfMany names routes of this key, whatever the prefix, that have as many segments as this one's.
func NameOfMany(k RouteKey, other string) string {
	return strings.Repeat("*/", strings.Count(k.Prefix, "/")-1) + "*@" + k.Agreed + "." + other
}

// NamesMany tells whether a name that Envoy has for a route stands for many of ours.
func NamesMany(name string) bool { return strings.HasPrefix(name, "*") }

// Named finds which route Envoy means by a name, for a request's path. The zero value says that it can be none.
func Named(name, path string) RouteKey {
	at := strings.LastIndexByte(name, '@')
	if at < 0 {
		return RouteKey{}
	}
	prefix, agreed := name[:at], name[at+1:]
	if !NamesMany(name) {
		return RouteKey{prefix, agreed}
	}
	agreed, _, _ = strings.Cut(agreed, ".")
	if prefix = segments(path, strings.Count(prefix, "*")); prefix == "" {
		return RouteKey{}
	}
	return RouteKey{prefix, agreed}
}

// segments are the first of a path's segments; empty where it has not as many.
func segments(path string, many int) string {
	path, _, _ = strings.Cut(path, "?")
	end := 0
	for range many {
		if end == len(path) || path[end] != '/' {
			return ""
		}
		length := strings.IndexByte(path[end+1:], '/')
		if length < 0 {
			length = len(path) - end - 1
		}
		if length == 0 {
			return ""
		}
		end += 1 + length
	}
	return path[:end]
}

// simple are routes that lead to one upstream, of which there are many.
type simple struct {
	needs    Needs
	upstream *Upstream
}

// identity gives what Envoy and the gate must agree on for a route: see Route.ID.
func (r *resolver) identity(route *Route) string {
	if len(route.Groups) > 0 || len(route.Choices) > 1 || route.Choices[0].Several() || len(route.Choices[0].Models) > 0 {
		return route.agreed()
	}
	s := simple{route.Needs(), route.Choices[0].Targets[0].Upstream}
	if r.agreed[s] == "" {
		r.agreed[s] = route.agreed()
	}
	return r.agreed[s]
}

// agreed is that of any route.
func (r *Route) agreed() string {
	agreed := fmt.Appendf(nil, "%v", r.Needs())
	if len(r.Groups) > 0 {
		agreed = fmt.Appendf(agreed, " %q", r.Groups) // others may have the same prefix
	}
	for _, choice := range r.Choices {
		agreed = fmt.Appendf(agreed, "\n%q", choice.Models)
		for _, u := range choice.Targets {
			agreed = fmt.Appendf(agreed, " %q %q %q %q", u.Name, u.URL(), u.CA, u.ServerName)
		}
	}
	digest := sha256.Sum256(agreed)
	return hex.EncodeToString(digest[:6])
}
