package main

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"tollgate/cmd/tollgate/dashboard"
	"tollgate/config"
	"tollgate/config/money"
	"tollgate/extproc"
	"tollgate/extproc/limit"
	"tollgate/extproc/usage"
	"tollgate/xds"
)

const (
	// shownClients is how many clients operators see: those who asked most.
	shownClients = 200

	// askedAtOnce is how many counters the limits' store is asked for at once.
	askedAtOnce = 100

	// stateLasts is for how long what was gathered is shown, however many look.
	stateLasts = time.Second

	// nobody is what metrics call clients without a name.
	nobody = "none"
)

// stateOf gathers what operators see.
type stateOf struct {
	inForce func() *config.Config
	metrics *usage.Metrics
	limits  limit.Store
	gate    *extproc.Gate
	control *xds.Server
	history *history
	chats   bool
	started time.Time

	mu    sync.Mutex
	until time.Time
	last  dashboard.State
}

// get gives what there is to see, no older than a second.
func (s *stateOf) get(ctx context.Context) dashboard.State {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); now.After(s.until) {
		s.last, s.until = s.gather(ctx, now), now.Add(stateLasts)
	}
	return s.last
}

func (s *stateOf) gather(ctx context.Context, now time.Time) dashboard.State {
	c := s.inForce()
	sums := sumUp(s.metrics.Accounts())
	_, ready := s.control.Ready()
	state := dashboard.State{
		Version: version, Started: s.started, Now: now, Metered: c.Usage, Priced: len(c.Prices) > 0, Chats: s.chats,
		Guarded: c.Admin.Token.Reveal() != "", Envoys: s.control.Envoys(), Ready: ready, Listener: c.Listener.Address.String(),
		Total: totals(sums.all), Routes: []dashboard.Route{}, Clients: []dashboard.Client{}, Models: sums.models(),
		Keys: s.keys(c), Refusals: []dashboard.Refusal{}, LastError: s.history.failed(),
	}
	state.Total.Refused = 0
	for _, r := range s.metrics.Refusals() {
		state.Refusals = append(state.Refusals, dashboard.Refusal{Code: r.Labels[0], Route: r.Labels[1], Count: r.Value})
		state.Total.Refused += r.Value
	}
	s.routes(&state, c, sums)
	s.clients(&state, c, sums)
	if err := s.standings(ctx, c, &state); err != nil {
		state.Trouble = "limits cannot be shown now: " + err.Error()
	}
	return state
}

func (s *stateOf) routes(state *dashboard.State, c *config.Config, sums *summary) {
	flying, refused := map[string]uint64{}, map[string]uint64{}
	for _, n := range s.metrics.InFlight() {
		flying[n.Labels[0]] = n.Value
		state.Total.InFlight += n.Value
	}
	for _, r := range state.Refusals {
		refused[r.Route] += r.Count
	}
	for _, r := range c.Routes {
		route := dashboard.Route{
			Prefix: r.Prefix, Auth: string(r.Auth), Cache: r.Cache != nil, Recorded: r.Log,
			Limits: []dashboard.Limit{}, Totals: totals(sums.routes[r.Prefix]),
		}
		route.InFlight, route.Refused = flying[r.Prefix], refused[r.Prefix]
		for _, u := range r.Upstreams() {
			route.Upstreams = append(route.Upstreams, u.Name)
		}
		state.Routes = append(state.Routes, route)
	}
	slices.SortFunc(state.Routes, func(a, b dashboard.Route) int { return cmp.Compare(a.Prefix, b.Prefix) })
}

func (s *stateOf) clients(state *dashboard.State, c *config.Config, sums *summary) {
	for _, client := range c.Clients {
		state.Clients = append(state.Clients, dashboard.Client{
			Name: client.Name, Limits: []dashboard.Limit{}, Totals: totals(sums.clients[client.Name]),
		})
	}
	slices.SortStableFunc(state.Clients, func(a, b dashboard.Client) int {
		return cmp.Compare(b.Requests+b.Refused, a.Requests+a.Refused)
	})
	if more := len(state.Clients) - shownClients; more > 0 {
		state.Clients, state.More = state.Clients[:shownClients], more
	}
	if without := sums.clients[nobody]; without != nil {
		state.Clients = append(state.Clients, dashboard.Client{Limits: []dashboard.Limit{}, Totals: totals(without)})
	}
}

// keys lists the upstreams' keys, as the configuration has them.
func (s *stateOf) keys(c *config.Config) []dashboard.Key {
	keys := []dashboard.Key{}
	rests := map[[2]string]time.Duration{}
	for _, r := range s.gate.KeyRests() {
		rests[[2]string{r.Upstream, r.Key}] = r.For
	}
	for _, u := range c.Upstreams {
		for _, k := range u.Keys {
			key := dashboard.Key{Upstream: u.Name, Key: k.Fingerprint(), Answers: map[string]uint64{}}
			key.Rest = rests[[2]string{u.Name, key.Key}].Seconds()
			keys = append(keys, key)
		}
	}
	for _, n := range s.metrics.KeyAnswers() { // key, status, upstream
		for i := range keys {
			if keys[i].Key == n.Labels[0] && keys[i].Upstream == n.Labels[2] {
				keys[i].Answers[n.Labels[1]] = n.Value
			}
		}
	}
	return keys
}

