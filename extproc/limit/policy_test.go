package limit

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tollgate/config"
	"tollgate/config/money"
)

// configured resolves routes and clients.
func configured(t *testing.T, yaml string) *config.Config {
	t.Helper()
	c, err := config.Parse("test.yaml", []byte("upstreams: [{name: up, url: http://192.0.2.1}]\n"+yaml), func(string) (string, bool) { return "", false })
	require.NoError(t, err)
	return c
}

// Which counters a request takes from, and how much.
func TestCharges(t *testing.T) {
	const everyone, tokens = "routes: [{prefix: /, upstream: up, limits: [%s]}]\n", "{tokens: 1000/minute}"
	const prices = "prices: [{model: dear, input: 1, output: 2}]\n"
	dear := money.Price{Input: 1_000_000, Output: 2_000_000}
	long := strings.Repeat("m", 100)
	tests := map[string]struct {
		yaml  string
		ask   Ask
		wants string // a line a charge
	}{
		"requests":                {fmt.Sprintf(everyone, "{requests: 60/minute;600/hour}"), Ask{}, "/  address:192.0.2.9 requests 1/60\n/  address:192.0.2.9 requests 1/600"},
		"for all":                 {fmt.Sprintf(everyone, "{requests: 60/minute, per: route}"), Ask{}, "/  * requests 1/60"},
		"one path":                {fmt.Sprintf(everyone, "{requests: 60/minute, path: /v1}"), Ask{Path: "/v1/chat"}, "/ /v1 address:192.0.2.9 requests 1/60"},
		"another path":            {fmt.Sprintf(everyone, "{requests: 60/minute, path: /v2}"), Ask{Path: "/v1/chat"}, ""},
		"per path":                {fmt.Sprintf(everyone, "{requests: 60/minute, per: path}"), Ask{Path: "/v1/chat"}, "/ /v1/chat address:192.0.2.9 requests 1/60"},
		"some models":             {fmt.Sprintf(everyone, `{requests: 60/minute, models: ["gpt-4*", o3]}`), Ask{Model: "o3"}, "/  address:192.0.2.9 requests of gpt-4*,o3 1/60"},
		"other models":            {fmt.Sprintf(everyone, `{requests: 60/minute, models: ["gpt-4*", o3]}`), Ask{Model: "o1"}, ""},
		"per model":               {fmt.Sprintf(everyone, "{requests: 60/minute, per: model}"), Ask{Model: "a b"}, `/  address:192.0.2.9 requests model "a b" 1/60`},
		"per model of no end":     {fmt.Sprintf(everyone, "{requests: 60/minute, per: model}"), Ask{Model: long}, "/  address:192.0.2.9 requests model " + short(long) + " 1/60"},
		"shadow":                  {fmt.Sprintf(everyone, "{requests: 60/minute, shadow: true}"), Ask{}, "/  address:192.0.2.9 requests 1/60 shadow"},
		"tokens that are not":     {fmt.Sprintf(everyone, tokens), Ask{}, ""},
		"tokens":                  {fmt.Sprintf(everyone, tokens), Ask{Tokens: &Tokens{Prompt: 10, Answer: 20}}, "/  address:192.0.2.9 tokens 30/1000"},
		"more than there are":     {fmt.Sprintf(everyone, tokens), Ask{Tokens: &Tokens{Prompt: 10, Answer: 5000}}, "/  address:192.0.2.9 tokens 5010/1000"},
		"an open end":             {fmt.Sprintf(everyone, "{tokens: 9000/minute}"), Ask{Tokens: &Tokens{Prompt: 10, Open: true}}, "/  address:192.0.2.9 tokens 1034/9000"},
		"an open end, small":      {fmt.Sprintf(everyone, tokens), Ask{Tokens: &Tokens{Prompt: 10, Open: true}}, "/  address:192.0.2.9 tokens 1000/1000"},
		"an open end, too large":  {fmt.Sprintf(everyone, tokens), Ask{Tokens: &Tokens{Prompt: 5000, Open: true}}, "/  address:192.0.2.9 tokens 5000/1000"},
		"several open ends":       {fmt.Sprintf(everyone, "{tokens: 9000/minute}"), Ask{Tokens: &Tokens{Prompt: 10, Answers: 8, Open: true}}, "/  address:192.0.2.9 tokens 8202/9000"},
		"open ends, small":        {fmt.Sprintf(everyone, "{tokens: 5000/minute}"), Ask{Tokens: &Tokens{Prompt: 10, Answers: 8, Open: true}}, "/  address:192.0.2.9 tokens 5000/5000"},
		"open ends of no number":  {fmt.Sprintf(everyone, "{tokens: 5000/minute}"), Ask{Tokens: &Tokens{Prompt: 10, Answers: 1 << 63, Open: true}}, "/  address:192.0.2.9 tokens 5000/5000"},
		"absurd":                  {fmt.Sprintf(everyone, tokens), Ask{Tokens: &Tokens{Prompt: 1 << 63, Answer: 1 << 63}}, fmt.Sprintf("/  address:192.0.2.9 tokens %d/1000", 2*uint64(MaxCount))},
		"the route's usual":       {"routes: [{prefix: /, upstream: up, limits: [" + tokens + "], answer_tokens: 300}]\n", Ask{Tokens: &Tokens{Prompt: 10, Open: true}}, "/  address:192.0.2.9 tokens 310/1000"},
		"the first of a kind":     {"routes: [{prefix: /, upstream: up}]\nlimits: [{requests: 5/minute, path: /v1}, {requests: 60/minute}, " + tokens + ", {tokens: 5/minute}]\n", Ask{Path: "/v1/chat", Tokens: &Tokens{Answer: 1}}, "* /v1 address:192.0.2.9 requests 1/5\n/  address:192.0.2.9 tokens 1/1000"},
		"shadow is never a first": {"routes: [{prefix: /, upstream: up}]\nlimits: [{requests: 5/minute, shadow: true}, {requests: 60/minute}]\n", Ask{}, "/  address:192.0.2.9 requests 1/5 shadow\n/  address:192.0.2.9 requests 1/60"},
		"money":                   {prices + fmt.Sprintf(everyone, "{cost: 0.01 USD/day}"), Ask{Cost: &Cost{dear, Tokens{Prompt: 10, Answer: 20}}}, "/  address:192.0.2.9 cost 50000/10000000"},
		"money that is not":       {prices + fmt.Sprintf(everyone, "{cost: 0.01 USD/day}"), Ask{Tokens: &Tokens{Prompt: 10, Answer: 20}}, ""},
		"money, an open end":      {prices + fmt.Sprintf(everyone, "{cost: 0.01 USD/day}"), Ask{Cost: &Cost{dear, Tokens{Prompt: 10, Open: true}}}, "/  address:192.0.2.9 cost 2058000/10000000"},
		"money, small":            {prices + fmt.Sprintf(everyone, "{cost: 0.001 USD/day}"), Ask{Cost: &Cost{dear, Tokens{Prompt: 10, Open: true}}}, "/  address:192.0.2.9 cost 1000000/1000000"},
		"money by the request":    {prices + fmt.Sprintf(everyone, "{cost: 1 USD/day}"), Ask{Cost: &Cost{money.Price{Request: 40_000_000}, Tokens{}}}, "/  address:192.0.2.9 cost 40000000/1000000000"},
		"absurd money":            {prices + fmt.Sprintf(everyone, "{cost: 1 USD/day}"), Ask{Cost: &Cost{dear, Tokens{Prompt: 1 << 63, Answer: 1 << 63}}}, fmt.Sprintf("/  address:192.0.2.9 cost %d/1000000000", 2*uint64(MaxCount))},
		"the first of money":      {prices + "routes: [{prefix: /, upstream: up}]\nlimits: [{requests: 5/minute}, {cost: 1 USD/day}, {cost: 2 USD/day}]\n", Ask{Cost: &Cost{dear, Tokens{Answer: 1}}}, "/  address:192.0.2.9 requests 1/5\n/  address:192.0.2.9 cost 2000/1000000000"},
		"none":                    {fmt.Sprintf(everyone, "{requests: inf}"), Ask{}, ""},
		"a client who is meant": {
			"routes: [{prefix: /, upstream: up}]\nlimits: [{requests: 5/minute, clients: [bob, alice]}, {requests: 60/minute}]\nclients: [{name: alice, keys: [fk-1]}, {name: bob, keys: [fk-2]}]\n",
			Ask{Client: &config.Client{}},
			"/  client:alice requests 1/5",
		},
		"another than is meant": {
			"routes: [{prefix: /, upstream: up}]\nlimits: [{requests: 5/minute, clients: [bob]}, {requests: 60/minute}]\nclients: [{name: alice, keys: [fk-1]}, {name: bob, keys: [fk-2]}]\n",
			Ask{Client: &config.Client{}},
			"/  client:alice requests 1/60",
		},
		"nobody with a name": {
			"routes: [{prefix: /, upstream: up}]\nlimits: [{requests: 5/minute, clients: [alice]}, {requests: 60/minute}]\nclients: [{name: alice, keys: [fk-1]}]\n",
			Ask{},
			"/  address:192.0.2.9 requests 1/60",
		},
		"some who share": {
			"routes: [{prefix: /, upstream: up, limits: [{requests: 5/minute, per: route, clients: [bob, alice]}]}]\nclients: [{name: alice, keys: [fk-1]}, {name: bob, keys: [fk-2]}]\n",
			Ask{Client: &config.Client{}},
			`/  * requests by "alice,bob" 1/5`,
		},
		"a client's own": {
			"routes: [{prefix: /, upstream: up, limits: [{requests: 60/minute}]}]\nclients: [{name: alice, keys: [fk-1], limits: [{requests: 5/minute}, {tokens: 9/hour, per: model}]}]\n",
			Ask{Client: &config.Client{}, Model: "o3", Tokens: &Tokens{Prompt: 1, Answer: 2}},
			"/  client:alice requests 1/60\nown  client:alice requests 1/5\n" + `own  client:alice tokens model "o3" 3/9`,
		},
		"a client's own beside the same for all": {
			"routes: [{prefix: /, upstream: up}]\nlimits: [{requests: 5/minute, path: /v1}]\nclients: [{name: alice, keys: [fk-1], limits: [{requests: 5/minute, path: /v1}]}]\n",
			Ask{Client: &config.Client{}, Path: "/v1/chat"},
			"* /v1 client:alice requests 1/5\nown /v1 client:alice requests 1/5",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := configured(t, test.yaml)
			test.ask.Route = c.Routes[0]
			test.ask.Address = netip.MustParseAddr("192.0.2.9")
			if test.ask.Client != nil {
				test.ask.Client = c.Clients[0]
			}
			var lines []string
			for _, charge := range Charges(&test.ask) {
				line := fmt.Sprintf("%s %d/%d", charge.Key, charge.Cost, charge.Rate.Count)
				if charge.Shadow {
					line += " shadow"
				}
				lines = append(lines, line)
			}
			assert.Equal(t, test.wants, strings.Join(lines, "\n"))
		})
	}
}

