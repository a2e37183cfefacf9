package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

// TestLimitsCannotBeDodged: what is one request to the upstream is one to its limits, however it is written.
func TestLimitsCannotBeDodged(t *testing.T) {
	t.Parallel()
	url, _ := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	g := launch(t, limited(url, `routes:
- {prefix: /path, upstream: openai, limits: [{requests: 1/hour, per: path}]}
- {prefix: /begin, upstream: openai, limits: [{requests: 1/hour, path: /begin/echo/a}]}
- {prefix: /model, upstream: openai, limits: [{requests: 1/hour, models: [gpt-4o]}, {requests: 5/hour, per: model}]}
`))
	alice := side{g.url, clientKey}
	chat := fmt.Sprintf(answerAtMost, 10, "")
	for name, test := range map[string]struct {
		paths, bodies []string
		headers       []header
		status        int
	}{
		"paths":         {[]string{"/path/echo", "/path/echo/", "/path//echo//", "/path/./echo", "/path/a/../echo", "/path/%65cho", "/path/echo?a"}, []string{"{}"}, nil, 429},
		"deeper paths":  {[]string{"/begin/echo/a/b", "/begin//echo/a", "/begin/echo/./a/", "/begin/echo/%61/b"}, []string{"{}"}, nil, 429},
		"other APIs":    {[]string{"/model/v1/chat/completions", "/model/v1/images/generations"}, []string{chat, `{"model":"gpt-4o","prompt":"x"}`}, nil, 429},
		"encoded":       {[]string{"/model/v1/chat/completions", "/model/v1/images/generations"}, []string{chat}, []header{{"content-encoding", "gzip"}}, 415},
		"not JSON":      {[]string{"/model/v1/chat/completions"}, []string{chat + "}"}, nil, 400},
		"twice a model": {[]string{"/model/v1/chat/completions"}, []string{strings.Replace(chat, "{", `{"model":"o3",`, 1)}, nil, 429},
	} {
		t.Run(name, func(t *testing.T) {
			passed := 0
			for _, path := range test.paths {
				for _, body := range test.bodies {
					got := alice.do(t, post(path, body, test.headers...))
					if got.Status == http.StatusOK {
						passed++
					} else if got.Status != test.status {
						t.Errorf("%s %s: got %d %s", path, body, got.Status, got.Body)
					}
				}
			}
			if passed > 1 {
				t.Errorf("%d requests passed, at one an hour", passed)
			}
		})
	}
	// What is no API of a model's passes, whatever it holds.
	if got := alice.do(t, post("/model/echo", "no JSON")); got.Status != http.StatusOK {
		t.Errorf("a body without a model: got %d %s", got.Status, got.Body)
	}
}

// TestWhoWaitsIsNotRefused: a client that sends a request when it has the whole answer to its last one meets neither
// its place among the calls in flight nor the tokens that it had reserved.
func TestWhoWaitsIsNotRefused(t *testing.T) {
	t.Parallel()
	url, _ := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	redis := startRedis(t)
	const routes = "routes: [{prefix: /, upstream: openai, max_in_flight: 1, limits: [{tokens: 5000/hour}]}]\n"
	memory := launch(t, limited(url, routes))
	configuration := limited(url, strings.Replace(routes, "max_in_flight: 1, ", "", 1)) + "limit_store: {redis: \"redis://" + redis.address + "\"}\n"
	for name, gateways := range map[string][]*gateway{
		"memory": {memory},
		"Redis":  {launch(t, configuration), launch(t, configuration)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i := range 100 {
				stream := []string{"", `"stream":true,"stream_options":{"include_usage":true},`}[i/2%2]
				r := post("/v1/chat/completions", fmt.Sprintf(answerAtMost, 3500, stream))
				if got := (side{gateways[i%len(gateways)].url, clientKey}).do(t, r); got.Status != http.StatusOK {
					t.Errorf("request %d: got %d %s", i, got.Status, got.Body)
				}
			}
		})
	}
}
