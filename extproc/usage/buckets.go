package usage

import "github.com/prometheus/client_golang/prometheus"

// The convention's boundaries: docs/gen-ai/gen-ai-metrics.md of OpenTelemetry's semantic conventions.

func durationBuckets() []float64 { return prometheus.ExponentialBuckets(0.01, 2, 14) } // to 81.92 s

func tokenBuckets() []float64 { return prometheus.ExponentialBuckets(1, 4, 14) } // to 67,108,864

func firstTokenBuckets() []float64 {
	return []float64{.001, .005, .01, .02, .04, .06, .08, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}
}

func perTokenBuckets() []float64 {
	return []float64{.01, .025, .05, .075, .1, .15, .2, .3, .4, .5, .75, 1, 2.5}
}

// streamBuckets are our own: an answer that reasons takes minutes.
func streamBuckets() []float64 {
	return []float64{.1, .25, .5, 1, 2.5, 5, 10, 20, 40, 60, 120, 300, 600, 1800}
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
}

func gauge(name, help string) prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
}
