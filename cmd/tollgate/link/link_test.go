package link_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"tollgate/cmd/tollgate/link"
	"tollgate/config"
	"tollgate/test/mock/mocktest"
)

// serve runs a gRPC server on a link, and gives its address and what the link says.
func serve(t *testing.T, files link.Files) (address string, said *observer.ObservedLogs) {
	t.Helper()
	core, said := observer.New(zapcore.InfoLevel)
	between, err := link.New(zap.New(core), files)
	if err != nil {
		t.Fatal(err)
	}
	if err := between.Follow(t.Context()); err != nil {
		t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.Creds(between.Credentials()))
	healthv1.RegisterHealthServer(server, health.NewServer())
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return listener.Addr().String(), said
}

// connect calls the server once.
func connect(t *testing.T, address string, by credentials.TransportCredentials) (*grpc.ClientConn, error) {
	t.Helper()
	client, err := grpc.NewClient(address, grpc.WithTransportCredentials(by))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, err = healthv1.NewHealthClient(client).Check(ctx, &healthv1.HealthCheckRequest{})
	return client, err
}

// peer is what a client shows and whom it trusts.
func peer(t *testing.T, trusts, certificate, key string) credentials.TransportCredentials {
	t.Helper()
	authority, err := os.ReadFile(trusts)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	config := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	if certificate != "" {
		pair, err := tls.LoadX509KeyPair(certificate, key)
		if err != nil {
			t.Fatal(err)
		}
		// Not Certificates: a client would keep one back that the server did not ask for.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	return credentials.NewTLS(config)
}

// TestWhoMayConnect: who does not belong is refused, and the log says who it was and why.
func TestWhoMayConnect(t *testing.T) {
	t.Parallel()
	servers, envoys, others := mocktest.NewAuthority(t, "servers"), mocktest.NewAuthority(t, "envoys"), mocktest.NewAuthority(t, "others")
	certificate, key := servers.Issue(t, mocktest.ForServer)
	files := link.Files{Certificate: certificate, PrivateKey: key, Authorities: envoys.File, Clients: config.Patterns{"*.edge.test", "spiffe://test/envoy"}}
	edge := mocktest.ForClient("a.edge.test")
	past := func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }
	future := func(c *x509.Certificate) { c.NotBefore = time.Now().Add(30 * time.Minute) }
	shows := func(by *mocktest.Authority, changes ...func(*x509.Certificate)) credentials.TransportCredentials {
		certificate, key := by.Issue(t, changes...)
		return peer(t, servers.File, certificate, key)
	}
	tests := map[string]struct {
		by   credentials.TransportCredentials
		said string   // "": it may connect
		also []string // fields
	}{
		"one of the names":  {by: shows(envoys, edge)},
		"common name alone": {by: shows(envoys, edge, func(c *x509.Certificate) { c.DNSNames = nil })},
		"no certificate":    {by: peer(t, servers.File, "", ""), said: "it shows no certificate", also: []string{"CN=envoys"}},
		"another authority": {by: shows(others, edge), said: "not from an authority that may vouch", also: []string{"CN=a.edge.test", "CN=others", "CN=envoys"}},
		"another name":      {by: shows(envoys, mocktest.ForClient("a.core.test")), said: "none of its certificate's names may connect", also: []string{"a.core.test", "*.edge.test"}},
		"expired":           {by: shows(envoys, edge, past), said: "has expired", also: []string{"CN=a.edge.test", "not_after"}},
		"not yet valid":     {by: shows(envoys, edge, future), said: "is not valid yet", also: []string{"not_before"}},
		"a server's":        {by: shows(envoys, mocktest.ForServer), said: "not one for clients", also: []string{"CN=the mock"}},
		"plaintext":         {by: insecure.NewCredentials(), said: "does not speak TLS"},
		"it distrusts us":   {by: peer(t, others.File, "", ""), said: "does not take this server's certificate", also: []string{"CN=the mock", "CN=servers"}},
		"TLS of long ago":   {by: longAgo{}, said: "TLS could not be agreed on"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, said := serve(t, files)
			_, err := connect(t, address, test.by)
			if test.said == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil {
				t.Fatal("it may connect")
			}
			await(t, said, "refused", 1)
			line := text(t, said.FilterLevelExact(zapcore.WarnLevel).All()[0])
			for _, want := range append(test.also, test.said, "127.0.0.1:") {
				if !strings.Contains(line, want) {
					t.Errorf("the log says %q, want %q in it", line, want)
				}
			}
		})
	}
}

