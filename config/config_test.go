package config

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"
	"testing"
)

func mustParse(t *testing.T, content string) *Config {
	t.Helper()
	c, err := Parse("tollgate.yaml", []byte(content), environmentOf(nil))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestIPRulesPermits(t *testing.T) {
	t.Parallel()
	ranges := func(written ...string) []netip.Prefix {
		var parsed []netip.Prefix
		for _, text := range written {
			r, err := parseRange(text)
			if err != nil {
				t.Fatal(err)
			}
			parsed = append(parsed, r)
		}
		return parsed
	}
	everyone := IPRules{}
	home := IPRules{Allow: ranges("192.0.2.0/24", "2001:db8::/32", "::ffff:198.51.100.7")}
	notHim := IPRules{Deny: ranges("192.0.2.7", "fe80::1%eth0")}
	both := IPRules{Allow: ranges("192.0.2.0/24"), Deny: ranges("192.0.2.128/25")}
	for _, test := range []struct {
		name    string
		rules   IPRules
		address string
		want    bool
	}{
		{"no rules", everyone, "203.0.113.1", true},
		{"no rules, no address", everyone, "", true},
		{"allowed", home, "192.0.2.1", true},
		{"allowed, mapped into IPv6", home, "::ffff:192.0.2.1", true},
		{"allowed as mapped, comes as IPv4", home, "198.51.100.7", true},
		{"allowed as mapped, comes as mapped", home, "::ffff:198.51.100.7", true},
		{"allowed, IPv6", home, "2001:db8::1", true},
		{"allowed, IPv6 with a zone", home, "2001:db8::1%eth0", true},
		{"not allowed", home, "192.0.3.1", false},
		{"not allowed, IPv6 that looks like it", home, "::192.0.2.1", false},
		{"allow list, no address", home, "", false},
		{"denied", notHim, "192.0.2.7", false},
		{"denied, mapped into IPv6", notHim, "::ffff:192.0.2.7", false},
		{"denied, with another zone", notHim, "fe80::1%eth1", false},
		{"not denied", notHim, "192.0.2.8", true},
		{"deny list, no address", notHim, "", false},
		{"allowed and not denied", both, "192.0.2.127", true},
		{"allowed and denied", both, "192.0.2.128", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var address netip.Addr
			if test.address != "" {
				address = netip.MustParseAddr(test.address)
			}
			if got := test.rules.Permits(address); got != test.want {
				t.Errorf("Permits(%s) = %t", test.address, got)
			}
		})
	}
}

func TestClientByKey(t *testing.T) {
	t.Parallel()
	c := mustParse(t, fmt.Sprintf(`
upstreams: [{name: a, url: http://a}]
routes: [{prefix: /, upstream: a}]
clients:
  - {name: alice, keys: [fk-1, fk-2]}
  - {name: bob, keys: ["sha256:%X"]}
`, sha256.Sum256([]byte("fk-3"))))
	for key, want := range map[string]string{"fk-1": "alice", "fk-2": "alice", "fk-3": "bob", "fk-": "", "": "", "FK-1": "", "fk-1 ": ""} {
		name := ""
		if client, ok := c.Client(key); ok {
			name = client.Name
		}
		if name != want {
			t.Errorf("%q is the key of %q, not of %q", key, name, want)
		}
	}
}

// TestNeeds: a route without any policy is Envoy's alone.
func TestNeeds(t *testing.T) {
	t.Parallel()
	rules := IPRules{Deny: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}
	for _, test := range []struct {
		name  string
		route Route
		want  bool
	}{
		{"nothing", Route{Auth: AuthPassthrough}, false},
		{"open", Route{Auth: AuthOpen}, true},
		{"required", Route{Auth: AuthRequired, Identified: true}, true},
		{"keys that may be clients'", Route{Auth: AuthPassthrough, Identified: true}, true},
		{"address rules", Route{Auth: AuthPassthrough, IP: rules}, true},
		{"address rules for all", Route{Auth: AuthPassthrough, ForAll: rules}, true},
		{"the upstream learns the address from Envoy", Route{Auth: AuthPassthrough, ForwardClientAddress: true}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := test.route.Needs().Gate; got != test.want {
				t.Errorf("gate: %t", got)
			}
		})
	}
}

// TestRouteID: it changes with what Envoy and the gate must agree on, and with nothing else.
func TestRouteID(t *testing.T) {
	t.Parallel()
	const one = `
upstreams: [{name: a, url: "http://%s", keys: [%s]}]
routes: [{prefix: %s, upstream: a, auth: %s}]
`
	id := func(url, key, prefix, auth string) string {
		return mustParse(t, fmt.Sprintf(one, url, key, prefix, auth)).Routes[0].ID
	}
	same := id("a", "sk-1", "/p", "open")
	if other := id("a", "sk-2", "/p/", "open"); other != same {
		t.Errorf("another key makes another route: %s, %s", same, other)
	}
	ids := []string{same, id("b", "sk-1", "/p", "open"), id("a", "sk-1", "/q", "open"), id("a", "sk-1", "/p", "passthrough")}
	slices.Sort(ids)
	if len(slices.Compact(ids)) != 4 {
		t.Errorf("different routes have one ID: %v", ids)
	}
}

func TestEqual(t *testing.T) {
	t.Parallel()
	const one = `
upstreams: [{name: a, url: http://a, keys: [%s]}]
routes: [{prefix: /, upstream: a}]
clients: [{name: alice, keys: [%s]}]
`
	c := mustParse(t, fmt.Sprintf(one, "sk-1", "fk-1"))
	for _, test := range []struct {
		upstreamKey, clientKey string
		want                   bool
	}{{"sk-1", "fk-1", true}, {"sk-2", "fk-1", false}, {"sk-1", "fk-2", false}} {
		if got := c.Equal(mustParse(t, fmt.Sprintf(one, test.upstreamKey, test.clientKey))); got != test.want {
			t.Errorf("with %s and %s: %t", test.upstreamKey, test.clientKey, got)
		}
	}
}
