package envoytest

import (
	"bytes"
	_ "embed" // for the template
	"net/url"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"text/template"

	"tollgate/envoy"
	"tollgate/test/mock/mocktest"
)

//go:embed bare.tmpl
var bareTemplate string

// Bare is an Envoy that Tollgate has nothing to do with: its defaults, and one route for all to an upstream.
type Bare struct {
	URL string // for clients
	PID int
}

// Certificate is what a server shows: PEM files. The zero value is plain HTTP.
type Certificate struct{ Chain, PrivateKey string }

// StartBare runs an Envoy that forwards everything to an upstream, and waits until it answers.
func StartBare(tb testing.TB, upstream string, certificate Certificate) *Bare {
	tb.Helper()
	program, err := envoy.Find()
	if err != nil {
		tb.Fatal(err)
	}
	to, err := url.Parse(upstream)
	if err != nil {
		tb.Fatal(err)
	}
	listen := mocktest.FreeAddress(tb)
	_, port, _ := strings.Cut(listen, ":")
	var configuration bytes.Buffer
	if err := template.Must(template.New("bare").Parse(bareTemplate)).Execute(&configuration, map[string]any{
		"Port": port, "UpstreamHost": to.Hostname(), "UpstreamPort": to.Port(),
		"Chain": strconv.Quote(certificate.Chain), "PrivateKey": strconv.Quote(certificate.PrivateKey), "TLS": certificate.Chain != "",
	}); err != nil {
		tb.Fatal(err)
	}
	cmd := exec.Command(program, "--config-yaml", configuration.String(), //nolint:gosec // the operator names the program
		"--concurrency", "2", "--disable-hot-restart", "--log-level", "error")
	bare := &Bare{URL: "http://" + listen, PID: keep(tb, cmd)}
	if certificate.Chain != "" {
		bare.URL = "https://" + listen
	}
	await(tb, bare.URL)
	return bare
}
