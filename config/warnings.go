package config

import (
	"fmt"
	"strings"
)

// warn says which doors stand open.
func (r *resolver) warn() {
	for _, route := range r.config.Routes {
		for _, u := range route.Upstreams() {
			if route.Auth == AuthOpen && len(u.Keys) > 0 {
				r.config.Warnings = append(r.config.Warnings, fmt.Sprintf(
					"%s is open: everyone who reaches this port spends the keys of upstream %q. Name clients and their keys to close it.",
					route.Prefix, u.Name))
			}
		}
	}
	r.warnOfBasePaths()
	used, stoodInFor := map[*Upstream]bool{}, map[*Upstream]bool{}
	for _, route := range r.config.Routes {
		for _, choice := range route.Choices {
			for _, t := range choice.Targets {
				used[t.Upstream] = true
				stoodInFor[t.Upstream] = stoodInFor[t.Upstream] || choice.Several()
			}
		}
	}
	for _, u := range r.config.Upstreams {
		if !used[u] {
			r.config.Warnings = append(r.config.Warnings, fmt.Sprintf("no route leads to upstream %q", u.Name))
		} else if u.HealthCheck != nil && !stoodInFor[u] {
			r.config.Warnings = append(r.config.Warnings, fmt.Sprintf(
				"the health_check of upstream %q has no effect: no route names another upstream that could take its requests", u.Name))
		}
	}
}

// warnOfBasePaths finds the mistake that is made most: SDKs have /v1 in their base URL, and so may the upstream's.
func (r *resolver) warnOfBasePaths() {
	said := map[*Upstream]bool{}
	for _, route := range r.config.Routes {
		for _, u := range route.Upstreams() {
			if said[u] || !strings.HasSuffix(u.BasePath, "/v1") || strings.HasSuffix(route.Prefix, "/v1") {
				continue
			}
			said[u] = true
			r.config.Warnings = append(r.config.Warnings, fmt.Sprintf(
				"the url of upstream %q ends in /v1: %s goes on as %s/v1/models. Leave /v1 out of the url, unless clients leave it out.",
				u.Name, strings.TrimSuffix(route.Prefix, "/")+"/v1/models", u.BasePath))
		}
	}
}
