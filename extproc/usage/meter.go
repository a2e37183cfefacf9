package usage

import (
	"cmp"
	"strconv"
	"time"

	"tollgate/extproc/exchange"
	"tollgate/extproc/openai"
)

// Meter counts one call. It is used by one goroutine.
type Meter struct {
	metrics *Metrics
	call    *exchange.Call
	name    string // the route's label
	route   *routeSeries
	api     openai.API
	model   string
	first   firstToken
	ended   bool
}

// Asked hears what was asked; nil: it could not be read.
func (t *Meter) Asked(request *openai.Request) {
	if request != nil {
		t.api, t.model = request.API, request.Model
	}
}

// Event looks for the first token.
func (t *Meter) Event(event *openai.Event) { t.first.see(event, t.metrics.now) }

// Words is false: tokens are told, not counted.
func (t *Meter) Words() bool { return false }

// Done counts the call. What comes after the first Done is not counted.
func (t *Meter) Done(answer *openai.Answer, end exchange.End) {
	if t.ended {
		return
	}
	t.ended = true
	t.ofRoute(end)
	t.ofKey(end)
	of := t.labels(answer, end)
	s := t.metrics.series(of)
	sums := sumsOf(t.call, answer, end)
	t.metrics.ledger.add(account{of.route, s.model, s.client}, sums)
	t.metrics.recent.add(sums)
	s.requests[statusClass(end.Status)]().Inc()
	if t.call.Cache.Spared() {
		return // no tokens were paid for, and the times tell of no upstream
	}
	if answer != nil && answer.Usage != nil {
		s.spent(answer.Usage)
	}
	if s.isGenAI && end.Cause != exchange.Unseen {
		t.times(s, answer, end)
	}
}

// ofKey counts what the upstream says to its key, unless that is told attempt by attempt.
func (t *Meter) ofKey(end exchange.End) {
	key, status := cmp.Or(end.Key, t.call.Key), keyStatus(end.Status)
	told := t.call.Attempts && status != statusClass(end.Status)
	if key != "" && end.Status != 0 && end.Cause != exchange.Refused && !told {
		t.metrics.calls.keys.WithLabelValues(cmp.Or(end.Upstream, t.call.Upstream), key, status).Inc()
	}
}

// keyStatus keeps apart what an upstream says of a key.
func keyStatus(status int) string {
	switch status {
	case 401, 403, 429:
		return strconv.Itoa(status)
	}
	return statusClass(status)
}

// ofRoute counts what is told by route only.
func (t *Meter) ofRoute(end exchange.End) {
	t.route.inFlight.Dec()
	t.metrics.recent.fly(-1)
	if end.Bytes > 0 {
		t.route.bytes.Add(float64(end.Bytes))
	}
	if count, ok := t.route.answers[end.Cause]; ok {
		count().Inc()
	}
	if end.Cause == exchange.Refused {
		t.metrics.Refused(t.call.Route, end.Code)
	}
	if end.Events > 0 && !end.First.IsZero() {
		t.route.streams().Observe(seconds(end.First, end.Last))
	}
}

// labels are the call's. Anyone can ask for any model: only one that answered gets a label.
func (t *Meter) labels(answer *openai.Answer, end exchange.End) labels {
	name := t.model
	if name == "" && answer != nil {
		name = answer.Model
	}
	m := t.metrics
	answered := statusClass(end.Status) == "2xx" && end.Cause != exchange.Refused
	return labels{
		route:  t.name,
		model:  m.models.label(name, answered),
		client: m.clients.label(t.call.Client, true),
		api:    t.api,
	}
}

// times observes how long it took.
func (t *Meter) times(s *series, answer *openai.Answer, end exchange.End) {
	took := seconds(t.call.Began, end.Last)
	if failure := errorType(answer, end); failure != "" {
		s.failed(failure).Observe(took)
	} else {
		s.duration().Observe(took)
	}
	if t.first.at.IsZero() {
		return
	}
	s.toFirst().Observe(seconds(t.call.Began, t.first.at))
	t.metrics.recent.firstToken(t.first.at.Sub(t.call.Began))
	if end.Cause == exchange.Whole && answer != nil && answer.Usage != nil && answer.Usage.Completion > 1 {
		s.perToken().Observe(seconds(t.first.at, end.Last) / float64(answer.Usage.Completion-1))
	}
}

// spent counts tokens. An upstream may say anything, and a counter takes nothing below zero.
func (s *series) spent(u *openai.Usage) {
	for kind, n := range [kinds]int{u.Prompt, u.Completion, u.Cached, u.Reasoning} {
		if n <= 0 {
			continue
		}
		s.tokens[kind]().Add(float64(n))
		if s.isGenAI && kind < len(s.usage) {
			s.usage[kind]().Observe(float64(n))
		}
	}
}

// seconds is never below zero, whatever a clock did.
func seconds(from, to time.Time) float64 { return max(0, to.Sub(from).Seconds()) }
