package xds

import (
	"time"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	grpclogv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/grpc/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"tollgate/config"
)

// failureFlush bounds how late `tollgate serve` hears of a failure.
const failureFlush = time.Second

// accessLogs are the operator's file, if there is one, and what is said of failures.
func accessLogs(l *config.Listener) []*accesslogv3.AccessLog {
	// The gate answers 401 as well, but not to what it lets pass.
	passed := &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_MetadataFilter{
		MetadataFilter: &accesslogv3.MetadataFilter{Matcher: verdict(config.VerdictPass), MatchIfKeyNotFound: wrapperspb.Bool(false)},
	}}
	return append(accessLog(l.AccessLog), failureLog(&accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_AndFilter{
		AndFilter: &accesslogv3.AndFilter{Filters: []*accesslogv3.AccessLogFilter{keyTurnedDown(), passed}},
	}}))
}

// keyTurnedDown holds for what an upstream says to a key that it does not know.
func keyTurnedDown() *accesslogv3.AccessLogFilter {
	return statusFilter(accesslogv3.ComparisonFilter_EQ, 401)
}

// failureLog tells `tollgate serve` (package failures) of requests that an upstream failed or turned down, and of no
// other: the client hears that it was so, and only Envoy knows why. Where nobody listens, it is lost.
func failureLog(turnedDown *accesslogv3.AccessLogFilter) *accesslogv3.AccessLog {
	failed := &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_ResponseFlagFilter{
		ResponseFlagFilter: &accesslogv3.ResponseFlagFilter{Flags: []string{"UF", "UH", "NC", "DF", "UC", "UR", "UPE"}},
	}}
	return &accesslogv3.AccessLog{
		Name: "envoy.access_loggers.http_grpc",
		Filter: &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_OrFilter{
			OrFilter: &accesslogv3.OrFilter{Filters: []*accesslogv3.AccessLogFilter{failed, turnedDown}},
		}},
		ConfigType: &accesslogv3.AccessLog_TypedConfig{TypedConfig: anyOf(&grpclogv3.HttpGrpcAccessLogConfig{
			CommonConfig: &grpclogv3.CommonGrpcAccessLogConfig{
				LogName:             "failures",
				GrpcService:         toTollgate(GateCluster),
				TransportApiVersion: corev3.ApiVersion_V3,
				BufferFlushInterval: durationpb.New(failureFlush),
			},
		})},
	}
}
