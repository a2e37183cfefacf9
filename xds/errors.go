package xds

import (
	"encoding/json"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
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
			reply(404, "no route of this gateway begins like this path", "invalid_request_error", "unknown_route"),
			reply(403, "the gate gave no verdict, so the request was refused", "server_error", "no_verdict"),
			reply(413, "the request is larger than this gateway takes", "invalid_request_error", "request_too_large"),
			reply(429, "too many requests for this gateway", "rate_limit_error", "rate_limit_exceeded"),
			reply(431, "the request's headers are larger than this gateway takes", "invalid_request_error", "headers_too_large"),
			flagged("the gate did not answer, so the request was refused; try again", "gate_unavailable", 503, "UAEX"),
			flagged("the upstream cannot be reached", "upstream_unreachable", 503, "UF", "UH", "UR", "NC", "DF"),
			flagged("the upstream closed the connection before it answered", "upstream_reset", 503, "UC", "LR", "URX", "UPE"),
			flagged("the upstream did not answer in time", "upstream_timeout", 504, "UT", "SI", "DT"),
			reply(503, "the service is not available; try again", "server_error", "unavailable"),
			reply(504, "there was no answer in time", "server_error", "timeout"),
		},
		BodyFormat: errorFormat("the request could not be handled", "invalid_request_error", "bad_request"),
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

// flagged words the answer to one of Envoy's response flags, and sets the status that it means.
func flagged(message, code string, status uint32, flags ...string) *hcmv3.ResponseMapper {
	return &hcmv3.ResponseMapper{
		Filter: &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_ResponseFlagFilter{
			ResponseFlagFilter: &accesslogv3.ResponseFlagFilter{Flags: flags},
		}},
		StatusCode:         wrapperspb.UInt32(status),
		BodyFormatOverride: errorFormat(message, "server_error", code),
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

// errorFormat is an error of Envoy's own in OpenAI's shape; Envoy adds its reason for operators.
func errorFormat(message, kind, code string) *corev3.SubstitutionFormatString {
	return &corev3.SubstitutionFormatString{
		ContentType: "application/json",
		Format: &corev3.SubstitutionFormatString_JsonFormat{JsonFormat: &structpb.Struct{Fields: map[string]*structpb.Value{
			"error": structpb.NewStructValue(&structpb.Struct{Fields: map[string]*structpb.Value{
				"message": structpb.NewStringValue("Envoy: " + message + " (%RESPONSE_CODE_DETAILS%)"),
				"type":    structpb.NewStringValue(kind),
				"param":   structpb.NewNullValue(),
				"code":    structpb.NewStringValue(code),
			}}),
		}}},
	}
}

// errorBody is the same as fixed text.
func errorBody(message, kind, code string) string {
	type openAIError struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   *string `json:"param"`
		Code    string  `json:"code"`
	}
	// Strings and a nil pointer: encoding cannot fail.
	body, _ := json.Marshal(map[string]openAIError{"error": {Message: "Envoy: " + message, Type: kind, Code: code}})
	return string(body)
}
