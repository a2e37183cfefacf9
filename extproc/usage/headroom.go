package usage

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tollgate/config"
	"tollgate/config/money"
)

// headrooms are what clients have left of their limits, as their last requests left it. A limit that
// nobody has touched since it was whole again is whole.
type headrooms struct {
	size, left *prometheus.Desc
	now        func() time.Time

	mu   sync.Mutex
	last map[headroomOf]headroom
}

type headroomOf struct{ route, client, of string }

type headroom struct {
	size, left uint64
	whole      time.Time // when all of it is there again
}

func newHeadrooms(now func() time.Time) *headrooms {
	labels := []string{"route", "client", "of"}
	return &headrooms{
		size: prometheus.NewDesc("tollgate_limit",
			"The strictest limit that a client's last request met, of requests, tokens or cost (in US dollars).", labels, nil),
		left: prometheus.NewDesc("tollgate_limit_remaining",
			"What is left of it.", labels, nil),
		now:  now,
		last: map[headroomOf]headroom{},
	}
}

// Headroom notes what a client's request left of its strictest limit of a quantity, and when all of
// it will be there again.
func (m *Metrics) Headroom(route, client, of string, size, left uint64, reset time.Duration) {
	key := headroomOf{m.routeNames.label(route, true), m.clients.label(client, true), of}
	h := m.headrooms
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, known := h.last[key]; known || len(h.last) < maxSets {
		h.last[key] = headroom{size, left, h.now().Add(reset)}
	}
}

// Describe implements [prometheus.Collector].
func (h *headrooms) Describe(to chan<- *prometheus.Desc) {
	to <- h.size
	to <- h.left
}

// Collect implements [prometheus.Collector].
func (h *headrooms) Collect(to chan<- prometheus.Metric) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	for key, seen := range h.last {
		left := seen.left
		if !now.Before(seen.whole) {
			left = seen.size
		}
		size, rest := float64(seen.size), float64(left)
		if key.of == string(config.OfCost) {
			size, rest = money.Amount(seen.size).Dollars(), money.Amount(left).Dollars()
		}
		to <- prometheus.MustNewConstMetric(h.size, prometheus.GaugeValue, size, key.route, key.client, key.of)
		to <- prometheus.MustNewConstMetric(h.left, prometheus.GaugeValue, rest, key.route, key.client, key.of)
	}
}
