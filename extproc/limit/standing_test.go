package limit

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tollgate/config"
)

// A standing is the counter that requests take from, on both stores.
func TestStandings(t *testing.T) {
	onEach(t, func(t *testing.T, store Store, _ *fakeClock) {
		c := configured(t, `
routes:
- {prefix: /a, upstream: up, limits: [{requests: 5/hour}, {tokens: 100/hour, models: ["gpt*"]}, {requests: 7/day, per: route}, {requests: 1/day, per: model}, {requests: 1/day, per: path}]}
- {prefix: /b, upstream: up, limits: [{requests: 9/hour, clients: [bob]}]}
clients: [{name: alice, keys: [fk-1], limits: [{requests: 50/day;60/month}]}, {name: bob, keys: [fk-2]}]
`)
		route := c.Routes[0]
		require.Equal(t, "/a", route.Prefix)
		ask := &Ask{Route: route, Client: c.Clients[0], Path: "/a/v1", Model: "gpt-4o", Tokens: &Tokens{Prompt: 30}}
		require.True(t, reserve(t, store, Charges(ask)...).Allowed)
		remaining := func(standings []Standing) map[string]uint64 {
			got := map[string]uint64{}
			for _, s := range standings {
				out, err := store.Check(t.Context(), []Charge{s.Charge})
				require.NoError(t, err)
				got[s.Route+" "+s.Charge.Rate.String()] = out.Decisions[0].Remaining
			}
			return got
		}
		require.Equal(t, map[string]uint64{" 50/day": 49, " 60/month": 59, "/a 5/hour": 4, "/a 100/hour": 70}, remaining(StandingsOf(c, c.Clients[0])))
		require.Equal(t, map[string]uint64{"/a 5/hour": 5, "/a 100/hour": 100, "/b 9/hour": 9}, remaining(StandingsOf(c, c.Clients[1])))
		require.Equal(t, map[string]uint64{"/a 7/day": 6}, remaining(StandingsFor(route)))
		require.Equal(t, config.OfTokens, StandingsOf(c, c.Clients[1])[1].Limit.Of)
		require.Equal(t, time.Hour, StandingsOf(c, c.Clients[1])[2].Charge.Rate.Window)
	})
}