// What a client is told of each kind of limit, and of the one that refuses it.
func TestRefusalAndHeadroom(t *testing.T) {
	clock := newClock()
	store := NewMemory(MemoryOptions{Clock: clock.Now})
	requests, tokens := per("requests", MovingWindow, 2, time.Minute, 1), per("tokens", MovingWindow, 100, time.Minute, 60)
	tokens.Of = config.OfTokens
	charges := []Charge{requests, tokens}
	requests.Of, charges[0].Of = config.OfRequests, config.OfRequests
	headroom := func(out Outcome, of config.Quantity) Headroom {
		h, ok := HeadroomOf(out, charges, of)
		require.True(t, ok)
		return h
	}
	out := reserve(t, store, charges...)
	require.True(t, out.Allowed)
	assert.Equal(t, Headroom{2, 1, time.Minute}, headroom(out, config.OfRequests))
	assert.Equal(t, Headroom{100, 40, time.Minute}, headroom(out, config.OfTokens))

	clock.Advance(time.Second)
	out = reserve(t, store, charges...)
	require.False(t, out.Allowed)
	assert.Equal(t, uint64(1), headroom(out, config.OfRequests).Remaining, "a refused request takes nothing of any limit")
	refusal := Refusal(out, charges)
	assert.Equal(t, "tokens", refusal.Type)
	assert.Contains(t, refusal.Message, "may take 60")
	assert.Contains(t, fmt.Sprint(refusal.Headers), "{retry-after 59} {retry-after-ms 59000}")

	tokens.Cost = 101
	charges = []Charge{requests, tokens}
	refusal = Refusal(reserve(t, store, charges...), charges)
	assert.Contains(t, refusal.Message, "too large")
	assert.Contains(t, fmt.Sprint(refusal.Headers), "x-should-retry")
	_, ok := HeadroomOf(out, []Charge{requests}, config.OfTokens)
	assert.False(t, ok, "there is no limit of tokens")
}

