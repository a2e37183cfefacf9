package xds

import (
	"time"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	grpclogv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/grpc/v3"
	"google.golang.org/protobuf/types/known/durationpb"

	"tollgate/config"
)

// failureFlush bounds how late `tollgate serve` hears of a failure.
const failureFlush = time.Second

// accessLogs are the operator's file, if there is one, and what is said of failures.
func accessLogs(l *config.Listener) []*accesslogv3.AccessLog {
	return append(accessLog(l.AccessLog), failureLog())
}

// failureLog tells `tollgate serve` (package failures) of requests that an upstream failed, and of no other: the client
// hears that it was so, and only Envoy knows why. Where nobody listens, it is lost.
func failureLog() *accesslogv3.AccessLog {
	return &accesslogv3.AccessLog{
		Name: "envoy.access_loggers.http_grpc",
		Filter: &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_ResponseFlagFilter{
			ResponseFlagFilter: &accesslogv3.ResponseFlagFilter{Flags: []string{"UF", "UH", "NC", "DF", "UC", "UR", "UPE"}},
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
