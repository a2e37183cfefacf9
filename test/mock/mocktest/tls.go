package mocktest

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"tollgate/test/mock"
)

// StartTLS serves a mock by HTTPS, and returns the PEM file of an authority of its own that vouches
// for it, by the names 127.0.0.1 and mock.test. Protocols are what it offers by ALPN: h2 and
// http/1.1 where none is named. [mock.Request] tells which one was taken.
func StartTLS(tb testing.TB, opts mock.Options, protocols ...string) (url, caFile string, upstream *mock.Server) {
	tb.Helper()
	if len(protocols) == 0 {
		protocols = []string{"h2", "http/1.1"}
	}
	authority := NewAuthority(tb, "the mock's authority")
	certificate, err := tls.LoadX509KeyPair(authority.Issue(tb, ForServer))
	if err != nil {
		tb.Fatalf("loading the mock's certificate: %v", err)
	}
	upstream = mock.New(opts)
	server := httptest.NewUnstartedServer(upstream)
	server.EnableHTTP2 = protocols[0] == "h2"
	server.TLS = &tls.Config{
		Certificates: []tls.Certificate{certificate},
		NextProtos:   protocols,
		MinVersion:   tls.VersionTLS12,
	}
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // handshakes that fail are meant to
	server.StartTLS()
	tb.Cleanup(func() { end(server) })
	return server.URL, authority.File, upstream
}

// Client is an HTTP client that trusts one authority only, and speaks HTTP/2 where the server does.
func Client(tb testing.TB, caFile string) *http.Client {
	tb.Helper()
	authority, err := os.ReadFile(caFile)
	if err != nil {
		tb.Fatalf("reading the authority's certificate: %v", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority) {
		tb.Fatalf("%s holds no certificate", caFile)
	}
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	tb.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}
