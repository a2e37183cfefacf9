package config

import (
	"crypto/tls"
	"crypto/x509"

	tollgatev1 "tollgate/proto/tollgate/v1"
)

func (r *resolver) serverCertificate(field string, m *tollgatev1.ServerTLS) *Certificate {
	if m == nil {
		return nil
	}
	c := r.certificate(field, m)
	if m.GetClientCaFile() != "" {
		c.ClientCA = r.authorities(field+".client_ca_file", m.GetClientCaFile())
	}
	return c
}

// certificate reads a certificate and its key and sees that they belong together.
func (r *resolver) certificate(field string, m interface {
	GetCertificateFile() string
	GetPrivateKeyFile() string
},
) *Certificate {
	chain := r.file(field+".certificate_file", m.GetCertificateFile())
	key := r.file(field+".private_key_file", m.GetPrivateKeyFile())
	if chain != "" && key != "" {
		if _, err := tls.X509KeyPair([]byte(chain), []byte(key)); err != nil {
			r.problem(field, "the certificate %s and the private key %s cannot be used: %s", m.GetCertificateFile(), m.GetPrivateKeyFile(), err)
		}
	}
	return &Certificate{Chain: chain, PrivateKey: NewSecret(key)}
}

// authorities reads a file of CA certificates and sees that it holds one.
func (r *resolver) authorities(field, path string) string {
	content := r.file(field, path)
	if content != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(content)) {
		r.problem(field, "%s holds no PEM certificate", path)
	}
	return content
}
