package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

// callTLS asks by a client that trusts one authority.
func callTLS(t *testing.T, client *http.Client, url string, r request) (*http.Response, error) {
	t.Helper()
	out, err := http.NewRequestWithContext(t.Context(), r.method, url+r.path, r.body)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range r.headers {
		out.Header.Set(h.name, h.value)
	}
	response, err := client.Do(out)
	if err == nil {
		t.Cleanup(func() { _ = response.Body.Close() })
	}
	return response, err
}

// TestRenewedListener: the certificate that OpenAI-Forward's variables name is renewed without an edit. A stream
// that is under way goes on to its end and its connection is used again; new connections see the new one. A
// file that cannot be used changes nothing, and the log names it.
func TestRenewedListener(t *testing.T) {
	t.Parallel()
	upstream, _ := mocktest.Start(t, mock.Options{})
	old, next := mocktest.NewAuthority(t, "old"), mocktest.NewAuthority(t, "next")
	certificate, key := old.Issue(t, mocktest.ForServer)
	g := newGateway(t)
	g.write(t, ".env", fmt.Sprintf("OPENAI_BASE_URL=%s\nssl_certfile=%s\nssl_keyfile=%s\n", upstream, certificate, key))
	g.args = []string{"run", "--port", g.port(), "--admin", strings.TrimPrefix(g.admin, "http://")}
	g.start(t)
	url := "https://127.0.0.1:" + g.port()

	trusting := mocktest.Client(t, old.File)
	stream, err := callTLS(t, trusting, url, chat(100, "20ms"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(certificate, []byte("half a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	g.await(t, "the last good one stays in force", 1)
	g.await(t, "ssl_certfile: the certificate "+certificate, 1)
	if _, err := callTLS(t, mocktest.Client(t, old.File), url, request{method: http.MethodGet, path: "/healthz"}); err != nil {
		t.Errorf("after a bad file: %v", err)
	}
	next.IssueInto(t, certificate, key, mocktest.ForServer)
	eventually(t, "the new certificate is shown", func() bool {
		_, err := callTLS(t, mocktest.Client(t, next.File), url, request{method: http.MethodGet, path: "/healthz"})
		return err == nil
	})
	if _, err := callTLS(t, mocktest.Client(t, old.File), url, request{method: http.MethodGet, path: "/healthz"}); err == nil {
		t.Error("the old certificate is still shown")
	}
	body, err := io.ReadAll(stream.Body)
	if err != nil || !strings.HasSuffix(string(body), "data: [DONE]\n\n") {
		t.Errorf("the stream that was under way ended with %v and %q", err, body[max(0, len(body)-100):])
	}
	if _, err := callTLS(t, trusting, url, request{method: http.MethodGet, path: "/healthz"}); err != nil {
		t.Errorf("the connection that stood is not used again: %v", err)
	}
}

// TestClientsShowCertificates: a client without a certificate of the authorities does not get as far as HTTP.
func TestClientsShowCertificates(t *testing.T) {
	t.Parallel()
	upstream, _ := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	authority, clients := mocktest.NewAuthority(t, "servers"), mocktest.NewAuthority(t, "clients")
	certificate, key := authority.Issue(t, mocktest.ForServer)
	g := newGateway(t)
	secured := fmt.Sprintf(", tls: {certificate_file: %q, private_key_file: %q, client_ca_file: %q}}\n", certificate, key, clients.File)
	g.write(t, "tollgate.yaml", strings.Replace(g.addresses, "}\n", secured, 1)+oneRoute(upstream))
	g.args = []string{"serve", "--listen", "unix://" + g.dir + "/gate.sock"}
	c := &control{gateway: g, listen: "unix://" + g.dir + "/gate.sock"}
	c.spawn(t)
	c.envoy(t)
	c.awaitReady(t)
	asked := func(by *mocktest.Authority) error {
		client := mocktest.Client(t, authority.File)
		if by != nil {
			pair, err := tls.LoadX509KeyPair(by.Issue(t, mocktest.ForClient("alice")))
			if err != nil {
				t.Fatal(err)
			}
			client.Transport.(*http.Transport).TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				return &pair, nil
			}
		}
		_, err := callTLS(t, client, "https://127.0.0.1:"+g.port(), request{method: http.MethodGet, path: "/healthz"})
		return err
	}
	eventually(t, "Envoy listens", func() bool { return asked(clients) == nil })
	for name, by := range map[string]*mocktest.Authority{"none": nil, "another authority's": authority} {
		if asked(by) == nil {
			t.Errorf("a client with %s was answered", name)
		}
	}
	if err := asked(clients); err != nil {
		t.Errorf("after them: %v", err)
	}
}

// TestUpstreamAsksForCertificate: an upstream is shown a certificate, and a renewed one without an edit.
func TestUpstreamAsksForCertificate(t *testing.T) {
	t.Parallel()
	servers, clients := mocktest.NewAuthority(t, "servers"), mocktest.NewAuthority(t, "clients")
	upstream := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	pair, err := tls.LoadX509KeyPair(servers.Issue(t, mocktest.ForServer))
	if err != nil {
		t.Fatal(err)
	}
	vouching, err := os.ReadFile(clients.File)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(vouching)
	upstream.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
	upstream.Config.SetKeepAlivesEnabled(false) // so that each request shows a certificate
	upstream.StartTLS()
	t.Cleanup(upstream.Close)

	certificate, key := clients.Issue(t, mocktest.ForClient("first"))
	shown := fmt.Sprintf("client_certificate: {certificate_file: %q, private_key_file: %q},", certificate, key)
	g := launch(t, tlsRoute(upstream.URL, servers.File, shown))
	through := side{g.url, clientKey}
	if got := through.do(t, request{method: http.MethodGet, path: "/"}); got.Body != "first" {
		t.Errorf("the upstream was shown %d %q", got.Status, got.Body)
	}
	clients.IssueInto(t, certificate, key, mocktest.ForClient("second"))
	eventually(t, "the renewed certificate is shown", func() bool {
		got := through.do(t, request{method: http.MethodGet, path: "/"})
		if got.Body != "first" && got.Body != "second" {
			t.Fatalf("in between: %d %q", got.Status, got.Body)
		}
		return got.Body == "second"
	})

	unknown := launch(t, tlsRoute(upstream.URL, servers.File, ""))
	if got := (side{unknown.url, clientKey}).do(t, request{method: http.MethodGet, path: "/"}); got.Status < 500 {
		t.Errorf("without a certificate: %d %q", got.Status, got.Body)
	}
}
