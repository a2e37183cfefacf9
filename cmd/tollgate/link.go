package main

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/pflag"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"tollgate/cmd/tollgate/link"
)

// linkFlags say where Envoys connect, and how both sides prove who they are.
type linkFlags struct {
	listen string
	files  link.Files
}

func (l *linkFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&l.listen, "listen", "unix:///run/tollgate/tollgate.sock", "gRPC `address` for Envoy: unix:///PATH or IP:PORT")
	flags.StringVar(&l.files.Certificate, "tls-cert", "", "PEM `file` with the certificate that Envoys are shown on IP:PORT")
	flags.StringVar(&l.files.PrivateKey, "tls-key", "", "PEM `file` with its private key")
	flags.StringVar(&l.files.Authorities, "tls-client-ca", "", "PEM `file` with the authorities that vouch for Envoys: one without a certificate of theirs is refused")
	flags.StringSliceVar((*[]string)(&l.files.Clients), "tls-client", nil, "`name` that may connect, * stands for any text: one of a certificate's DNS names, URIs, addresses or its common name (default: all that --tls-client-ca vouches for)")
}

// tls tells whether the link is to speak TLS.
func (l *linkFlags) tls() bool { return l.files.Certificate != "" }

// check sees that the flags fit together.
func (l *linkFlags) check() error {
	f := l.files
	switch {
	case (f.Certificate == "") != (f.PrivateKey == ""):
		return errors.New("--tls-cert and --tls-key go together: a certificate and its private key")
	case f.Authorities != "" && f.Certificate == "":
		return errors.New("--tls-client-ca needs --tls-cert and --tls-key: without TLS no Envoy can show a certificate")
	case len(f.Clients) > 0 && f.Authorities == "":
		return errors.New("--tls-client needs --tls-client-ca: without it no Envoy is asked for a certificate")
	case l.tls() && strings.HasPrefix(l.listen, "unix://"):
		return withHint(errors.New("--tls-cert is for IP:PORT, and --listen names a Unix socket"),
			"a Unix socket is for its owner alone, and needs no TLS")
	}
	return nil
}

// options are those of the gRPC server on the link. What keeps its certificates up to date ends with ctx.
func (l *linkFlags) options(ctx context.Context, log *zap.Logger) ([]grpc.ServerOption, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	switch {
	case local(l.listen):
	case !l.tls():
		log.Warn("keys travel to Envoy in the clear, and whoever reaches this address is trusted: use a Unix socket, a network of their own, or --tls-cert and --tls-client-ca",
			zap.String("listen", l.listen))
	case l.files.Authorities == "":
		log.Warn("whoever reaches this address is trusted: have Envoys show certificates by --tls-client-ca", zap.String("listen", l.listen))
	}
	if !l.tls() {
		return nil, nil
	}
	between, err := link.New(log.Named("link"), l.files)
	if err != nil {
		return nil, err //nolint:wrapcheck // it says which file
	}
	if err := between.Follow(ctx); err != nil {
		return nil, err //nolint:wrapcheck // it says what was being done
	}
	return []grpc.ServerOption{grpc.Creds(between.Credentials())}, nil
}
