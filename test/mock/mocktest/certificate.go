package mocktest

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
)

// Certificate makes PEM files for a server at 127.0.0.1: its authority, its certificate, its key.
func Certificate(tb testing.TB) (authority, certificate, key string) {
	tb.Helper()
	authority, pair := newAuthority(tb)
	private, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		tb.Fatalf("encoding a key: %v", err)
	}
	dir := filepath.Dir(authority)
	certificate, key = filepath.Join(dir, "server.pem"), filepath.Join(dir, "server.key")
	for file, block := range map[string]*pem.Block{
		certificate: {Type: "CERTIFICATE", Bytes: pair.Certificate[0]},
		key:         {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			tb.Fatalf("writing a certificate: %v", err)
		}
	}
	return authority, certificate, key
}
