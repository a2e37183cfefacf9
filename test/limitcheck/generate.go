package limitcheck

import (
	"math/rand/v2"
	"slices"
	"time"
)

// Models that clients ask for.
var Models = []string{"gpt-4o", "gpt-4o-mini", "o3"} //nolint:gochecknoglobals // a table

// regulars are the clients that send requests.
var regulars = []string{"alice", "bob", "carol"} //nolint:gochecknoglobals // a table

// Generate makes a random configuration. Two of its routes are for who needs an answer whatever the
// limits are, and no random request goes there, nor comes from the client called spare: /cal limits tokens alone, and /probe requests, to more
// than there can be.
func Generate(random *rand.Rand, dotenv bool) *Spec {
	g := generator{random}
	s := &Spec{Dotenv: dotenv}
	for _, name := range regulars {
		s.Clients = append(s.Clients, Client{Name: name, Key: "fk-" + name + "-0123456789"})
	}
	s.Clients = append(s.Clients, Client{Name: "spare", Key: "fk-spare-0123456789"})
	if dotenv {
		s.dotenv(g)
		return s
	}
	// The second lies below the first and has limits of its own, so a path can be under both rules.
	s.Routes = []Route{
		{Prefix: "/free"},
		{Prefix: "/free/own", Limits: g.limits(1+g.IntN(2), "/free/own")},
		{Prefix: "/other"},
		{Prefix: "/a", Limits: g.limits(1+g.IntN(3), "/a")},
		{Prefix: "/b", Limits: g.limits(1+g.IntN(3), "/b")},
		{Prefix: "/tokens", Limits: []Limit{g.limit("/tokens", true), g.limit("/tokens", false)}},
		{Prefix: "/door", Open: true, Limits: g.limits(1+g.IntN(2), "/door")},
		{Prefix: "/probe", Spare: true, Limits: []Limit{{Rates: []Rate{{1_000_000_000, 10_000 * time.Second}}, Per: "client", Strategy: Moving}}},
		{Prefix: "/cal", Spare: true, Limits: []Limit{{Rates: []Rate{{1_000_000_000, 10_000 * time.Second}}, Tokens: true, Per: "model", Strategy: Moving}}},
	}
	for i := range s.Routes {
		s.Routes[i].AnswerTokens = 50 + 50*g.Uint64N(4)
	}
	s.Limits = append(g.limits(1+g.IntN(2), "/free"), g.limits(1+g.IntN(2), "")...)
	for i := range s.Clients[:2] {
		s.Clients[i].Limits = g.limits(g.IntN(3), "/free")
		for j := range s.Clients[i].Limits {
			s.Clients[i].Limits[j].Per = []string{"client", "model"}[g.IntN(2)] // no other is allowed
		}
	}
	return s
}

// dotenv makes what OpenAI-Forward's variables can say.
func (s *Spec) dotenv(g generator) {
	s.Routes = []Route{{Prefix: "/openai"}, {Prefix: "/local"}}
	strategy := g.strategy()
	for _, path := range []string{"/openai/v1/chat", "/openai/echo/a", "/local/echo", ""} {
		s.Limits = append(s.Limits, Limit{Rates: g.rates(2), Path: path, Per: "path", Strategy: strategy})
	}
}

type generator struct{ *rand.Rand }

func (g generator) strategy() string { return []string{Moving, Fixed, Elastic}[g.IntN(3)] }

func (g generator) limits(n int, below string) []Limit {
	limits := make([]Limit, n)
	for i := range limits {
		limits[i] = g.limit(below, g.IntN(3) == 0)
	}
	return limits
}

func (g generator) limit(below string, tokens bool) Limit {
	l := Limit{Tokens: tokens, Strategy: g.strategy(), Shadow: !tokens && g.IntN(8) == 0}
	l.Per = []string{"client", "client", "model", "path", "route"}[g.IntN(5)]
	if g.IntN(3) == 0 {
		l.Path = below + []string{"", "/v1", "/echo"}[g.IntN(3)]
	}
	if g.IntN(5) == 0 {
		l.Models = [][]string{{"gpt-4o*"}, {"o3"}, {"gpt-4o", "o3"}}[g.IntN(3)]
	}
	l.Rates = g.rates(1 + g.IntN(2))
	if tokens {
		for i := range l.Rates {
			l.Rates[i].Count *= 100
		}
	}
	return l
}

// rates are of windows of their own: two of the same would be one.
func (g generator) rates(n int) []Rate {
	rates := []Rate{{2 + g.Uint64N(8), time.Duration(1+g.IntN(2)) * time.Second}}
	if n == 2 {
		rates = append(rates, Rate{rates[0].Count + g.Uint64N(12), 3 * time.Second})
	}
	return rates
}

// Query makes a random request that the configuration knows a route for.
func (s *Spec) Query(random *rand.Rand) *Query {
	routes := slices.DeleteFunc(slices.Clone(s.Routes), func(r Route) bool { return r.Spare })
	route := routes[random.IntN(len(routes))]
	q := &Query{Client: regulars[random.IntN(len(regulars))], Address: "127.0.0.1", Path: route.Prefix + "/echo"}
	if route.Open || s.Dotenv && random.IntN(4) == 0 {
		q.Client, q.Address = "", []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"}[random.IntN(3)]
	}
	q.Path += []string{"", "/a", "/b"}[random.IntN(3)]
	limitsTokens := slices.ContainsFunc(s.Takes(&Query{Client: q.Client, Path: route.Prefix + "/v1/chat/completions", Model: Models[0], Chat: true}),
		func(t Take) bool { return t.Tokens })
	if limitsTokens && random.IntN(4) > 0 || random.IntN(3) == 0 {
		q.Path, q.Chat, q.Model = route.Prefix+"/v1/chat/completions", true, Models[random.IntN(len(Models))]
		if random.IntN(3) > 0 {
			q.MaxAsked = 10 + random.Uint64N(200)
		}
		if random.IntN(4) == 0 {
			q.Answers = 1 + random.Uint64N(4)
		}
	}
	return q
}
