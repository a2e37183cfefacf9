package usage

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// maxFirst is how many first tokens of a span of time are kept to find their quantiles.
const maxFirst = 8192

// Point is what happened in a span of time.
type Point struct {
	Sums

	First         int           // streams whose first token came
	First50       time.Duration // half of them had it by then
	First99       time.Duration
	InFlight      int64 // at the end of the span
	RefusedByCode map[string]uint64
}

// recent gathers a point.
type recent struct {
	mu      sync.Mutex
	sums    Sums
	first   []time.Duration
	refused map[string]uint64
	flying  int64
}

func (r *recent) add(more Sums) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sums.Add(more)
}

func (r *recent) fly(by int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flying += by
}

func (r *recent) refuse(code string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refused == nil {
		r.refused = map[string]uint64{}
	}
	r.refused[code]++
}

func (r *recent) firstToken(after time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.first) < maxFirst {
		r.first = append(r.first, after)
	}
}

// TakePoint gives what happened since the last time. One alone may ask.
func (m *Metrics) TakePoint() Point {
	r := m.recent
	r.mu.Lock()
	p := Point{Sums: r.sums, InFlight: r.flying, RefusedByCode: r.refused}
	first := r.first
	r.sums, r.first, r.refused = Sums{}, nil, nil
	r.mu.Unlock()
	p.Refused = 0
	for _, n := range p.RefusedByCode {
		p.Refused += n
	}
	if p.First = len(first); p.First > 0 {
		slices.Sort(first)
		p.First50, p.First99 = quantile(first, 50), quantile(first, 99)
	}
	return p
}

// quantile is the smallest of sorted values that so many percent are not above.
func quantile(sorted []time.Duration, percent int) time.Duration {
	at := (len(sorted)*percent + 99) / 100
	return sorted[max(at, 1)-1]
}

// Count is a sample of a counter: its labels' values in the order of their names.
type Count struct {
	Labels []string
	Value  uint64
}

// Refusals are by code and route.
func (m *Metrics) Refusals() []Count { return counts(m.calls.refusals) }

// KeyAnswers are by key, status and upstream.
func (m *Metrics) KeyAnswers() []Count { return counts(m.calls.keys) }

// InFlight are calls that have begun and not ended, by route.
func (m *Metrics) InFlight() []Count { return counts(m.calls.inFlight) }

// counts reads all samples of a metric.
func counts(c prometheus.Collector) []Count {
	samples := make(chan prometheus.Metric)
	go func() {
		c.Collect(samples)
		close(samples)
	}()
	var all []Count
	for sample := range samples {
		var read dto.Metric
		if sample.Write(&read) != nil {
			continue
		}
		count := Count{Value: uint64(max(0, read.GetCounter().GetValue(), read.GetGauge().GetValue()))}
		for _, label := range read.GetLabel() {
			count.Labels = append(count.Labels, label.GetValue())
		}
		all = append(all, count)
	}
	slices.SortFunc(all, func(a, b Count) int {
		return cmp.Compare(strings.Join(a.Labels, "\x00"), strings.Join(b.Labels, "\x00"))
	})
	return all
}
