package e2e

import (
	"crypto/x509"
	"net/http"
	"strings"
	"testing"
	"time"

	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

// pki is a server's certificate, and the authorities of both sides.
type pki struct {
	servers, envoys  *mocktest.Authority
	certificate, key string
}

func newPKI(t *testing.T) pki {
	t.Helper()
	p := pki{servers: mocktest.NewAuthority(t, "servers"), envoys: mocktest.NewAuthority(t, "envoys")}
	p.certificate, p.key = p.servers.Issue(t, mocktest.ForServer)
	return p
}

// serving are the flags of `tollgate serve`.
func (p pki) serving() []string {
	return []string{"--tls-cert", p.certificate, "--tls-key", p.key, "--tls-client-ca", p.envoys.File, "--tls-client", "*.edge.test"}
}

// showing are the flags of `tollgate bootstrap`.
func (p pki) showing(certificate, key string) []string {
	return []string{"--tls-ca", p.servers.File, "--tls-cert", certificate, "--tls-key", key}
}

// TestLink: an Envoy that can show who it is gets its configuration and has the gate asked, by TLS; certificates
// of both sides are renewed under load, and no request fails.
func TestLink(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	upstream, _ := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	c := serve(t, oneRoute(upstream), p.serving()...)
	certificate, key := p.envoys.Issue(t, mocktest.ForClient("a.edge.test"))
	c.envoy(t, append(p.showing(certificate, key), "--node", "a")...)
	c.awaitReady(t)

	l := startLoad(t, c.url+"/echo", 2)
	p.servers.IssueInto(t, p.certificate, p.key, mocktest.ForServer)
	c.await(t, "the link to Envoys shows this certificate", 2)
	p.envoys.IssueInto(t, certificate, key, mocktest.ForClient("b.edge.test"))
	c.edit(t, oneRoute(upstream)+"ip: {deny: [198.51.100.0/24]}\n", false)
	c.await(t, "a new configuration is in force", 1)
	l.end(t, 20)

	// The server comes back, and takes only what Envoy shows since its certificate was renewed.
	c.args[len(c.args)-1] = "b.edge.test"
	c.restart(t)
	if got := (side{c.url, clientKey}).do(t, request{method: http.MethodGet, path: "/echo"}); got.Status != http.StatusOK {
		t.Errorf("after a restart of the server: %d %s", got.Status, got.Body)
	}
	if strings.Contains(c.output.String(), "was refused") {
		t.Error("somebody was refused")
	}
}

// restart ends the server and starts it again.
func (c *control) restart(t *testing.T) {
	t.Helper()
	stop(t, c.process, c.died)
	c.ended = true
	c.spawn(t)
	c.ended = false
	c.awaitReady(t)
}

// TestLinkRefuses: an Envoy that shows the wrong certificate gets nothing, and the log says which and why; so
// does an Envoy whose server shows a wrong one. Envoy learns by TLS 1.3 that it was refused, but not why.
func TestLinkRefuses(t *testing.T) {
	t.Parallel()
	past := func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }
	edge := mocktest.ForClient("a.edge.test")
	others := mocktest.NewAuthority(t, "others")
	upstream, _ := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	issued := func(by *mocktest.Authority, p pki, changes ...func(*x509.Certificate)) []string {
		certificate, key := by.Issue(t, changes...)
		return p.showing(certificate, key)
	}
	tests := map[string]struct {
		change func(p *pki) (bootstrap []string)
		server []string // what the server says
		envoy  string   // what Envoy says
	}{
		"Envoy's has expired": {
			func(p *pki) []string { return issued(p.envoys, *p, edge, past) },
			[]string{"its certificate has expired", "CN=a.edge.test", "not_after"},
			"connection termination",
		},
		"Envoy's is of another authority": {
			func(p *pki) []string { return issued(others, *p, edge) },
			[]string{"not from an authority that may vouch for Envoys", "CN=others", "CN=envoys"},
			"connection termination",
		},
		"Envoy's has another name": {
			func(p *pki) []string { return issued(p.envoys, *p, mocktest.ForClient("a.core.test")) },
			[]string{"none of its certificate's names may connect", "a.core.test", "*.edge.test"},
			"connection termination",
		},
		"Envoy shows none": {
			func(p *pki) []string { return []string{"--tls-ca", p.servers.File} },
			[]string{"it shows no certificate", "CN=envoys"},
			"connection termination",
		},
		"Envoy speaks no TLS": {
			func(*pki) []string { return nil },
			[]string{"it does not speak TLS"},
			"connection termination",
		},
		"the server's has expired": {
			func(p *pki) []string {
				p.certificate, p.key = p.servers.Issue(t, mocktest.ForServer, past)
				return issued(p.envoys, *p, edge)
			},
			[]string{"does not take this server's certificate", "has expired: no Envoy will take it"},
			"CERTIFICATE_VERIFY_FAILED",
		},
		"the server's is of another authority": {
			func(p *pki) []string {
				p.certificate, p.key = others.Issue(t, mocktest.ForServer)
				return issued(p.envoys, *p, edge)
			},
			[]string{"does not take this server's certificate", "CN=others"},
			"CERTIFICATE_VERIFY_FAILED",
		},
		"the server's has another name": {
			func(p *pki) []string {
				return append(issued(p.envoys, *p, edge), "--tls-name", "elsewhere.test")
			},
			[]string{"does not take this server's certificate", "mock.test"},
			"SAN_matcher",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPKI(t)
			bootstrap := test.change(&p)
			c := serve(t, oneRoute(upstream), p.serving()...)
			c.await(t, "serving", 1)
			said := c.envoy(t, bootstrap...)
			for _, want := range test.server {
				c.await(t, want, 1)
			}
			eventually(t, "Envoy says "+test.envoy, func() bool { return strings.Contains(said.String(), test.envoy) })
			if strings.Contains(c.output.String(), "an Envoy has connected") {
				t.Error("it was let in")
			}
		})
	}
}

// TestLinkRefusesTheGate: an Envoy that has its configuration, and may not connect any more, has nothing answered: its
// clients are refused, and the log says which certificate it shows, and why that is not enough.
func TestLinkRefusesTheGate(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	upstream, _ := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	c := serve(t, oneRoute(upstream), p.serving()...)
	certificate, key := p.envoys.Issue(t, mocktest.ForClient("a.edge.test"))
	c.envoy(t, p.showing(certificate, key)...)
	c.awaitReady(t)

	stop(t, c.process, c.died)
	c.ended = true
	c.args[len(c.args)-1] = "b.edge.test"
	c.spawn(t)
	c.ended = false
	c.await(t, "serving", 2)
	got := (side{c.url, clientKey}).do(t, request{method: http.MethodGet, path: "/echo"})
	got.isError(t, http.StatusServiceUnavailable, "gate_unavailable", "Envoy")
	for _, want := range []string{"none of its certificate's names may connect", "CN=a.edge.test", `"expected_names":["b.edge.test"]`} {
		c.await(t, want, 1)
	}
}
