package config

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// hostName is a DNS name, or what people write in compose files (underscores).
var hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$`)

// parseURL reads an upstream's URL. Errors never quote user information, which might hold a key.
func parseURL(text string) (*Upstream, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Opaque != "":
		return nil, errors.New("not a URL: write it like https://api.openai.com")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("must begin with http:// or https://, like https://api.openai.com")
	case u.User != nil:
		return nil, errors.New("holds a user or password: an upstream's key goes into keys")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("holds a query or fragment: only a base path may follow the host")
	case strings.Contains(u.Path, "//") || strings.Contains(u.Path+"/", "/../") || strings.Contains(u.Path+"/", "/./"):
		return nil, errors.New("the base path holds an empty segment, . or ..")
	}
	host := u.Hostname()
	address, err := netip.ParseAddr(host)
	switch {
	case host == "":
		return nil, errors.New("names no host: write it like https://api.openai.com")
	case err != nil && !hostName.MatchString(host):
		return nil, fmt.Errorf("%q is neither a host name nor an IP address", host)
	case address.Zone() != "":
		return nil, errors.New("an address with a zone cannot be reached: write it without %")
	}
	port, err := portOf(u)
	if err != nil {
		return nil, err
	}
	return &Upstream{
		TLS:      u.Scheme == "https",
		Host:     host,
		Port:     port,
		BasePath: strings.TrimSuffix(u.EscapedPath(), "/"),
	}, nil
}

func portOf(u *url.URL) (uint16, error) {
	if u.Port() == "" {
		if u.Scheme == "https" {
			return 443, nil
		}
		return 80, nil
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil || port == 0 {
		return 0, fmt.Errorf("the port %q is not a number from 1 to 65535", u.Port())
	}
	return uint16(port), nil
}

// Authority is the upstream's host, and its port where it is not the scheme's own: what goes into
// the Host header.
func (u *Upstream) Authority() string {
	host := u.Host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if u.TLS && u.Port == 443 || !u.TLS && u.Port == 80 {
		return host
	}
	return host + ":" + strconv.Itoa(int(u.Port))
}

// URL is the upstream's address as people write it. It holds no key.
func (u *Upstream) URL() string {
	scheme := "http://"
	if u.TLS {
		scheme = "https://"
	}
	return scheme + u.Authority() + u.BasePath
}

// redis reads a Redis' URL, of which only the beginning is looked at: the rest is its client's to read.
func (r *resolver) redis(field, written string) Secret {
	before := len(r.problems)
	url := r.secret(field, written)
	scheme, _, _ := strings.Cut(url.Reveal(), "://")
	if len(r.problems) == before && !slices.Contains([]string{"redis", "rediss", "unix"}, scheme) {
		r.problem(field, "must begin with redis://, like redis://127.0.0.1:6379, or rediss:// for TLS, or unix:// for a socket")
	}
	return url
}

// proxy reads a proxy's URL and looks its host up: Envoy takes addresses only.
func (r *resolver) proxy(field, text string) netip.AddrPort {
	if written, err := url.Parse(text); err == nil && written.User != nil {
		r.problem(field, "holds a user or password, which Envoy cannot tell a proxy: use one that wants none, such as one of your own that tells the other (docs/recipes.md), and write http://HOST:PORT")
		return netip.AddrPort{}
	}
	p, err := parseURL(text)
	if err != nil || p.TLS || p.BasePath != "" {
		r.problem(field, "must be http://HOST:PORT")
		return netip.AddrPort{}
	}
	addresses, err := net.DefaultResolver.LookupNetIP(context.Background(), "ip", p.Host)
	if err != nil {
		r.problem(field, "the proxy's host cannot be looked up: %s", err)
		return netip.AddrPort{}
	}
	slices.SortFunc(addresses, func(a, b netip.Addr) int { return cmp.Or(a.Unmap().BitLen()-b.Unmap().BitLen(), a.Compare(b)) })
	return netip.AddrPortFrom(addresses[0].Unmap(), p.Port)
}
