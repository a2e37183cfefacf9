package mesh

import (
	"fmt"
	"time"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
)

// extProc is an external processor in the words of an EnvoyExtensionPolicy, as far as they go: see unsaid.
func extProc(p *extprocv3.ExternalProcessor) fields {
	mode, metadata := p.GetProcessingMode(), fields{}
	if namespaces := p.GetMetadataOptions().GetReceivingNamespaces().GetUntyped(); len(namespaces) > 0 {
		metadata["writableNamespaces"] = namespaces
	}
	if namespaces := p.GetMetadataOptions().GetForwardingNamespaces().GetUntyped(); len(namespaces) > 0 {
		metadata["accessibleNamespaces"] = namespaces
	}
	sees := fields{}
	if mode.GetRequestHeaderMode() == extprocv3.ProcessingMode_SEND {
		sees["request"] = body(mode.GetRequestBodyMode())
	}
	if mode.GetResponseHeaderMode() == extprocv3.ProcessingMode_SEND {
		sees["response"] = body(mode.GetResponseBodyMode())
	}
	policy := fields{
		"backendRefs":    []fields{{"group": envoyGroup, "kind": "Backend", "name": gateName}},
		"failOpen":       p.GetFailureModeAllow(),
		"processingMode": sees,
	}
	if len(metadata) > 0 {
		policy["metadata"] = metadata
	}
	if p.GetObservabilityMode() {
		policy["shadowMode"] = true
	}
	if p.GetMessageTimeout() != nil {
		policy["messageTimeout"] = duration(p.GetMessageTimeout().AsDuration())
	}
	if p.GetStatusOnError() != nil {
		policy["statusOnError"] = int(p.GetStatusOnError().GetCode())
	}
	return policy
}

// body names how a body is sent.
func body(mode extprocv3.ProcessingMode_BodySendMode) fields {
	switch mode {
	case extprocv3.ProcessingMode_STREAMED:
		return fields{"body": "Streamed"}
	case extprocv3.ProcessingMode_FULL_DUPLEX_STREAMED:
		return fields{"body": "FullDuplexStreamed"}
	}
	return fields{}
}

// duration is one as the Gateway API writes it, which knows no fractions.
func duration(d time.Duration) string { return fmt.Sprintf("%dms", d.Milliseconds()) }

// unsaid is what an EnvoyExtensionPolicy has no words for, by the fields of the filter.
func unsaid(p *extprocv3.ExternalProcessor) (fields, error) {
	filter, err := plain(p)
	if err != nil {
		return nil, err
	}
	for _, said := range []string{
		"grpc_service", "failure_mode_allow", "status_on_error", "message_timeout", "processing_mode",
		"metadata_options", "observability_mode",
	} {
		delete(filter, said)
	}
	return filter, nil
}
