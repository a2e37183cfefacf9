package usage

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tollgate/config/money"
	"tollgate/extproc/exchange"
	"tollgate/extproc/openai"
)

// ledger has sums by route, model and client. Those of money are in whole nano-dollars: a float would lose
// the small ones in the large.
type ledger struct {
	spent, saved, unknown *prometheus.Desc

	mu   sync.Mutex
	sums map[account]*Sums
}

// account is what is summed up: its labels are bounded by those of calls.
type account struct{ route, model, client string }

// Sums are of the calls that have ended so far.
type Sums struct {
	Requests      uint64 // that the gate let pass
	Failed        uint64 // of these, whose answer was an error, or was cut
	Refused       uint64 // by the gate
	Hits          uint64 // answered from the cache, or by the call of another
	Input, Output uint64 // tokens
	Spent, Saved  money.Amount
	Unknown       uint64 // calls whose cost is not known, although there are prices
	Last          time.Time
}

// Account is the sums of one client for one model on one route.
type Account struct {
	Route, Model, Client string
	Sums
}

func newLedger() *ledger {
	labels := []string{"route", "model", "client"}
	return &ledger{
		spent: prometheus.NewDesc("tollgate_cost_usd_total", "What calls cost, in US dollars, by the configured prices.", labels, nil),
		saved: prometheus.NewDesc("tollgate_cache_cost_saved_usd_total",
			"What answers from the cache would have cost, in US dollars, by the configured prices.", labels, nil),
		unknown: prometheus.NewDesc("tollgate_cost_unknown_total",
			"Calls whose cost is not known although there are prices: of a model without one, or of an API that tells nothing.", labels, nil),
		sums: map[account]*Sums{},
	}
}

// sumsOf are those of one call.
func sumsOf(call *exchange.Call, answer *openai.Answer, end exchange.End) Sums {
	sums := Sums{Spent: money.Amount(end.Cost), Saved: money.Amount(end.Saved), Last: end.Last}
	answered := statusClass(end.Status) == "2xx" || end.Cause == exchange.Unseen
	if end.Cause == exchange.Refused {
		sums.Refused = 1
		return sums
	}
	sums.Requests = 1
	if !answered || end.Cause == exchange.Cut {
		sums.Failed = 1
	}
	if end.Unpriced && answered {
		sums.Unknown = 1
	}
	if call.Cache.Spared() {
		sums.Hits = 1
	} else if answer != nil && answer.Usage != nil {
		sums.Input, sums.Output = uint64(max(0, answer.Usage.Prompt)), uint64(max(0, answer.Usage.Completion))
	}
	return sums
}

// Add adds others.
func (s *Sums) Add(more Sums) {
	s.Requests += more.Requests
	s.Failed += more.Failed
	s.Refused += more.Refused
	s.Hits += more.Hits
	s.Input += more.Input
	s.Output += more.Output
	s.Spent += more.Spent
	s.Saved += more.Saved
	s.Unknown += more.Unknown
	if more.Last.After(s.Last) {
		s.Last = more.Last
	}
}

func (l *ledger) add(of account, more Sums) {
	l.mu.Lock()
	defer l.mu.Unlock()
	sums := l.sums[of]
	if sums == nil {
		sums = &Sums{}
		l.sums[of] = sums
	}
	sums.Add(more)
}

// Accounts are what calls came to so far, in order.
func (m *Metrics) Accounts() []Account { return m.ledger.accounts() }

func (l *ledger) accounts() []Account {
	l.mu.Lock()
	defer l.mu.Unlock()
	accounts := make([]Account, 0, len(l.sums))
	for of, sums := range l.sums {
		accounts = append(accounts, Account{of.route, of.model, of.client, *sums})
	}
	slices.SortFunc(accounts, func(a, b Account) int {
		return cmp.Or(cmp.Compare(a.Route, b.Route), cmp.Compare(a.Model, b.Model), cmp.Compare(a.Client, b.Client))
	})
	return accounts
}

// Describe implements [prometheus.Collector].
func (l *ledger) Describe(to chan<- *prometheus.Desc) {
	to <- l.spent
	to <- l.saved
	to <- l.unknown
}

// Collect implements [prometheus.Collector].
func (l *ledger) Collect(to chan<- prometheus.Metric) {
	for _, a := range l.accounts() {
		for desc, value := range map[*prometheus.Desc]float64{
			l.spent: a.Spent.Dollars(), l.saved: a.Saved.Dollars(), l.unknown: float64(a.Unknown),
		} {
			if value > 0 {
				to <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, value, a.Route, a.Model, a.Client)
			}
		}
	}
}
