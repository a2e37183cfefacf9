package config

import (
	"fmt"
	"net/url"

	"golang.org/x/net/http/httpproxy"
)

// warnOfProxies says so where the environment names a proxy, as a company's machines do, that an upstream would be
// reached by and is not: Envoy takes none from there.
func (c *Config) warnOfProxies(environment Environment) {
	either := func(upper, lower string) string {
		if value, _ := environment(upper); value != "" {
			return value
		}
		value, _ := environment(lower)
		return value
	}
	proxyOf := (&httpproxy.Config{
		HTTPSProxy: either("HTTPS_PROXY", "https_proxy"),
		HTTPProxy:  either("HTTP_PROXY", "http_proxy"),
		NoProxy:    either("NO_PROXY", "no_proxy"),
	}).ProxyFunc()
	for _, u := range c.Upstreams {
		scheme, variable := "http", "HTTP_PROXY"
		if u.TLS {
			scheme, variable = "https", "HTTPS_PROXY"
		}
		proxy, err := proxyOf(&url.URL{Scheme: scheme, Host: u.Authority()})
		if u.Proxy.IsValid() || err == nil && proxy == nil {
			continue
		}
		c.Warnings = append(c.Warnings, fmt.Sprintf(
			"the environment has %s, which is not used here: upstream %q is reached without. Give it proxy: http://HOST:PORT (PROXY in .env), or put its host into NO_PROXY.",
			variable, u.Name))
	}
}