// text is a log line as it is written.
func text(t *testing.T, entry observer.LoggedEntry) string {
	t.Helper()
	line, err := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()).EncodeEntry(entry.Entry, entry.Context)
	if err != nil {
		t.Fatal(err)
	}
	return line.String()
}

// longAgo is a client that speaks TLS 1.1.
type longAgo struct {
	credentials.TransportCredentials
}

func (longAgo) ClientHandshake(ctx context.Context, _ string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	connection := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
	return connection, nil, connection.HandshakeContext(ctx)
}

func (longAgo) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "tls"}
}

func (l longAgo) Clone() credentials.TransportCredentials { return l }

// TestRenewal: renewed files count for new connections, those that stand go on, and files that cannot be used
// change nothing.
func TestRenewal(t *testing.T) {
	t.Parallel()
	old, next := mocktest.NewAuthority(t, "old"), mocktest.NewAuthority(t, "next")
	certificate, key := old.Issue(t, mocktest.ForServer)
	address, said := serve(t, link.Files{Certificate: certificate, PrivateKey: key})
	standing, err := connect(t, address, peer(t, old.File, "", ""))
	if err != nil {
		t.Fatal(err)
	}

	if err := os.WriteFile(certificate, []byte("half a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	await(t, said, "the last good ones stay in force", 1)
	if _, err := connect(t, address, peer(t, old.File, "", "")); err != nil {
		t.Errorf("a bad file ended the service: %v", err)
	}

	next.IssueInto(t, certificate, key, mocktest.ForServer)
	await(t, said, "shows this certificate", 2)
	if _, err := connect(t, address, peer(t, next.File, "", "")); err != nil {
		t.Errorf("the renewed certificate is not shown: %v", err)
	}
	if _, err := connect(t, address, peer(t, old.File, "", "")); err == nil {
		t.Error("the old certificate is still shown")
	}
	if standing.GetState() != connectivity.Ready {
		t.Errorf("a connection that stood is %s", standing.GetState())
	}
}

func await(t *testing.T, said *observer.ObservedLogs, what string, times int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for said.Filter(func(e observer.LoggedEntry) bool { return strings.Contains(e.Message, what) }).Len() < times {
		select {
		case <-ctx.Done():
			t.Fatalf("the link does not say %q: %v", what, said.All())
		case <-again.C:
		}
	}
}

// TestFilesThatCannotBeUsed: the error names the file.
func TestFilesThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	authority := mocktest.NewAuthority(t, "an authority")
	certificate, key := authority.Issue(t, mocktest.ForServer)
	_, otherKey := authority.Issue(t, mocktest.ForServer)
	for name, test := range map[string]struct {
		files link.Files
		says  []string
	}{
		"missing certificate": {link.Files{Certificate: "/nowhere/tls.crt", PrivateKey: key}, []string{"/nowhere/tls.crt", "no such file"}},
		"another's key":       {link.Files{Certificate: certificate, PrivateKey: otherKey}, []string{otherKey, "does not match"}},
		"missing authorities": {link.Files{Certificate: certificate, PrivateKey: key, Authorities: "/nowhere/ca.crt"}, []string{"/nowhere/ca.crt", "no such file"}},
		"no authorities":      {link.Files{Certificate: certificate, PrivateKey: key, Authorities: key}, []string{key, "holds no PEM certificate"}},
	} {
		_, err := link.New(zap.NewNop(), test.files)
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		for _, want := range test.says {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q in it", name, err, want)
			}
		}
	}
}
