package usage

import (
	"cmp"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"tollgate/config/money"
	"tollgate/extproc/exchange"
)

// costs are sums of money by route, model and client, in whole nano-dollars: a float would lose the small
// ones in the large.
type costs struct {
	spent, saved, unknown *prometheus.Desc

	mu   sync.Mutex
	sums map[costOf]*cost
}

type costOf struct{ route, model, client string }

type cost struct {
	spent, saved money.Amount
	unknown      uint64
}

func newCosts() *costs {
	labels := []string{"route", "model", "client"}
	return &costs{
		spent: prometheus.NewDesc("tollgate_cost_usd_total", "What calls cost, in US dollars, by the configured prices.", labels, nil),
		saved: prometheus.NewDesc("tollgate_cache_cost_saved_usd_total",
			"What answers from the cache would have cost, in US dollars, by the configured prices.", labels, nil),
		unknown: prometheus.NewDesc("tollgate_cost_unknown_total",
			"Calls whose cost is not known although there are prices: of a model without one, or of an API that tells nothing.", labels, nil),
		sums: map[costOf]*cost{},
	}
}

// add counts a call. Labels are bounded by those of calls.
func (c *costs) add(of costOf, end exchange.End) {
	answered := statusClass(end.Status) == "2xx" || end.Cause == exchange.Unseen
	if !end.Priced && (!end.Unpriced || !answered) || end.Priced && end.Cost == 0 && end.Saved == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	sum := c.sums[of]
	if sum == nil {
		sum = &cost{}
		c.sums[of] = sum
	}
	if !end.Priced {
		sum.unknown++
		return
	}
	sum.spent += money.Amount(end.Cost)
	sum.saved += money.Amount(end.Saved)
}

// Describe implements [prometheus.Collector].
func (c *costs) Describe(to chan<- *prometheus.Desc) {
	to <- c.spent
	to <- c.saved
	to <- c.unknown
}

// Collect implements [prometheus.Collector].
func (c *costs) Collect(to chan<- prometheus.Metric) {
	for _, row := range c.rows() {
		of := []string{row.Route, row.Model, row.Client}
		for desc, value := range map[*prometheus.Desc]float64{
			c.spent: row.Spent.Dollars(), c.saved: row.Saved.Dollars(), c.unknown: float64(row.Unknown),
		} {
			if value > 0 {
				to <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, value, of...)
			}
		}
	}
}

// Cost is what calls of one client for one model on one route cost.
type Cost struct {
	Route, Model, Client string
	Spent, Saved         money.Amount // Saved by the cache
	Unknown              uint64       // calls whose cost is not known
}

// Costs are what calls cost so far, in order.
func (m *Metrics) Costs() []Cost { return m.costs.rows() }

func (c *costs) rows() []Cost {
	c.mu.Lock()
	defer c.mu.Unlock()
	rows := make([]Cost, 0, len(c.sums))
	for of, sum := range c.sums {
		rows = append(rows, Cost{of.route, of.model, of.client, sum.spent, sum.saved, sum.unknown})
	}
	slices.SortFunc(rows, func(a, b Cost) int {
		return cmp.Or(cmp.Compare(a.Route, b.Route), cmp.Compare(a.Model, b.Model), cmp.Compare(a.Client, b.Client))
	})
	return rows
}
