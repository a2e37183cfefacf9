package usage

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tollgate/extproc/exchange"
	"tollgate/extproc/openai"
)

// cacheMetrics tell what the cache did, and what it spared.
type cacheMetrics struct {
	requests, bytes, tokens, seconds *prometheus.CounterVec
}

func newCacheMetrics() cacheMetrics {
	return cacheMetrics{
		requests: counter("tollgate_cache_requests_total",
			"Requests that the cache had to do with: hit, miss, collapsed (answered by the call of another), bypass, would_hit (the cache is tried out).",
			"route", "result"),
		bytes: counter("tollgate_cache_answer_bytes_total",
			"Bytes of answers that the upstream was not asked for.", "route"),
		tokens: counter("tollgate_cache_tokens_saved_total",
			"Tokens of answers that the upstream was not asked for, as it counted them the first time.", "route", "type"),
		seconds: counter("tollgate_cache_upstream_seconds_saved_total",
			"How long the upstream took for those answers the first time.", "route"),
	}
}

func (c *cacheMetrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{c.requests, c.bytes, c.tokens, c.seconds}
}

// Cached counts a request that the cache had to do with, and, where the upstream was not asked, what
// that spared: bytes, tokens, and time.
func (m *Metrics) Cached(route string, result exchange.CacheResult, bytes int64, usage openai.Usage, took time.Duration) {
	route = m.routeNames.label(route, true)
	m.cache.requests.WithLabelValues(route, string(result)).Inc()
	if !result.Spared() {
		return
	}
	m.cache.bytes.WithLabelValues(route).Add(float64(max(0, bytes)))
	m.cache.tokens.WithLabelValues(route, kindName(input)).Add(float64(max(0, usage.Prompt)))
	m.cache.tokens.WithLabelValues(route, kindName(output)).Add(float64(max(0, usage.Completion)))
	m.cache.seconds.WithLabelValues(route).Add(max(0, took.Seconds()))
}

// CacheStats shows how full a cache is. What read cannot tell is -1, and not shown.
func CacheStats(read func() (entries, bytes int64)) prometheus.Collector {
	return &cacheStats{
		read:    read,
		entries: prometheus.NewDesc("tollgate_cache_entries", "Answers that are kept.", nil, nil),
		bytes:   prometheus.NewDesc("tollgate_cache_bytes", "Bytes that they take.", nil, nil),
	}
}

type cacheStats struct {
	read           func() (entries, bytes int64)
	entries, bytes *prometheus.Desc
}

// Describe names the metrics.
func (c *cacheStats) Describe(to chan<- *prometheus.Desc) { to <- c.entries; to <- c.bytes }

// Collect reads them.
func (c *cacheStats) Collect(to chan<- prometheus.Metric) {
	entries, bytes := c.read()
	for desc, n := range map[*prometheus.Desc]int64{c.entries: entries, c.bytes: bytes} {
		if n >= 0 {
			to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(n))
		}
	}
}
