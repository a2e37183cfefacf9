package usage

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// keyRests are the rests of upstreams' keys, as they are when somebody looks.
type keyRests struct {
	rest *prometheus.Desc
	each func(yield func(upstream, key string, rest time.Duration))
}

// KeyRests makes a metric of how long each key of the upstreams still rests. each tells of all keys, by
// their fingerprints, whenever the metrics are read.
func KeyRests(each func(yield func(upstream, key string, rest time.Duration))) prometheus.Collector {
	return &keyRests{each: each, rest: prometheus.NewDesc("tollgate_upstream_key_rest_seconds",
		"How long an upstream's key, named by its fingerprint, still rests because the upstream turned it down; 0: it does not.",
		[]string{"upstream", "key"}, nil)}
}

// Describe implements [prometheus.Collector].
func (k *keyRests) Describe(to chan<- *prometheus.Desc) { to <- k.rest }

// Collect implements [prometheus.Collector].
func (k *keyRests) Collect(to chan<- prometheus.Metric) {
	k.each(func(upstream, key string, rest time.Duration) {
		to <- prometheus.MustNewConstMetric(k.rest, prometheus.GaugeValue, rest.Seconds(), upstream, key)
	})
}
