package mocktest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Authority signs certificates.
type Authority struct {
	File string // PEM: its own certificate

	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// NewAuthority makes an authority.
func NewAuthority(tb testing.TB, name string) *Authority {
	tb.Helper()
	a := &Authority{File: filepath.Join(tb.TempDir(), "ca.pem"), certificate: template(name), key: newKey(tb)}
	a.certificate.IsCA, a.certificate.BasicConstraintsValid = true, true
	a.certificate.KeyUsage = x509.KeyUsageCertSign
	a.certificate.ExtKeyUsage = nil
	put(tb, a.File, "CERTIFICATE", a.sign(tb, a.certificate, a.key))
	return a
}

// ForServer is a certificate for a server at 127.0.0.1 that is called mock.test, too.
func ForServer(c *x509.Certificate) {
	c.Subject.CommonName = "the mock"
	c.DNSNames, c.IPAddresses = []string{"mock.test"}, []net.IP{net.IPv4(127, 0, 0, 1)}
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
}

// ForClient is a certificate for a client.
func ForClient(name string) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.Subject.CommonName, c.DNSNames = name, []string{name}
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
}

// Issue signs a certificate that lasts from an hour ago to an hour from now, changed as the caller likes, and
// names its PEM file and that of its key, which stand in a directory of their own.
func (a *Authority) Issue(tb testing.TB, changes ...func(*x509.Certificate)) (certificate, key string) {
	tb.Helper()
	dir := tb.TempDir()
	certificate, key = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	a.IssueInto(tb, certificate, key, changes...)
	return certificate, key
}

// IssueInto is Issue with files that the caller names; those that are there are replaced by rename, as
// certificates are renewed.
func (a *Authority) IssueInto(tb testing.TB, certificate, key string, changes ...func(*x509.Certificate)) {
	tb.Helper()
	leaf, private := template("nobody"), newKey(tb)
	for _, change := range changes {
		change(leaf)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		tb.Fatalf("encoding a key: %v", err)
	}
	put(tb, key, "PRIVATE KEY", encoded)
	put(tb, certificate, "CERTIFICATE", a.sign(tb, leaf, private))
}

// Certificate makes PEM files for a server at 127.0.0.1: its authority, its certificate, its key.
func Certificate(tb testing.TB) (authority, certificate, key string) {
	tb.Helper()
	a := NewAuthority(tb, "an authority")
	certificate, key = a.Issue(tb, ForServer)
	return a.File, certificate, key
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

func (a *Authority) sign(tb testing.TB, of *x509.Certificate, key *ecdsa.PrivateKey) []byte {
	tb.Helper()
	signed, err := x509.CreateCertificate(rand.Reader, of, a.certificate, key.Public(), a.key)
	if err != nil {
		tb.Fatalf("signing a certificate: %v", err)
	}
	return signed
}

func put(tb testing.TB, file, kind string, content []byte) {
	tb.Helper()
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content})
	if err := os.WriteFile(file+".new", text, 0o600); err != nil {
		tb.Fatalf("writing a certificate: %v", err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		tb.Fatalf("putting a certificate in place: %v", err)
	}
}
