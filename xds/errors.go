package xds

import (
	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	celv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/filters/cel/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"tollgate/config"
)

// localReplies gives what Envoy answers by itself the shape of OpenAI's errors. What the gate or a
// route answers has it already.
func localReplies() *hcmv3.LocalReplyConfig {
	return &hcmv3.LocalReplyConfig{
		Mappers: []*hcmv3.ResponseMapper{
			asIs(&accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_MetadataFilter{
				MetadataFilter: &accesslogv3.MetadataFilter{
					Matcher:            verdict(config.VerdictRefuse),
					MatchIfKeyNotFound: wrapperspb.Bool(false),
				},
			}}),
			asIs(statusFilter(accesslogv3.ComparisonFilter_LE, 399)),
			flagged("the upstream cannot be reached; the log of this gateway says why", "upstream_unreachable", 503, "UF", "UH", "NC", "DF"),
			flagged("the upstream broke the connection before it answered; the log of this gateway says why", "upstream_reset", 503, "UC", "UR", "LR", "UPE"),
			flagged("there was no answer in time", "timeout", 504, "UT", "SI", "DT"),
			retryable(detailed("overload", "this gateway is overloaded; try again", "server_error", "overloaded")),
			retryable(flagged("the upstream has as many requests as it may have; try again", "overloaded", 503, "UO")),
			reply(403, "the gate ended without a verdict, so the request was refused", "server_error", "gate_without_verdict"),
			reply(404, "no route of this gateway begins like this path", "invalid_request_error", "unknown_route"),
			reply(408, "the request did not arrive in time", "invalid_request_error", "request_timeout"),
			reply(413, "the request's body is larger than this gateway takes", "invalid_request_error", "request_too_large"),
			reply(429, "too many requests for this gateway", "rate_limit_error", "rate_limit_exceeded"),
			reply(431, "the request's headers are larger, or more, than this gateway takes", "invalid_request_error", "headers_too_large"),
			withStatus(503, reply(507, "the upstream failed, and the request is too large to be sent again", "server_error", "upstream_unreachable")),
			retryable(reply(503, "the gate cannot be asked now, so the request was refused; try again", "server_error", "gate_unavailable")),
			retryable(reply(504, "the gate did not answer in time, so the request was refused; try again", "server_error", "gate_timeout")),
		},
		BodyFormat: errorFormat("the request could not be handled (%RESPONSE_CODE_DETAILS%)", "invalid_request_error", "bad_request"),
	}
}

// asIs leaves a body alone.
func asIs(filter *accesslogv3.AccessLogFilter) *hcmv3.ResponseMapper {
	return &hcmv3.ResponseMapper{
		Filter: filter,
		BodyFormatOverride: &corev3.SubstitutionFormatString{
			Format:      &corev3.SubstitutionFormatString_TextFormatSource{TextFormatSource: inline("%LOCAL_REPLY_BODY%")},
			ContentType: "application/json",
		},
	}
}

// reply words the answer to a status.
func reply(status uint32, message, kind, code string) *hcmv3.ResponseMapper {
	return &hcmv3.ResponseMapper{
		Filter:             statusFilter(accesslogv3.ComparisonFilter_EQ, status),
		BodyFormatOverride: errorFormat(message, kind, code),
	}
}

// withStatus puts another status into an answer.
func withStatus(status uint32, m *hcmv3.ResponseMapper) *hcmv3.ResponseMapper {
	m.StatusCode = wrapperspb.UInt32(status)
	return m
}

// retryable tells clients when to come back, in seconds.
func retryable(m *hcmv3.ResponseMapper) *hcmv3.ResponseMapper {
	m.HeadersToAdd = append(m.HeadersToAdd, header("retry-after", "1"))
	return m
}

// flagged words the answer to one of Envoy's response flags, and sets the status that it means.
func flagged(message, code string, status uint32, flags ...string) *hcmv3.ResponseMapper {
	return &hcmv3.ResponseMapper{
		Filter: &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_ResponseFlagFilter{
			ResponseFlagFilter: &accesslogv3.ResponseFlagFilter{Flags: flags},
		}},
		StatusCode:         wrapperspb.UInt32(status),
		BodyFormatOverride: errorFormat(message+" (%RESPONSE_FLAGS%)", "server_error", code),
	}
}

// detailed words the answer that Envoy gives for one of its own reasons. It does so where neither status nor
// flags tell: the flag of the overload manager is set only after the answer was made.
func detailed(details, message, kind, code string) *hcmv3.ResponseMapper {
	return &hcmv3.ResponseMapper{
		Filter: &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_ExtensionFilter{
			ExtensionFilter: &accesslogv3.ExtensionFilter{
				Name: "envoy.access_loggers.extension_filters.cel",
				ConfigType: &accesslogv3.ExtensionFilter_TypedConfig{TypedConfig: anyOf(&celv3.ExpressionFilter{
					Expression: "response.code_details == '" + details + "'",
				})},
			},
		}},
		BodyFormatOverride: errorFormat(message, kind, code),
	}
}

func statusFilter(op accesslogv3.ComparisonFilter_Op, status uint32) *accesslogv3.AccessLogFilter {
	return &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_StatusCodeFilter{
		StatusCodeFilter: &accesslogv3.StatusCodeFilter{Comparison: &accesslogv3.ComparisonFilter{
			Op:    op,
			Value: &corev3.RuntimeUInt32{DefaultValue: status, RuntimeKey: "tollgate.unused"},
		}},
	}}
}

// errorFormat is an error of Envoy's own in OpenAI's shape. It says nothing of addresses and paths:
// Envoy's details are for the operator.
func errorFormat(message, kind, code string) *corev3.SubstitutionFormatString {
	return &corev3.SubstitutionFormatString{
		ContentType: "application/json",
		Format: &corev3.SubstitutionFormatString_JsonFormat{JsonFormat: &structpb.Struct{Fields: map[string]*structpb.Value{
			"error": structpb.NewStructValue(&structpb.Struct{Fields: map[string]*structpb.Value{
				"message": structpb.NewStringValue("Envoy: " + message),
				"type":    structpb.NewStringValue(kind),
				"param":   structpb.NewNullValue(),
				"code":    structpb.NewStringValue(code),
			}}),
		}}},
	}
}
