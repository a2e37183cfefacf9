package auth_test

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/config"
	"tollgate/extproc/auth"
	"tollgate/extproc/exchange"
)

const (
	forward = "fk-alice-0123456789"
	own     = "sk-clients-own-0123"
	real    = "sk-real-0123456789"
)

// newConfig resolves a configuration with one client and one route.
func newConfig(t *testing.T, rule string, upstream ...string) *config.Config {
	t.Helper()
	yaml := "clients: [{name: alice, keys: [" + forward + ", \"123\"]}]\n" +
		"upstreams: [{name: up, url: http://192.0.2.1, " + strings.Join(append(upstream, "keys: ["+real+"]"), ", ") + "}]\n" +
		"routes: [{prefix: /, upstream: up, auth: " + rule + "}]\n"
	c, err := config.Parse("test.yaml", []byte(yaml), func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func headers(pairs ...string) []exchange.Header {
	var list []exchange.Header
	for pair := range slices.Chunk(pairs, 2) {
		list = append(list, exchange.Header{Name: pair[0], Value: pair[1]})
	}
	return list
}

// admit applies the decision, so that tests say what the upstream sees.
func admit(c *config.Config, path string, sent []exchange.Header) (client string, seen []exchange.Header, err error) {
	route := c.Routes[0]
	request := &exchange.Request{Method: "POST", Path: path, Headers: sent}
	decision, err := auth.Admit(c, route, request)
	if err != nil {
		return "", nil, err
	}
	upstream := route.Upstreams()[0]
	key, ok := auth.NewKeys(upstream.Keys).Next(time.Now())
	decision.Give(request, upstream.KeyHeader, key, ok)
	if decision.Client != nil {
		client = decision.Client.Name
	}
	return client, applied(sent, decision.Changes), nil
}

// applied is what is seen of what was sent, once it is changed.
func applied(sent []exchange.Header, changes exchange.Changes) []exchange.Header {
	var seen []exchange.Header
	for _, h := range sent {
		replaced := slices.ContainsFunc(changes.Set, func(s exchange.Header) bool { return s.Name == h.Name })
		if !replaced && !slices.Contains(changes.Remove, h.Name) {
			seen = append(seen, h)
		}
	}
	return append(seen, changes.Set...)
}

func TestAdmit(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		rule, header string
		sent, seen   []exchange.Header
		client, code string
	}{
		"a key as bearer is swapped":              {rule: "required", sent: headers("authorization", "Bearer "+forward), seen: headers("authorization", "Bearer "+real), client: "alice"},
		"the scheme's case does not matter":       {rule: "required", sent: headers("authorization", "bearer  "+forward), seen: headers("authorization", "Bearer "+real), client: "alice"},
		"x-api-key stays x-api-key":               {rule: "required", sent: headers("x-api-key", forward), seen: headers("x-api-key", real), client: "alice"},
		"api-key stays api-key":                   {rule: "required", sent: headers("api-key", forward), seen: headers("api-key", real), client: "alice"},
		"unless the upstream wants another":       {rule: "required", header: "authorization", sent: headers("api-key", forward), seen: headers("authorization", "Bearer "+real), client: "alice"},
		"a realtime key stays a subprotocol":      {rule: "required", sent: headers("sec-websocket-protocol", "realtime, openai-insecure-api-key."+forward+", v1"), seen: headers("sec-websocket-protocol", "realtime, openai-insecure-api-key."+real+", v1"), client: "alice"},
		"a subprotocol's key leaves for a header": {rule: "required", header: "api-key", sent: headers("sec-websocket-protocol", "realtime, openai-insecure-api-key."+forward), seen: headers("sec-websocket-protocol", "realtime", "api-key", real), client: "alice"},
		"copies of the key are taken out":         {rule: "required", sent: headers("authorization", "Bearer "+forward, "x-copy", forward, "cookie", "a=b; k="+forward, "x-other", "stays"), seen: headers("x-other", "stays", "authorization", "Bearer "+real), client: "alice"},
		"other places for keys are emptied":       {rule: "required", sent: headers("authorization", "Bearer "+forward, "x-api-key", own, "x-goog-api-key", own), seen: headers("authorization", "Bearer "+real), client: "alice"},
		"a short key takes nothing else along":    {rule: "required", sent: headers("authorization", "Bearer 123", "x-count", "41230"), seen: headers("x-count", "41230", "authorization", "Bearer "+real), client: "alice"},
		"no key":                                  {rule: "required", sent: headers("accept", "*/*"), code: "invalid_api_key"},
		"an unknown key":                          {rule: "required", sent: headers("authorization", "Bearer "+own), code: "invalid_api_key"},
		"a key's beginning is no key":             {rule: "required", sent: headers("authorization", "Bearer "+forward[:10]), code: "invalid_api_key"},
		"passthrough swaps a client's key":        {rule: "passthrough", sent: headers("authorization", "Bearer "+forward), seen: headers("authorization", "Bearer "+real), client: "alice"},
		"passthrough lets another key travel":     {rule: "passthrough", sent: headers("authorization", "Bearer "+own, "cookie", own), seen: headers("authorization", "Bearer "+own, "cookie", own)},
		"passthrough lets no key travel":          {rule: "passthrough", sent: headers("accept", "*/*"), seen: headers("accept", "*/*")},
		"open asks for no key":                    {rule: "open", sent: headers("accept", "*/*"), seen: headers("accept", "*/*", "authorization", "Bearer "+real)},
		"open lets no other key travel":           {rule: "open", sent: headers("x-api-key", own), seen: headers("x-api-key", real)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var upstream []string
			if test.header != "" {
				upstream = []string{"key_header: " + test.header}
			}
			client, seen, err := admit(newConfig(t, test.rule, upstream...), "/v1/chat/completions", test.sent)
			var refusal *exchange.Refusal
			if errors.As(err, &refusal) != (test.code != "") || refusal != nil && refusal.Code != test.code {
				t.Fatalf("got the error %v, want code %q", err, test.code)
			}
			if client != test.client {
				t.Errorf("client %q, want %q", client, test.client)
			}
			if diff := cmp.Diff(test.seen, seen); diff != "" {
				t.Errorf("the upstream sees (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAdmitRefusesKeyInURL(t *testing.T) {
	t.Parallel()
	_, _, err := admit(newConfig(t, "required"), "/v1/models?key="+forward, headers("authorization", "Bearer "+forward))
	var refusal *exchange.Refusal
	if !errors.As(err, &refusal) || refusal.Status != 400 || strings.Contains(refusal.Message, forward) {
		t.Fatalf("got %v, want a 400 that does not tell the key", err)
	}
}

func TestAdmitAddresses(t *testing.T) {
	t.Parallel()
	c := newConfig(t, "required")
	route := *c.Routes[0]
	route.IP.Deny = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	for address, allowed := range map[string]bool{"192.0.2.7": false, "198.51.100.7": true, "": false} {
		request := &exchange.Request{Headers: headers("authorization", "Bearer "+forward)}
		if address != "" {
			request.Address = netip.MustParseAddr(address)
		}
		_, err := auth.Admit(c, &route, request)
		if (err == nil) != allowed {
			t.Errorf("%q: got %v, want allowed %v", address, err, allowed)
		}
	}
}

// FuzzAdmit: whatever a client sends beside its key, its key never travels on.
func FuzzAdmit(f *testing.F) {
	f.Add("cookie", "k="+forward, "authorization", "Bearer "+forward)
	f.Add("sec-websocket-protocol", "openai-insecure-api-key."+forward, "x-api-key", forward)
	f.Add("x-api-key", " "+forward+" ", "referer", "http://a/?k="+forward)
	f.Fuzz(func(t *testing.T, name1, value1, name2, value2 string) {
		sent := headers(strings.ToLower(name1), value1, strings.ToLower(name2), value2)
		client, seen, err := admit(newConfig(t, "required"), "/", sent)
		if err != nil || client != "alice" {
			return
		}
		for _, h := range seen {
			if strings.Contains(h.Value, forward) && !strings.HasPrefix(h.Name, ":") {
				t.Fatalf("the key travels on in %q: %q", h.Name, h.Value)
			}
		}
	})
}
