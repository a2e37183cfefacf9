package config

import (
	"cmp"
	"fmt"
	"regexp"
	"time"
)

// The chat log's defaults that the schema names.
const (
	DefaultLogDir       = "Log"
	DefaultLogFileBytes = 50_000_000
)

// observers resolves what looks on: the chat log, metrics and traces.
func (r *resolver) observers() {
	r.config.Usage = r.message.GetTelemetry().GetUsage()
	if m := r.message.GetTelemetry().GetTraces(); m != nil {
		r.config.Traces = &Traces{
			Endpoint: m.GetEndpoint(),
			Protocol: m.GetProtocol(),
			Sample:   share(m.Sample, -1),
			Prompts:  m.GetPrompts(),
		}
		if m.GetEndpoint() != "" {
			r.config.Traces.Collector = r.collector(m.GetEndpoint())
		}
	}
	m := r.message.GetChatLog()
	if m == nil {
		return
	}
	log := &ChatLog{
		Dir:          cmp.Or(m.GetDir(), DefaultLogDir),
		MaxFileBytes: int64(cmp.Or(m.GetMaxFileBytes(), DefaultLogFileBytes)), //nolint:gosec // the schema bounds it
		MaxFiles:     int(m.GetMaxFiles()),
		Location:     time.Local,
		DropFields:   m.GetDropFields(),
		Sample:       share(m.Sample, 1),
		Print:        m.GetPrint(),
	}
	if m.GetTimeZone() != "" {
		location, err := time.LoadLocation(m.GetTimeZone())
		if err != nil {
			r.problem("chat_log.time_zone", "%q is not a time zone such as Europe/Berlin", m.GetTimeZone())
		}
		log.Location = location
	}
	for i, expression := range m.GetRedact() {
		compiled, err := regexp.Compile(expression)
		if err != nil {
			r.problem(fmt.Sprintf("chat_log.redact[%d]", i), "%s", err)
			continue
		}
		log.Redact = append(log.Redact, compiled)
	}
	r.config.ChatLog = log
}

// collector is where Envoy sends its spans.
func (r *resolver) collector(endpoint string) *Upstream {
	u, err := parseURL(endpoint)
	if err != nil {
		r.problem("telemetry.traces.endpoint", "%s", err)
		return nil
	}
	u.Name, u.ServerName, u.ConnectTimeout = "traces", u.Host, DefaultConnectTimeout
	return u
}

// share is a written share, or a default.
func share(written *float64, otherwise float64) float64 {
	if written == nil {
		return otherwise
	}
	return *written
}
