// Package failures says in the log why upstreams fail requests. A client hears no more than that one did; the reason
// is Envoy's to know, which tells it by an access log of these requests alone (see failureLog in package xds).
package failures

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	datav3 "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"tollgate/config"
)

const (
	// again is how long a reason that was told is only counted.
	again = time.Minute

	// most is how many reasons are remembered. Then all are forgotten, and told anew.
	most = 1000
)

const (
	// answered is what Envoy says of an upstream's own answer.
	answered = "via_upstream"

	// turnedDown is what we say of it.
	turnedDown = "the upstream answers 401: it turns its key down or, where auth is passthrough, perhaps a client's own"
)

// Log is where failures are told: each reason once, and again after a while with how often it was.
type Log struct {
	accesslogv3.UnimplementedAccessLogServiceServer

	log   *zap.Logger
	clock func() time.Time
	spent SpentKey
	ends  context.Context //nolint:containedctx // of the server, which its streams must not outlive

	mu   sync.Mutex
	told map[reason]*tally
}

// reason is what Envoy says of an upstream. Where it came to none, the upstream is empty: the route has to do.
type reason struct{ upstream, route, why string }

// tally is how many requests failed since it was told.
type tally struct {
	since    time.Time
	requests int
}

// SpentKey tells whether requests on a route, by its prefix, go to an upstream with the one key that it has.
type SpentKey func(prefix, upstream string) bool

// New makes a log. Clock gives the time, such as [time.Now].
func New(log *zap.Logger, clock func() time.Time, spent SpentKey) *Log {
	return &Log{log: log, clock: clock, spent: spent, told: map[reason]*tally{}}
}

// Register adds the service by which Envoys tell. ctx ends its streams.
func (l *Log) Register(ctx context.Context, server grpc.ServiceRegistrar) {
	l.ends = ctx
	accesslogv3.RegisterAccessLogServiceServer(server, l)
}

// StreamAccessLogs implements Envoy's access log service.
func (l *Log) StreamAccessLogs(stream accesslogv3.AccessLogService_StreamAccessLogsServer) error {
	received := make(chan error, 1)
	go func() {
		for {
			message, err := stream.Recv()
			if err != nil {
				received <- err
				return
			}
			for _, entry := range message.GetHttpLogs().GetLogEntry() {
				l.heard(entry)
			}
		}
	}()
	select {
	case <-l.ends.Done():
		return stream.SendAndClose(&accesslogv3.StreamAccessLogsResponse{}) //nolint:wrapcheck // gRPC's own
	case err := <-received:
		if errors.Is(err, io.EOF) {
			return nil
		}
		return fmt.Errorf("hearing of failures: %w", err)
	}
}

// heard tells of a failure, or counts it.
func (l *Log) heard(entry *datav3.HTTPAccessLogEntry) {
	common := entry.GetCommonProperties()
	r := reason{why: entry.GetResponse().GetResponseCodeDetails()}
	r.upstream, _, _ = strings.Cut(common.GetUpstreamCluster(), "@")
	said := common.GetMetadata().GetFilterMetadata()[config.MetadataNamespace].GetFields()
	r.route, _, _ = strings.Cut(cmp.Or(said[config.SaidRouteKey].GetStringValue(), common.GetRouteName()), "@")
	if entry.GetResponse().GetResponseCode().GetValue() == 401 {
		if r.why != answered || !l.spent(r.route, r.upstream) {
			return
		}
		r.why = turnedDown
	}
	requests := l.count(r)
	if requests == 0 {
		return
	}
	fields := []zap.Field{zap.String("route", r.route), zap.String("why", r.why), zap.Int("requests", requests)}
	if r.upstream != "" {
		fields = append(fields, zap.String("upstream", r.upstream))
	}
	if hint := hintFor(r.why); hint != "" {
		fields = append(fields, zap.String("hint", hint))
	}
	l.log.Error("an upstream fails requests", fields...)
}

// count gives how many requests failed for a reason since it was told; 0 where it was told just now.
func (l *Log) count(r reason) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock()
	t, ok := l.told[r]
	if !ok {
		if len(l.told) >= most {
			clear(l.told)
		}
		l.told[r] = &tally{since: now}
		return 1
	}
	t.requests++
	if now.Sub(t.since) < again {
		return 0
	}
	requests := t.requests
	*t = tally{since: now}
	return requests
}

// hintFor says what to look at, by words of Envoy's.
func hintFor(why string) string {
	for _, known := range []struct{ word, hint string }{
		{turnedDown, "clients get that answer, and may think that theirs is meant: look at keys of this upstream"},
		{"CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_SAN_matcher", "its certificate is for another name: write that as server_name, or mend the url"},
		{"CERTIFICATE_VERIFY_FAILED", "nobody whom this machine trusts vouches for its certificate: name a company's own authority by ca_file"},
		{"WRONG_VERSION_NUMBER", "it does not speak TLS: is the url http://, or the port another?"},
		{"Connection_refused", "nothing listens there: look at url, and at proxy where there is one"},
		{"connection_timeout", "nothing answers there: is a firewall between, or a proxy needed?"},
		{"no_healthy_upstream", "its name cannot be looked up here, or it is passed over for a while after failures: look at url, at DNS, and whether a proxy is needed"},
		{"remote_connection_failure}", "the connection was closed as it began: where proxy is named, that may refuse this machine or this host"},
	} {
		if strings.Contains(why, known.word) {
			return known.hint
		}
	}
	return ""
}
