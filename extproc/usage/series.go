package usage

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"tollgate/extproc/exchange"
	"tollgate/extproc/openai"
)

// The kinds of tokens. Cached ones are a part of the input, reasoning ones of the output.
const (
	input = iota
	output
	cached
	reasoning
	kinds
)

func kindName(kind int) string {
	return [kinds]string{"input", "output", "cached", "reasoning"}[kind]
}

// callMetrics are the metrics of calls.
type callMetrics struct {
	requests, tokens          *prometheus.CounterVec   // by route, model, client
	duration, usage           *prometheus.HistogramVec // in the convention's words, by route and model
	timeToFirst, timePerToken *prometheus.HistogramVec
	inFlight                  *prometheus.GaugeVec // by route
	answers, bytes            *prometheus.CounterVec
	streams                   *prometheus.HistogramVec
	refusals                  *prometheus.CounterVec // by route and code
	keys                      *prometheus.CounterVec // by upstream, key and status
	shadowed                  *prometheus.CounterVec // by route
	settled                   *prometheus.CounterVec // by route and what
}

func newCallMetrics() callMetrics {
	genAI := []string{"route", "gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model"}
	return callMetrics{
		requests: counter("tollgate_requests_total",
			"Requests that the gate let pass and that have ended.", "route", "model", "client", "api", "status"),
		tokens: counter("tollgate_tokens_total",
			"Tokens as the upstreams counted them, and, where there are prices, as a tokenizer does where they do not tell; cached are part of input, reasoning of output.",
			"route", "model", "client", "type"),
		refusals: counter("tollgate_refusals_total",
			"Requests that the gate, or Envoy, answered instead of an upstream, by the error's code.",
			"route", "code"),
		shadowed: counter("tollgate_limit_shadowed_total",
			"Requests that passed, and that a limit which is tried out (shadow) would have refused.", "route"),
		settled: counter("tollgate_limit_tokens_total",
			"Tokens of calls whose limits are settled: what was reserved, and what was used.", "route", "what"),
		keys: counter("tollgate_upstream_key_answers_total",
			"Answers by the upstream's key, named by its fingerprint, and what tells of its health: 401, 403, 429, or a class such as 2xx.",
			"upstream", "key", "status"),
		answers: counter("tollgate_answers_total",
			"Answers by how they ended: whole, cut, refused or unseen.", "route", "cause"),
		bytes: counter("tollgate_answer_bytes_total", "Bytes of the answers' bodies.", "route"),
		inFlight: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "tollgate_calls_in_flight", Help: "Calls that have begun and not ended.",
		}, []string{"route"}),
		streams: histogram("tollgate_stream_duration_seconds",
			"From the first byte of a streamed answer to its last.", streamBuckets(), "route"),
		duration: histogram("gen_ai_client_operation_duration_seconds",
			"From the request to the end of the answer.", durationBuckets(), append(genAI, "error_type")...),
		usage: histogram("gen_ai_client_token_usage",
			"Tokens of a call.", tokenBuckets(), append(genAI, "gen_ai_token_type")...),
		timeToFirst: histogram("gen_ai_server_time_to_first_token_seconds",
			"From the request to the first token of a streamed answer.", firstTokenBuckets(), genAI...),
		timePerToken: histogram("gen_ai_server_time_per_output_token_seconds",
			"Time for each token after the first of a streamed answer.", perTokenBuckets(), genAI...),
	}
}

func (c *callMetrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{
		c.requests, c.tokens, c.refusals, c.shadowed, c.settled, c.keys, c.answers, c.bytes, c.inFlight, c.streams,
		c.duration, c.usage, c.timeToFirst, c.timePerToken,
	}
}

// series are the series of one set of labels. Each is made when it is first needed: Prometheus
// would else keep an empty histogram for all that never happens.
type series struct {
	requests          map[string]func() prometheus.Counter // by class of status
	tokens            [kinds]func() prometheus.Counter
	usage             [2]func() prometheus.Observer // input and output
	duration          func() prometheus.Observer    // of calls without an error
	failed            func(errorType string) prometheus.Observer
	toFirst, perToken func() prometheus.Observer
	model, client     string
	isGenAI           bool // else the metrics of the convention are not for it
}

func (c *callMetrics) series(l labels) *series {
	api := string(l.api)
	if l.api == openai.Other {
		api = other
	}
	genAI := []string{l.route, operation(l.api), provider(l.api), l.model}
	s := &series{
		model:    l.model,
		client:   l.client,
		isGenAI:  l.api != openai.Other,
		requests: map[string]func() prometheus.Counter{},
		duration: lazyObserver(c.duration, genAI, ""),
		toFirst:  lazyObserver(c.timeToFirst, genAI),
		perToken: lazyObserver(c.timePerToken, genAI),
		failed: func(errorType string) prometheus.Observer {
			return c.duration.WithLabelValues(append(genAI[:4:4], errorType)...)
		},
	}
	for status := -1; status < 600; status += 100 {
		class := statusClass(status)
		s.requests[class] = lazyCounter(c.requests, l.route, l.model, l.client, api, class)
	}
	for kind := range s.tokens {
		s.tokens[kind] = lazyCounter(c.tokens, l.route, l.model, l.client, kindName(kind))
	}
	for kind := range s.usage {
		s.usage[kind] = lazyObserver(c.usage, genAI, kindName(kind))
	}
	return s
}

// routeSeries are the series of a route, whatever model and client.
type routeSeries struct {
	inFlight prometheus.Gauge
	bytes    prometheus.Counter
	answers  map[exchange.Cause]func() prometheus.Counter
	streams  func() prometheus.Observer
}

func (c *callMetrics) routeSeries(route string) *routeSeries {
	r := &routeSeries{
		inFlight: c.inFlight.WithLabelValues(route),
		bytes:    c.bytes.WithLabelValues(route),
		answers:  map[exchange.Cause]func() prometheus.Counter{},
		streams:  lazyObserver(c.streams, []string{route}),
	}
	for _, cause := range []exchange.Cause{exchange.Whole, exchange.Cut, exchange.Refused, exchange.Unseen} {
		r.answers[cause] = lazyCounter(c.answers, route, string(cause))
	}
	return r
}

func lazyCounter(vec *prometheus.CounterVec, values ...string) func() prometheus.Counter {
	return sync.OnceValue(func() prometheus.Counter { return vec.WithLabelValues(values...) })
}

func lazyObserver(vec *prometheus.HistogramVec, values []string, more ...string) func() prometheus.Observer {
	values = append(values[:len(values):len(values)], more...)
	return sync.OnceValue(func() prometheus.Observer { return vec.WithLabelValues(values...) })
}
