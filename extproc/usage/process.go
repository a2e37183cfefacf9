package usage

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// processMetrics are the metrics of Tollgate itself.
type processMetrics struct {
	build, config                *prometheus.GaugeVec
	reloads                      *prometheus.CounterVec
	reloaded, reloadedAt, envoys prometheus.Gauge
	skipped, chatLogLost         *prometheus.CounterVec
	spansLost                    prometheus.Counter
}

func newProcessMetrics(version string) processMetrics {
	p := processMetrics{
		build: info("tollgate_build_info", "1, by the version of Tollgate."),
		config: info("tollgate_config_info",
			"1, by the version of the configuration that is served."),
		reloads: counter("tollgate_config_reloads_total",
			"Configurations that were taken (success) or turned down (failure).", "result"),
		reloaded: gauge("tollgate_config_last_reload_successful",
			"Whether the newest configuration is the one that is served."),
		reloadedAt: gauge("tollgate_config_last_reload_success_timestamp_seconds",
			"When the configuration that is served was taken, in Unix time."),
		envoys: gauge("tollgate_envoys_connected", "Envoys that have their configuration from here."),
		skipped: counter("tollgate_tap_skipped_total",
			"What the tap could not keep, so that no answer waits for it.", "what"),
		chatLogLost: counter("tollgate_chatlog_lost_total",
			"Records that could not be written to the chat log.", "reason"),
		spansLost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tollgate_spans_lost_total", Help: "Spans that could not be sent to the collector.",
		}),
	}
	p.build.WithLabelValues(valid(version)).Set(1)
	// A counter that first appears above zero has no rate: both are there from the start.
	p.reloads.WithLabelValues("success")
	p.reloads.WithLabelValues("failure")
	return p
}

func (p *processMetrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{
		p.build, p.config, p.reloads, p.reloaded, p.reloadedAt, p.envoys,
		p.skipped, p.chatLogLost, p.spansLost,
	}
}

func info(name, help string) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, []string{"version"})
}

// Configured tells that a configuration is now the one that is served.
func (m *Metrics) Configured(version string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	version = valid(version)
	m.process.config.WithLabelValues(version).Set(1)
	if m.version != version { // the old one goes last: a scrape in between finds two, not none
		m.process.config.DeleteLabelValues(m.version)
		m.version = version
	}
	m.process.reloads.WithLabelValues("success").Inc()
	m.process.reloaded.Set(1)
	m.process.reloadedAt.Set(float64(m.now().UnixMilli()) / 1000)
}

// ReloadFailed tells that a configuration was turned down, and the one before it goes on.
func (m *Metrics) ReloadFailed() {
	m.process.reloads.WithLabelValues("failure").Inc()
	m.process.reloaded.Set(0)
}

// Envoys tells how many Envoys are connected.
func (m *Metrics) Envoys(n int) { m.process.envoys.Set(float64(n)) }

// Skipped tells that the tap could not keep n things, such as events. With n = 0 it makes the kind
// known, so that its first loss has a rate.
func (m *Metrics) Skipped(what string, n int) {
	m.process.skipped.WithLabelValues(m.kinds.label(what, true)).Add(float64(max(0, n)))
}

// ChatLogLost tells that n records were not written. With n = 0 it makes the reason known, so that
// its first loss has a rate.
func (m *Metrics) ChatLogLost(reason string, n int) {
	m.process.chatLogLost.WithLabelValues(m.kinds.label(reason, true)).Add(float64(max(0, n)))
}

// SpansLost tells that n spans did not reach the collector: it fits TraceOptions.Lost.
func (m *Metrics) SpansLost(n int) { m.process.spansLost.Add(float64(max(0, n))) }

// valid makes of any text a label that Prometheus takes.
func valid(text string) string { return strings.ToValidUTF8(text, "?") }
