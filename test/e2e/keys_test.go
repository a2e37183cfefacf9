package e2e

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

// TestKeyPlaces sends the client's key in each header; the upstream's arrives in the same, alone.
func TestKeyPlaces(t *testing.T) {
	t.Parallel()
	_, through, _ := sides(t)
	anyone := side{url: through.url}
	tests := map[string]struct {
		sent           []header
		arrives, value string
	}{
		"authorization":           {[]header{{"authorization", "Bearer " + clientKey}}, "authorization", "Bearer " + upstreamKey},
		"authorization, any case": {[]header{{"authorization", "bearer " + clientKey}}, "authorization", "Bearer " + upstreamKey},
		"x-api-key":               {[]header{{"x-api-key", clientKey}}, "x-api-key", upstreamKey},
		"api-key":                 {[]header{{"api-key", clientKey}}, "api-key", upstreamKey},
		"another key beside":      {[]header{{"authorization", "Bearer " + clientKey}, {"x-api-key", "sk-own-0123456789"}}, "authorization", "Bearer " + upstreamKey},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := anyone.echo(t, request{method: "GET", path: "/echo", headers: test.sent})
			if diff := cmp.Diff([]string{test.value}, got.Headers[test.arrives]); diff != "" {
				t.Errorf("%s (-want +got):\n%s", test.arrives, diff)
			}
			all, err := json.Marshal(got)
			if err != nil || strings.Contains(string(all), clientKey) || strings.Contains(string(all), "sk-own") {
				t.Errorf("another key travelled on: %s, %v", all, err)
			}
		})
	}
}

// TestKeyHeader has an upstream that wants its key in one header.
func TestKeyHeader(t *testing.T) {
	t.Parallel()
	url, _ := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	yaml := strings.Replace(oneRoute(url), "name: openai,", "name: openai, key_header: api-key,", 1)
	got := side{start(t, yaml), clientKey}.echo(t, request{method: "GET", path: "/echo"})
	if got.Headers["authorization"] != nil || !cmp.Equal(got.Headers["api-key"], []string{upstreamKey}) {
		t.Errorf("the upstream sees %v", got.Headers)
	}
}

// TestRoundRobin gives the upstream's keys their turns.
func TestRoundRobin(t *testing.T) {
	t.Parallel()
	const second = "sk-second-0123456789"
	url, upstream := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey, second}})
	yaml := strings.Replace(oneRoute(url), "keys: ["+upstreamKey+"]", "keys: ["+upstreamKey+", "+second+"]", 1)
	gateway := side{start(t, yaml), clientKey}
	for range 6 {
		gateway.do(t, request{method: "GET", path: "/v1/models"})
	}
	var got []string
	for _, r := range upstream.Requests() {
		got = append(got, strings.TrimPrefix(r.Header.Get("authorization"), "Bearer "))
	}
	a, b := upstreamKey, second
	if len(got) > 0 && got[0] == b {
		a, b = b, a
	}
	if diff := cmp.Diff([]string{a, b, a, b, a, b}, got); diff != "" {
		t.Errorf("the keys' turns (-want +got):\n%s", diff)
	}
}

// TestRefusedKeys never reach the upstream.
func TestRefusedKeys(t *testing.T) {
	t.Parallel()
	_, through, upstream := sides(t)
	anyone := side{url: through.url}
	tests := map[string][]header{
		"none":                 nil,
		"wrong":                {{"authorization", "Bearer fk-wrong-0123456789"}},
		"a part of one":        {{"authorization", "Bearer " + clientKey[:10]}},
		"more than one":        {{"authorization", "Bearer " + clientKey + "0"}},
		"not a bearer":         {{"authorization", "Basic " + clientKey}},
		"empty":                {{"authorization", "Bearer "}},
		"the upstream's":       {{"authorization", "Bearer " + upstreamKey}},
		"wrong in x-api-key":   {{"x-api-key", "wrong-0123456789"}},
		"in an unknown header": {{"x-key", clientKey}},
	}
	for name, headers := range tests {
		t.Run(name, func(t *testing.T) {
			for _, method := range []string{"GET", "POST"} {
				got := anyone.do(t, request{method: method, path: "/v1/chat/completions", headers: headers})
				got.isError(t, 401, "invalid_api_key", "Tollgate")
				for _, h := range headers {
					if key := strings.TrimPrefix(h.value, "Bearer "); len(key) > 8 && strings.Contains(got.Body, key) {
						t.Errorf("the answer holds the key: %s", got.Body)
					}
				}
			}
		})
	}
	if got := len(upstream.Requests()); got != 0 {
		t.Errorf("%d of them reached the upstream", got)
	}
}
