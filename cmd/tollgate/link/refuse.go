package link

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
)

// nameError is of a certificate that is good, of somebody who may not connect.
type nameError struct{ certificate *x509.Certificate }

// Error is for gRPC: explain says more.
func (e *nameError) Error() string { return "none of the certificate's names may connect" }

// explain says why a handshake failed: in words, with what was shown and what was expected. Empty words are
// for connections that just ended.
func (l *Link) explain(err error) (why string, fields []zap.Field) {
	var (
		plain   tls.RecordHeaderError
		unnamed *nameError
		untrue  *tls.CertificateVerificationError
		remote  *net.OpError
	)
	now := l.current.Load()
	expected := zap.Strings("expected_authorities", subjects(now.authorities))
	switch {
	case errors.As(err, &plain):
		return "it does not speak TLS, and here nothing else is spoken", nil
	case errors.As(err, &unnamed):
		return "none of its certificate's names may connect",
			append(shown(unnamed.certificate), zap.Strings("expected_names", l.files.Clients))
	case errors.As(err, &untrue):
		peer := untrue.UnverifiedCertificates[0]
		return distrust(untrue.Err, peer), append(shown(peer), expected, zap.Error(untrue.Err))
	case strings.Contains(err.Error(), "didn't provide a certificate"):
		return "it shows no certificate", []zap.Field{expected}
	case errors.As(err, &remote) && remote.Op == "remote error":
		return "it does not take this server's certificate", append(shown(now.own), zap.Error(err))
	case strings.HasPrefix(err.Error(), "tls: "):
		return "TLS could not be agreed on", []zap.Field{zap.Error(err)}
	}
	return "", nil
}

// distrust says why no authority vouches for a certificate.
func distrust(err error, peer *x509.Certificate) string {
	var (
		unknown x509.UnknownAuthorityError
		invalid x509.CertificateInvalidError
	)
	switch {
	case errors.As(err, &unknown):
		return "its certificate is not from an authority that may vouch for Envoys"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && time.Now().Before(peer.NotBefore):
		return "its certificate is not valid yet"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "its certificate has expired"
	case errors.As(err, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		return "its certificate is not one for clients (extended key usage)"
	}
	return "its certificate cannot be used"
}

// shown describes a certificate.
func shown(c *x509.Certificate) []zap.Field {
	return []zap.Field{
		zap.Stringer("subject", c.Subject),
		zap.Stringer("issuer", c.Issuer),
		zap.Strings("names", names(c)),
		zap.Time("not_before", c.NotBefore),
		zap.Time("not_after", c.NotAfter),
	}
}

// names are a certificate's alternative names.
func names(c *x509.Certificate) []string {
	all := slices.Clone(c.DNSNames)
	for _, uri := range c.URIs {
		all = append(all, uri.String())
	}
	for _, ip := range c.IPAddresses {
		all = append(all, ip.String())
	}
	return all
}

func subjects(certificates []*x509.Certificate) []string {
	all := make([]string, len(certificates))
	for i, c := range certificates {
		all[i] = c.Subject.String()
	}
	return all
}

// parsePEM gives the certificates of a PEM text; other blocks are passed over.
func parsePEM(content []byte) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for {
		var block *pem.Block
		if block, content = pem.Decode(content); block == nil {
			return all, nil
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("reading a certificate: %w", err)
		}
		all = append(all, certificate)
	}
}
