package envoy

import (
	"bytes"
	_ "embed" // for the template
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"
)

//go:embed secret.tmpl
var secretTemplate string

// The files of a bootstrap: see [Bootstrap.Files].
const (
	BootstrapFile = "envoy.yaml"

	authoritiesFile = "tollgate-authorities.yaml"
	certificateFile = "tollgate-certificate.yaml"
)

// TLS is how Envoy and Tollgate prove who they are to each other. All paths are on Envoy's machine.
type TLS struct {
	// Authorities is a PEM file: those who may vouch for Tollgate.
	Authorities string

	// Certificate and PrivateKey are PEM files: what Envoy shows. Empty: it shows nothing.
	Certificate, PrivateKey string

	// ServerName must be in Tollgate's certificate. Default: the host of Bootstrap.Gate.
	ServerName string

	// Dir is the directory of what [Bootstrap.Files] makes.
	Dir string
}

// Files are all that Envoy starts with, by their names: [BootstrapFile] and, for TLS, a file for each secret.
// Envoy watches secrets that come by files of their own, and reads certificates again when they are replaced.
func (b Bootstrap) Files() (map[string][]byte, error) {
	main, err := b.YAML()
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{BootstrapFile: main}
	if b.TLS == nil {
		return files, nil
	}
	if files[authoritiesFile], err = b.TLS.secret("authorities"); err != nil {
		return nil, err
	}
	if b.TLS.Certificate != "" {
		files[certificateFile], err = b.TLS.secret("certificate")
	}
	return files, err
}

// secret renders one of the files that hold secrets' paths.
func (t *TLS) secret(kind string) ([]byte, error) {
	watched := strconv.Quote(filepath.Dir(t.Authorities))
	if kind == "certificate" {
		watched = strconv.Quote(filepath.Dir(t.Certificate))
	}
	var out bytes.Buffer
	err := template.Must(template.New("").Parse(secretTemplate)).ExecuteTemplate(&out, kind, map[string]string{
		"Authorities": strconv.Quote(t.Authorities),
		"Certificate": strconv.Quote(t.Certificate),
		"PrivateKey":  strconv.Quote(t.PrivateKey),
		"Watched":     watched,
	})
	if err != nil {
		return nil, fmt.Errorf("rendering a secret's file: %w", err)
	}
	return out.Bytes(), nil
}

// settings are what the bootstrap's template asks for; nil: no TLS.
func (t *TLS) settings(gate string) (map[string]string, error) {
	if t == nil {
		return nil, nil //nolint:nilnil // nothing to be said
	}
	switch {
	case strings.HasPrefix(gate, "unix://"):
		return nil, errors.New("TLS is for a gate at HOST:PORT: a Unix socket is for its owner alone, and needs none")
	case t.Authorities == "":
		return nil, errors.New("TLS needs the authorities that vouch for tollgate: without them Envoy would believe anyone")
	case (t.Certificate == "") != (t.PrivateKey == ""):
		return nil, errors.New("a certificate and its private key go together")
	case t.Certificate != "" && filepath.Dir(t.Certificate) != filepath.Dir(t.PrivateKey):
		return nil, errors.New("the certificate and its private key must be in one directory, which Envoy can watch for both")
	}
	name := t.ServerName
	if name == "" {
		name, _, _ = net.SplitHostPort(gate)
	}
	kind, sni := "DNS", name
	if _, err := netip.ParseAddr(name); err == nil {
		kind, sni = "IP_ADDRESS", "" // RFC 6066: no literal addresses in SNI
	}
	return map[string]string{
		"ServerName":        strconv.Quote(name),
		"NameType":          kind,
		"SNI":               strconv.Quote(sni),
		"Certificate":       t.Certificate,
		"CertificateSecret": strconv.Quote(filepath.Join(t.Dir, certificateFile)),
		"AuthoritiesSecret": strconv.Quote(filepath.Join(t.Dir, authoritiesFile)),
	}, nil
}
