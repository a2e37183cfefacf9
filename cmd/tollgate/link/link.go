// Package link is the way between Envoys and `tollgate serve` where they are not on one machine: TLS, and
// who may connect.
//
// What travels there are keys and configuration, so both sides must prove who they are: the server by its
// certificate, which Envoy checks against an authority and a name (see package envoy), an Envoy by a
// certificate of an authority that [Files] names, and by one of its names.
//
// Certificates are read again when their files change. Connections that stand go on; new ones see the new
// files. Files that cannot be used change nothing, and the log says why. Who is refused is named in the
// log, with what was shown and what was expected.
package link

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"google.golang.org/grpc/credentials"

	"tollgate/config"
)

// Files says where the certificates are, and who may connect.
type Files struct {
	Certificate string // PEM: the server's certificate and its chain
	PrivateKey  string // PEM

	// Authorities is a PEM file: those who may vouch for Envoys. Empty: whoever reaches the address may
	// connect.
	Authorities string

	// Clients are the names that may connect, * stands for any text: of a certificate's DNS names, URIs,
	// addresses and common name one must match. None: whomever the authorities vouch for.
	Clients config.Patterns
}

// Link is the server's side of the way. Its methods may be called by many goroutines.
type Link struct {
	log     *zap.Logger
	files   Files
	current atomic.Pointer[identity]
}

// identity is what the files held when they were read last.
type identity struct {
	own         *x509.Certificate
	authorities []*x509.Certificate
	config      *tls.Config
}

// New reads the files. Its error says which one cannot be used, and why.
func New(log *zap.Logger, files Files) (*Link, error) {
	l := &Link{log: log, files: files}
	now, err := files.read()
	if err != nil {
		return nil, err
	}
	l.use(now)
	return l, nil
}

// Follow reads the files again whenever they change, until ctx ends.
func (l *Link) Follow(ctx context.Context) error {
	watched := []string{l.files.Certificate, l.files.PrivateKey}
	if l.files.Authorities != "" {
		watched = append(watched, l.files.Authorities)
	}
	if err := config.Watch(ctx, watched, config.Notice{Rested: l.reload}); err != nil {
		return fmt.Errorf("watching the certificates of the link: %w", err)
	}
	return nil
}

func (l *Link) reload() {
	next, err := l.files.read()
	if err != nil {
		l.log.Error("the new certificates of the link are not used; the last good ones stay in force", zap.Error(err))
		return
	}
	if !next.equal(l.current.Load()) {
		l.use(next)
	}
}

func (l *Link) use(next *identity) {
	l.current.Store(next)
	l.log.Info("the link to Envoys shows this certificate", shown(next.own)...)
	if time.Now().After(next.own.NotAfter) {
		l.log.Error("the link's own certificate has expired: no Envoy will take it")
	}
}

// Credentials is how a gRPC server speaks on the link.
func (l *Link) Credentials() credentials.TransportCredentials {
	// A port that is scanned, or an Envoy that tries again for ever, must not fill the log.
	some := l.log.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		return zapcore.NewSamplerWithOptions(core, time.Minute, 10, 100)
	}))
	return doorman{
		TransportCredentials: credentials.NewTLS(&tls.Config{
			MinVersion: tls.VersionTLS12,
			GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
				return l.current.Load().config, nil
			},
		}),
		link: l,
		log:  some,
	}
}

// doorman says in the log whom it refuses.
type doorman struct {
	credentials.TransportCredentials

	link *Link
	log  *zap.Logger
}

// ServerHandshake is gRPC's way to begin a connection.
func (d doorman) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	connection, info, err := d.TransportCredentials.ServerHandshake(raw)
	if err == nil {
		return connection, info, nil
	}
	why, fields := d.link.explain(err)
	fields = append(fields, zap.Stringer("remote", raw.RemoteAddr()))
	if why == "" {
		d.log.Debug("a connection ended before it was one", append(fields, zap.Error(err))...)
	} else {
		d.log.Warn("a connection to the link was refused: "+why, fields...)
	}
	return nil, nil, err //nolint:wrapcheck // gRPC looks at what it is
}

// Clone keeps the doorman: gRPC clones what it is given.
func (d doorman) Clone() credentials.TransportCredentials {
	d.TransportCredentials = d.TransportCredentials.Clone()
	return d
}

// read makes an identity of what the files hold now.
func (f Files) read() (*identity, error) {
	pair, err := tls.LoadX509KeyPair(f.Certificate, f.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("the link's certificate %s and private key %s cannot be used: %w", f.Certificate, f.PrivateKey, err)
	}
	id := &identity{own: pair.Leaf, config: &tls.Config{
		MinVersion:             tls.VersionTLS12,
		Certificates:           []tls.Certificate{pair},
		NextProtos:             []string{"h2"},
		SessionTicketsDisabled: true, // who comes back is looked at again
	}}
	if f.Authorities == "" {
		return id, nil
	}
	if id.authorities, err = readCertificates(f.Authorities); err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	for _, authority := range id.authorities {
		pool.AddCert(authority)
	}
	id.config.ClientAuth, id.config.ClientCAs = tls.RequireAndVerifyClientCert, pool
	id.config.VerifyConnection = func(state tls.ConnectionState) error { return f.admit(state.PeerCertificates[0]) }
	return id, nil
}

// admit looks for a name that may connect.
func (f Files) admit(peer *x509.Certificate) error {
	if len(f.Clients) == 0 || slices.ContainsFunc(append(names(peer), peer.Subject.CommonName), f.Clients.Match) {
		return nil
	}
	return &nameError{certificate: peer}
}

func (i *identity) equal(other *identity) bool {
	same := func(a, b *x509.Certificate) bool { return a.Equal(b) }
	chain := func(i *identity) [][]byte { return i.config.Certificates[0].Certificate }
	return slices.EqualFunc(chain(i), chain(other), slices.Equal[[]byte]) && slices.EqualFunc(i.authorities, other.authorities, same)
}

// readCertificates reads all of a PEM file.
func readCertificates(file string) ([]*x509.Certificate, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("the link's certificate authorities cannot be read: %w", err)
	}
	certificates, err := parsePEM(content)
	if err == nil && len(certificates) == 0 {
		err = errors.New("it holds no PEM certificate")
	}
	if err != nil {
		return nil, fmt.Errorf("the link's certificate authorities in %s cannot be used: %w", file, err)
	}
	return certificates, nil
}
