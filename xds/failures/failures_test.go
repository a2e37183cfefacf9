package failures

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"strconv"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	datav3 "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"tollgate/config"
)

// listening is a log with a clock of its own.
func listening() (log *Log, lines *observer.ObservedLogs, pass func(time.Duration)) {
	core, lines := observer.New(zap.InfoLevel)
	now := time.Unix(1_700_000_000, 0)
	return New(zap.New(core), func() time.Time { return now }, func(prefix, upstream string) bool { return prefix == "/a" && upstream == "ours" }), lines, func(d time.Duration) { now = now.Add(d) }
}

func failed(upstream, why string) *datav3.HTTPAccessLogEntry {
	return &datav3.HTTPAccessLogEntry{
		CommonProperties: &datav3.AccessLogCommon{UpstreamCluster: upstream + "@0123456789ab", RouteName: "/a@0123456789ab"},
		Request:          &datav3.HTTPRequestProperties{Path: "/a?key=sk-sentinel", OriginalPath: "/a?key=sk-sentinel"},
		Response:         &datav3.HTTPResponseProperties{ResponseCodeDetails: why},
	}
}

// TestOnceAWhile: each reason is told at once, then at most once a minute, with how often it was.
func TestOnceAWhile(t *testing.T) {
	t.Parallel()
	log, lines, pass := listening()
	expect := func(want ...string) {
		t.Helper()
		var got []string
		for _, line := range lines.TakeAll() {
			said := line.ContextMap()
			got = append(got, fmt.Sprint(said["upstream"], " ", said["route"], " ", said["why"], " ", said["requests"]))
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("told %q, want %q", got, want)
		}
	}
	log.heard(failed("a", "refused"))
	expect("a /a refused 1")
	for range 9 {
		log.heard(failed("a", "refused"))
	}
	expect()
	log.heard(failed("a", "timeout"))
	log.heard(failed("b", "refused"))
	expect("a /a timeout 1", "b /a refused 1")
	ofMany := failed("", "no healthy upstream")
	ofMany.CommonProperties.RouteName = "*@0123456789ab.cd"
	ofMany.CommonProperties.Metadata = &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{config.MetadataNamespace: {
		Fields: map[string]*structpb.Value{config.SaidRouteKey: structpb.NewStringValue("/c@0123456789ab")},
	}}}
	log.heard(ofMany)
	expect("<nil> /c no healthy upstream 1")
	pass(again)
	log.heard(failed("a", "refused"))
	expect("a /a refused 10")
	log.heard(failed("a", "refused"))
	expect()
}

// TestTurnedDown: a 401 is told where the key that was turned down is the upstream's, and it has no other.
func TestTurnedDown(t *testing.T) {
	t.Parallel()
	log, lines, _ := listening()
	for _, entry := range []*datav3.HTTPAccessLogEntry{failed("another", answered), failed("ours", "by_another"), failed("ours", answered)} {
		entry.Response.ResponseCode = wrapperspb.UInt32(401)
		log.heard(entry)
	}
	if got := lines.All(); len(got) != 1 || got[0].ContextMap()["upstream"] != "ours" || got[0].ContextMap()["why"] != turnedDown {
		t.Errorf("told %v", got)
	}
}

// TestRemembersNoMoreThanMost: whatever Envoys say, memory has a bound.
func TestRemembersNoMoreThanMost(t *testing.T) {
	t.Parallel()
	log, _, _ := listening()
	for i := range 3 * most {
		log.heard(failed("a", strconv.Itoa(i)))
		if len(log.told) > most {
			t.Fatalf("%d reasons are remembered", len(log.told))
		}
	}
}

// TestHints: what Envoy 1.40 says of each fault leads to the advice for it.
func TestHints(t *testing.T) {
	t.Parallel()
	const reset = "upstream_reset_before_response_started{"
	seen := map[string]bool{"": true}
	for _, why := range []string{
		reset + "remote_connection_failure|TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_X509_verify_cert:_certificate_verification_error_at_depth_0:_unable_to_get_local_issuer_certificate:TLS_error_end}",
		reset + "remote_connection_failure|TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_SAN_matcher,_certificate_SANs_are_[gate.internal]:TLS_error_end}",
		reset + "remote_connection_failure|TLS_error:|268435703:SSL_routines:OPENSSL_internal:WRONG_VERSION_NUMBER:TLS_error_end}",
		reset + "remote_connection_failure|delayed_connect_error:_Connection_refused}",
		reset + "connection_timeout}",
		"no_healthy_upstream",
		turnedDown,
		reset + "remote_connection_failure}",
	} {
		hint := hintFor(why)
		if seen[hint] {
			t.Errorf("%s: %q", why, hint)
		}
		seen[hint] = true
	}
	if hint := hintFor(reset + "connection_termination}"); hint != "" {
		t.Errorf("an upstream that breaks off: %q", hint)
	}
}

// TestStreamsEnd: what an Envoy tells is heard at once, and its stream, which has no end of its own, does not hold up
// the server's.
func TestStreamsEnd(t *testing.T) {
	t.Parallel()
	core, lines := observer.New(zap.InfoLevel)
	ctx, end := context.WithCancel(t.Context())
	defer end()
	server, listener := grpc.NewServer(), bufconn.Listen(1<<16)
	New(zap.New(core), time.Now, nil).Register(ctx, server)
	go func() { _ = server.Serve(listener) }()
	defer server.Stop()
	connection, err := grpc.NewClient("passthrough:server", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	stream, err := accesslogv3.NewAccessLogServiceClient(connection).StreamAccessLogs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	err = stream.Send(&accesslogv3.StreamAccessLogsMessage{LogEntries: &accesslogv3.StreamAccessLogsMessage_HttpLogs{
		HttpLogs: &accesslogv3.StreamAccessLogsMessage_HTTPAccessLogEntries{LogEntry: []*datav3.HTTPAccessLogEntry{failed("a", "refused")}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for lines.Len() == 0 {
		runtime.Gosched()
	}
	end()
	server.GracefulStop()
}
