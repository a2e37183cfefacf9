package xds

import (
	"cmp"
	"errors"
	"fmt"
	"os"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

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

// trust names the secrets by which Envoy and an upstream know each other; empty where there are none.
type trust struct{ authorities, certificate string }

// trust adds these secrets.
func (r *Resources) trust(u *config.Upstream, systemCA string) (trust, error) {
	if !u.TLS {
		return trust{}, nil
	}
	bundle := cmp.Or(u.CA, systemCA)
	if bundle == "" {
		return trust{}, fmt.Errorf("upstream %q: there are no certificate authorities to check it against", u.Name)
	}
	secret := authorities(bundle)
	secret.Name = nameOf("authorities", secret)
	names := trust{authorities: r.addSecret(secret)}
	if u.Certificate != nil {
		names.certificate = r.addSecret(certificate("client-certificate/"+u.Name, u.Certificate))
	}
	return names, nil
}

// The listener's secrets: what clients are shown, and who vouches for them.
const (
	listenerCertificate = "certificate"
	clientAuthorities   = "client-authorities"
)

// serverTLS adds the listener's secrets, and says how it speaks; nil: in the clear.
//
// These secrets, and those that upstreams are shown, are not named after their content: a renewed certificate
// is a new version of the same secret, so that listeners, clusters and their connections stay as they are.
func (r *Resources) serverTLS(c *config.Certificate) *tlsv3.DownstreamTlsContext {
	if c == nil {
		return nil
	}
	r.addSecret(certificate(listenerCertificate, c))
	context := downstreamTLS()
	if c.ClientCA != "" {
		vouching := authorities(c.ClientCA)
		vouching.Name = clientAuthorities
		context.RequireClientCertificate = wrapperspb.Bool(true)
		context.CommonTlsContext.ValidationContextType = &tlsv3.CommonTlsContext_ValidationContextSdsSecretConfig{
			ValidationContextSdsSecretConfig: sdsSecret(r.addSecret(vouching)),
		}
	}
	return context
}

// authorities is a secret without a name.
func authorities(bundle string) *tlsv3.Secret {
	return &tlsv3.Secret{Type: &tlsv3.Secret_ValidationContext{
		ValidationContext: &tlsv3.CertificateValidationContext{TrustedCa: inline(bundle)},
	}}
}

func certificate(name string, c *config.Certificate) *tlsv3.Secret {
	return &tlsv3.Secret{Name: name, Type: &tlsv3.Secret_TlsCertificate{
		TlsCertificate: &tlsv3.TlsCertificate{
			CertificateChain: inline(c.Chain),
			PrivateKey:       inline(c.PrivateKey.Reveal()),
		},
	}}
}

func (r *Resources) addSecret(secret *tlsv3.Secret) string {
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
