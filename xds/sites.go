package xds

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"time"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"tollgate/config"
)

// site is where requests come in that Envoy handles in one way: below the prefix of one of our routes or, where
// there are many that are alike, below any of theirs.
type site struct {
	route *config.Route // ours, or one that stands for all
	leads []lead

	name     string   // of Envoy's routes for it
	prefix   string   // with which the path begins: all that is matched here
	strip    string   // what is taken off the path: a regular expression
	prefixes []string // of many; nil: it is one
}

// siteOf is that of a single route.
func siteOf(route *config.Route, leads []lead) *site {
	strip := regexp.QuoteMeta(route.Prefix)
	if route.Prefix == "/" {
		strip = ""
	}
	return &site{route: route, leads: leads, name: route.ID, prefix: route.Prefix, strip: strip}
}

// routes are Envoy's for the site.
func (s *site) routes(l *config.Listener) []*routev3.Route {
	var routes []*routev3.Route
	for i := range s.leads {
		routes = append(routes, s.routesOf(&s.leads[i])...)
	}
	limitBodies(routes, s.route, l)
	return routes
}

// traits are all that Envoy's routes depend on for one of ours, but for its prefix.
type traits struct {
	segments int
	agreed   string // what is seen of requests, and where they go
	retry    retries
	maxBody  uint64

	passthrough, cached, collapsed, forwards bool
	requests, tokens                         bool // are limited
}

func traitsOf(r *config.Route) traits {
	return traits{
		segments:    strings.Count(strings.TrimSuffix(r.Prefix, "/"), "/"),
		agreed:      r.Key().Agreed,
		retry:       retriesOf(&r.Retry),
		maxBody:     r.MaxBody,
		passthrough: r.Auth == config.AuthPassthrough,
		requests:    limits(r, config.OfRequests),
		tokens:      limits(r, config.OfTokens),
		cached:      r.Cache != nil,
		collapsed:   sharesCalls(r),
		forwards:    r.ForwardClientAddress,
	}
}

// retries are a config.Retry that can be compared.
type retries struct {
	attempts        int
	statuses        string
	rateLimited     bool
	firstByte, idle time.Duration
}

func retriesOf(r *config.Retry) retries {
	statuses := make([]rune, len(r.Statuses))
	for i, status := range r.Statuses {
		statuses[i] = rune(status) //nolint:gosec // of three digits
	}
	return retries{r.Attempts, string(statuses), r.RateLimited, r.FirstByteTimeout, r.IdleTimeout}
}

// family is the routes with the same traits.
type family struct {
	traits

	leads   []lead
	members []*config.Route
	each    int  // how many routes of Envoy's one of them takes
	joined  bool // they are one site
}

// families gives the families of routes, each route's at its place, and how many routes of Envoy's all would take.
func (l *leading) families(c *config.Config) (of []*family, all int, err error) {
	known := map[traits]*family{}
	for _, route := range c.Routes {
		t := traitsOf(route)
		f := known[t]
		if f == nil {
			leads, err := l.leads(route)
			if err != nil {
				return nil, 0, err
			}
			f = &family{traits: t, leads: leads, each: len(siteOf(route, leads).routes(&c.Listener))}
			known[t] = f
		}
		f.members = append(f.members, route)
		of, all = append(of, f), all+f.each
	}
	return of, all, nil
}

// sites gives where requests come in, the longest prefix first. Where a list of all that would be too long, a family
// with many members is one site. A route of which the gate is not asked stays one: nobody could say for the
// log which one it was.
func (l *leading) sites(c *config.Config, join bool) ([]*site, error) {
	of, all, err := l.families(c)
	if err != nil {
		return nil, err
	}
	for _, f := range of {
		f.joined = join && all > listed && len(f.members) > listed && f.segments > 0 && f.members[0].Needs().Gate
	}
	apart := atOrAbove(c.Routes, of)
	joint := map[*family]*site{}
	var sites []*site
	for i, route := range c.Routes {
		f := of[i]
		if !f.joined || apart[route.Prefix] {
			sites = append(sites, siteOf(route, f.leads))
			continue
		}
		if joint[f] == nil {
			joint[f] = f.site(route)
			sites = append(sites, joint[f])
		}
		joint[f].prefixes = append(joint[f].prefixes, route.Prefix)
	}
	return sites, nil
}

// atOrAbove are the prefixes of all routes that are not joined, and those above: sites of many are tried first, and
// none of them may take what belongs to a longer prefix.
func atOrAbove(routes []*config.Route, of []*family) map[string]bool {
	taken := map[string]bool{HealthPath: true}
	for i, route := range routes {
		if of[i].joined {
			continue
		}
		taken[route.Prefix] = true
		for _, above := range prefixesAbove(route.Prefix) {
			taken[above] = true
		}
	}
	return taken
}

// site is that of many, one of which stands for all.
func (f *family) site(of *config.Route) *site {
	digest := sha256.Sum256(fmt.Append(nil, f.traits))
	return &site{
		route: of, leads: f.leads, prefix: "/",
		name:  config.NameOfMany(of.Key(), hex.EncodeToString(digest[:6])),
		strip: fmt.Sprintf("(?:/[^/]+){%d}", f.segments),
	}
}
