package mocktest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

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
	caFile, certificate := newAuthority(tb)
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
	return server.URL, caFile, upstream
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

// newAuthority makes an authority, whose PEM file it names, and a certificate that it signed.
func newAuthority(tb testing.TB) (caFile string, certificate tls.Certificate) {
	tb.Helper()
	authority := template("the mock's authority")
	authority.IsCA, authority.BasicConstraintsValid = true, true
	authority.KeyUsage = x509.KeyUsageCertSign
	authorityKey := newKey(tb)
	signed := sign(tb, authority, authority, authorityKey, authorityKey)

	server, serverKey := template("the mock"), newKey(tb)
	server.DNSNames, server.IPAddresses = []string{"mock.test"}, []net.IP{net.IPv4(127, 0, 0, 1)}
	server.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	leaf := sign(tb, server, authority, serverKey, authorityKey)

	caFile = filepath.Join(tb.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed})
	if err := os.WriteFile(caFile, text, 0o600); err != nil {
		tb.Fatalf("writing the authority's certificate: %v", err)
	}
	return caFile, tls.Certificate{Certificate: [][]byte{leaf}, PrivateKey: serverKey}
}

func template(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
}

func newKey(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatalf("making a key: %v", err)
	}
	return key
}

func sign(tb testing.TB, of, by *x509.Certificate, key, with *ecdsa.PrivateKey) []byte {
	tb.Helper()
	signed, err := x509.CreateCertificate(rand.Reader, of, by, key.Public(), with)
	if err != nil {
		tb.Fatalf("signing a certificate: %v", err)
	}
	return signed
}
