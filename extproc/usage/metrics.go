package usage

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tollgate/extproc/exchange"
	"tollgate/extproc/openai"
)

// Metrics counts. Safe for use by many goroutines.
type Metrics struct {
	registry  *prometheus.Registry
	calls     callMetrics
	cache     cacheMetrics
	process   processMetrics
	headrooms *headrooms
	ledger    *ledger
	recent    *recent
	now       func() time.Time

	routeNames, models, clients, codes, kinds *values

	mu      sync.RWMutex // of all below
	sets    map[labels]*series
	routes  map[string]*routeSeries
	version string // of the configuration
}

// NewMetrics returns metrics that begin at nothing, in a registry of their own.
func NewMetrics(version string) *Metrics {
	m := &Metrics{
		registry:   prometheus.NewRegistry(),
		calls:      newCallMetrics(),
		cache:      newCacheMetrics(),
		process:    newProcessMetrics(version),
		headrooms:  newHeadrooms(time.Now),
		ledger:     newLedger(),
		recent:     &recent{},
		now:        time.Now,
		routeNames: newValues(),
		models:     newValues(),
		clients:    newValues(),
		codes:      newValues(),
		kinds:      newValues(),
		sets:       map[labels]*series{},
		routes:     map[string]*routeSeries{},
	}
	m.registry.MustRegister(m.calls.collectors()...)
	m.registry.MustRegister(m.cache.collectors()...)
	m.registry.MustRegister(m.process.collectors()...)
	m.registry.MustRegister(
		m.headrooms,
		m.ledger,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// Handler serves /metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.InstrumentMetricHandler(m.registry,
		promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, EnableOpenMetrics: true}))
}

// Register adds the metrics of another part, such as a cache's.
func (m *Metrics) Register(others ...prometheus.Collector) error {
	for _, c := range others {
		if err := m.registry.Register(c); err != nil {
			return fmt.Errorf("register a metric: %w", err)
		}
	}
	return nil
}

// Begin counts a call that the gate lets pass. Done of the meter must follow.
func (m *Metrics) Begin(call *exchange.Call) *Meter {
	route := m.routeNames.label(call.Route, true)
	meter := &Meter{metrics: m, call: call, name: route, route: m.route(route), api: openai.APIOf(call.Path)}
	meter.route.inFlight.Inc()
	m.recent.fly(1)
	return meter
}

// Refused counts a request that the gate refused, and for which no meter has begun: a meter counts
// the refusals of its own call. Where no route was found, it is empty.
func (m *Metrics) Refused(route, code string) {
	code = m.codes.label(code, true)
	m.calls.refusals.WithLabelValues(m.routeNames.label(route, true), code).Inc()
	m.recent.refuse(code)
}

// KeyAnswered counts an answer by which an upstream turned a key down, of a call whose meter does not.
func (m *Metrics) KeyAnswered(upstream, key string, status int) {
	m.calls.keys.WithLabelValues(upstream, key, keyStatus(status)).Inc()
}

// Shadowed counts a request that a limit which is tried out would have refused.
func (m *Metrics) Shadowed(route string) {
	m.calls.shadowed.WithLabelValues(m.routeNames.label(route, true)).Inc()
}

// Settled counts what a call had reserved of its limits of tokens, and what it used.
func (m *Metrics) Settled(route string, reserved, used uint64) {
	route = m.routeNames.label(route, true)
	m.calls.settled.WithLabelValues(route, "reserved").Add(float64(reserved))
	m.calls.settled.WithLabelValues(route, "used").Add(float64(used))
}

// route finds the series of a route's label, and makes them where they are new.
func (m *Metrics) route(label string) *routeSeries {
	m.mu.RLock()
	r := m.routes[label]
	m.mu.RUnlock()
	if r != nil {
		return r
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r = m.routes[label]
	if r == nil {
		r = m.calls.routeSeries(label)
		m.routes[label] = r
	}
	return r
}
