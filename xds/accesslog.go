package xds

import (
	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	filev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/file/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"tollgate/config"
)

// accessLog writes one JSON line a request into a file. Neither a header that can hold a key nor a
// query is in it.
func accessLog(path string) []*accesslogv3.AccessLog {
	if path == "" {
		return nil
	}
	fields := map[string]*structpb.Value{}
	for name, operator := range map[string]string{
		"time":             "%START_TIME%",
		"method":           "%REQ(:METHOD)%",
		"upstream_path":    "%PATH(NQ)%",
		"protocol":         "%PROTOCOL%",
		"status":           "%RESPONSE_CODE%",
		"flags":            "%RESPONSE_FLAGS%",
		"details":          "%RESPONSE_CODE_DETAILS%",
		"upstream_failure": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
		"bytes_received":   "%BYTES_RECEIVED%",
		"bytes_sent":       "%BYTES_SENT%",
		"duration_ms":      "%DURATION%",
		"first_byte_ms":    "%RESPONSE_DURATION%",
		"address":          "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
		"upstream":         "%UPSTREAM_CLUSTER%",
		"route":            routeID(),
		"call":             said(config.CallKey),
		"client":           said(config.ClientKey),
		"model":            said(config.ModelKey),
		"cache":            said(config.CacheKey),
		"shadow":           said(config.ShadowKey),
		"verdict":          said(config.VerdictKey),
		"attempts":         "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
		"key":              said(config.KeyKey), // its fingerprint
	} {
		fields[name] = structpb.NewStringValue(operator)
	}
	return []*accesslogv3.AccessLog{{
		Name: "envoy.access_loggers.file",
		ConfigType: &accesslogv3.AccessLog_TypedConfig{TypedConfig: anyOf(&filev3.FileAccessLog{
			Path: path,
			AccessLogFormat: &filev3.FileAccessLog_LogFormat{LogFormat: &corev3.SubstitutionFormatString{
				Format: &corev3.SubstitutionFormatString_JsonFormat{JsonFormat: &structpb.Struct{Fields: fields}},
			}},
		})},
	}}
}

// routeID is a route of ours: as the gate said where Envoy's name stands for many, else that name.
func routeID() string {
	return `%COALESCE({"operators":[{"command":"DYNAMIC_METADATA","param":"` +
		config.MetadataNamespace + ":" + config.SaidRouteKey + `"},"ROUTE_NAME"]})%`
}