// A budget that is used up is told as OpenAI tells it, with when there is room again.
func TestBudgetRefusal(t *testing.T) {
	onEach(t, func(t *testing.T, store Store, clock *fakeClock) {
		charge := per("cost", MovingWindow, 20_000_000_000, 30*24*time.Hour, 15_000_000_000)
		charge.Of = config.OfCost
		out := reserve(t, store, charge)
		require.True(t, out.Allowed)
		settle(t, store, out, charge, 5_000_000_001)
		left, ok := HeadroomOf(reserve(t, store, charge), []Charge{charge}, config.OfCost)
		require.True(t, ok)
		require.Equal(t, uint64(14_999_999_999), left.Remaining)
		clock.Advance(24 * time.Hour)
		charge.Cost = 14_999_999_999
		require.True(t, reserve(t, store, charge).Allowed, "to the last nano-dollar")
		charge.Cost = 1
		out = reserve(t, store, charge)
		require.False(t, out.Allowed)
		refusal := Refusal(out, []Charge{charge})
		require.Equal(t, 429, refusal.Status)
		require.Equal(t, "insufficient_quota", refusal.Code)
		require.Equal(t, "insufficient_quota", refusal.Type)
		require.Equal(t, "Tollgate: the budget is used up: it is 20.00 USD/month, and the request may cost 0.000000001 USD. "+
			"There is room for it again at 2026-02-01 12:00:00 UTC.", refusal.Message)
		require.Equal(t, "[{retry-after 2505600} {retry-after-ms 2505600000} {x-should-retry false}]", fmt.Sprint(refusal.Headers))
		charge.Cost = 20_000_000_001
		refusal = Refusal(reserve(t, store, charge), []Charge{charge})
		for _, strategy := range strategies() { // the largest budget is exact, too
			most := per("most", strategy, MaxCount, time.Hour, MaxCount-2)
			require.True(t, reserve(t, store, most).Allowed)
			most.Cost = 1
			require.True(t, reserve(t, store, most).Allowed)
			require.True(t, reserve(t, store, most).Allowed)
			require.False(t, reserve(t, store, most).Allowed)
		}
		require.Contains(t, refusal.Message, "too dear: it may cost 20.000000001 USD, and this budget is 20.00 USD/month")
	})
}

// Places are counted for the route and for the client, both or none.
func TestInFlight(t *testing.T) {
	c := configured(t, "routes: [{prefix: /, upstream: up, max_in_flight: 2}, {prefix: /free, upstream: up}]\nclients: [{name: alice, keys: [fk-1], max_in_flight: 1}]\n")
	free, route, alice := c.Routes[0], c.Routes[1], c.Clients[0]
	var f InFlight
	enter := func(route *config.Route, client *config.Client) func() {
		leave, err := f.Enter(route, client)
		require.NoError(t, err)
		return leave
	}
	require.Nil(t, enter(free, nil), "nothing is bounded")
	first := enter(route, alice)
	_, err := f.Enter(free, alice)
	require.ErrorContains(t, err, "this client may have 1")
	second := enter(route, nil)
	_, err = f.Enter(route, nil)
	require.ErrorContains(t, err, "this route may have 2")
	second()
	_, err = f.Enter(route, alice)
	require.ErrorContains(t, err, "this client")
	second = enter(route, nil)
	first()
	second()
	require.Empty(t, f.calls, "who is not there takes no memory")
}