// standings asks how the limits of the routes and clients stand that are shown.
func (s *stateOf) standings(ctx context.Context, c *config.Config, state *dashboard.State) error {
	var asked []limit.Standing
	var into []*[]dashboard.Limit
	ask := func(standings []limit.Standing, to *[]dashboard.Limit) {
		for _, standing := range standings {
			asked, into = append(asked, standing), append(into, to)
		}
	}
	for _, r := range c.Routes {
		if i := slices.IndexFunc(state.Routes, func(shown dashboard.Route) bool { return shown.Prefix == r.Prefix }); i >= 0 {
			ask(limit.StandingsFor(r), &state.Routes[i].Limits)
		}
	}
	for _, client := range c.Clients {
		if i := slices.IndexFunc(state.Clients, func(shown dashboard.Client) bool { return shown.Name == client.Name }); i >= 0 {
			ask(limit.StandingsOf(c, client), &state.Clients[i].Limits)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, stateLasts)
	defer cancel()
	for from := 0; from < len(asked); from += askedAtOnce {
		some := asked[from:min(from+askedAtOnce, len(asked))]
		charges := make([]limit.Charge, len(some))
		for i := range some {
			charges[i] = some[i].Charge
		}
		out, err := s.limits.Check(ctx, charges)
		if err != nil {
			return err //nolint:wrapcheck // the caller says what was being done
		}
		for i := range some {
			*into[from+i] = append(*into[from+i], shownLimit(&some[i], out.Decisions[i]))
		}
	}
	return nil
}

// shownLimit is a limit as it stands.
func shownLimit(s *limit.Standing, d limit.Decision) dashboard.Limit {
	l := dashboard.Limit{
		Route: s.Route, Of: string(s.Limit.Of), Rate: s.Charge.Rate.String(), Shadow: s.Limit.Shadow,
		Only:  strings.TrimSpace(s.Limit.Path + " " + strings.Join(s.Limit.Models, " ")),
		Count: strconv.FormatUint(s.Charge.Rate.Count, 10), Remaining: strconv.FormatUint(d.Remaining, 10),
		Left: float64(d.Remaining) / float64(s.Charge.Rate.Count), Reset: d.Reset.Seconds(),
	}
	if s.Limit.Of == config.OfCost {
		l.Rate = s.Charge.Rate.CostString()
		l.Count, l.Remaining = money.Amount(s.Charge.Rate.Count).Decimal(), money.Amount(d.Remaining).Decimal()
	}
	return l
}

// summary sums up accounts by route, by client and by model.
type summary struct {
	all                     *usage.Sums
	routes, clients, byName map[string]*usage.Sums
}

func sumUp(accounts []usage.Account) *summary {
	s := &summary{all: &usage.Sums{}, routes: map[string]*usage.Sums{}, clients: map[string]*usage.Sums{}, byName: map[string]*usage.Sums{}}
	for _, a := range accounts {
		s.all.Add(a.Sums)
		for _, by := range []struct {
			sums map[string]*usage.Sums
			name string
		}{{s.routes, a.Route}, {s.clients, a.Client}, {s.byName, a.Model}} {
			if by.sums[by.name] == nil {
				by.sums[by.name] = &usage.Sums{}
			}
			by.sums[by.name].Add(a.Sums)
		}
	}
	return s
}

func (s *summary) models() []dashboard.Model {
	models := []dashboard.Model{}
	for name, sums := range s.byName {
		models = append(models, dashboard.Model{Name: name, Totals: totals(sums)})
	}
	slices.SortFunc(models, func(a, b dashboard.Model) int {
		return cmp.Or(cmp.Compare(b.Requests, a.Requests), cmp.Compare(a.Name, b.Name))
	})
	return models
}

func totals(s *usage.Sums) dashboard.Totals {
	if s == nil {
		s = &usage.Sums{}
	}
	return dashboard.Totals{
		Requests: s.Requests, Failed: s.Failed, Refused: s.Refused, Hits: s.Hits, Input: s.Input, Output: s.Output,
		Spent: s.Spent.Decimal(), Saved: s.Saved.Decimal(), Unknown: s.Unknown, Last: s.Last,
	}
}

// pointOf is what metrics tell of a second, as it is shown.
func pointOf(p usage.Point) dashboard.Point {
	return dashboard.Point{
		Requests: p.Requests, Failed: p.Failed, Refused: p.Refused, Hits: p.Hits, Input: p.Input, Output: p.Output,
		Spent: p.Spent.Dollars(), Saved: p.Saved.Dollars(), InFlight: p.InFlight, First: p.First,
		First50: float64(p.First50.Microseconds()) / 1000, First99: float64(p.First99.Microseconds()) / 1000,
	}
}
