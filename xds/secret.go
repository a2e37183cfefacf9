package xds

import (
	"errors"
	"fmt"
	"os"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"tollgate/config"
)

// SystemCA reads the machine's certificate authorities: $SSL_CERT_FILE, else where Linux
// distributions, the BSDs and macOS keep them. They travel to Envoy by SDS, so Envoy's own machine
// or image needs none.
func SystemCA() (string, error) {
	files := []string{
		"/etc/ssl/certs/ca-certificates.crt",                // Debian, Alpine, distroless
		"/etc/pki/tls/certs/ca-bundle.crt",                  // Fedora
		"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // CentOS
		"/etc/ssl/ca-bundle.pem",                            // openSUSE
		"/etc/ssl/cert.pem",                                 // macOS, OpenBSD
		"/usr/local/share/certs/ca-root-nss.crt",            // FreeBSD
	}
	if named := os.Getenv("SSL_CERT_FILE"); named != "" {
		files = []string{named}
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err == nil {
			return string(content), nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("reading the system's certificate authorities: %w", err)
		}
	}
	return "", fmt.Errorf("no system certificate authorities: none of %v exists; install the package ca-certificates, set SSL_CERT_FILE, or give each https upstream a ca_file", files)
}

// authorities adds the secret that holds an upstream's certificate authorities, and names it.
func (r *Resources) authorities(u *config.Upstream, systemCA string) (string, error) {
	if !u.TLS {
		return "", nil
	}
	bundle := u.CA
	if bundle == "" {
		bundle = systemCA
	}
	if bundle == "" {
		return "", fmt.Errorf("upstream %q: there are no certificate authorities to check it against", u.Name)
	}
	return r.addSecret("authorities", &tlsv3.Secret{Type: &tlsv3.Secret_ValidationContext{
		ValidationContext: &tlsv3.CertificateValidationContext{TrustedCa: inline(bundle)},
	}}), nil
}

// certificate adds the secret that holds the listener's certificate, and names it.
func (r *Resources) certificate(c *config.Certificate) string {
	if c == nil {
		return ""
	}
	return r.addSecret("certificate", &tlsv3.Secret{Type: &tlsv3.Secret_TlsCertificate{
		TlsCertificate: &tlsv3.TlsCertificate{
			CertificateChain: inline(c.Chain),
			PrivateKey:       inline(c.PrivateKey.Reveal()),
		},
	}})
}

func (r *Resources) addSecret(name string, secret *tlsv3.Secret) string {
	secret.Name = nameOf(name, secret)
	for _, existing := range r.Secrets {
		if existing.GetName() == secret.GetName() {
			return secret.GetName()
		}
	}
	r.Secrets = append(r.Secrets, secret)
	return secret.GetName()
}

func inline(content string) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: content}}
}

func sdsSecret(name string) *tlsv3.SdsSecretConfig {
	return &tlsv3.SdsSecretConfig{Name: name, SdsConfig: byADS()}
}
