package auth_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/config"
	"tollgate/extproc/auth"
	"tollgate/extproc/exchange"
)

// ring is a ring of keys that are called by their letters.
func ring(letters string) *auth.Keys {
	var secrets []config.Secret
	for _, letter := range letters {
		secrets = append(secrets, config.NewSecret(string(letter)))
	}
	return auth.NewKeys(secrets)
}

func rest(keys *auth.Keys, letter string, now time.Time, status int, after string) bool {
	header := func(name string) string { return map[string]string{"retry-after": after}[name] }
	return keys.Rest(config.NewSecret(letter).Fingerprint(), now, auth.RestOf(status, header, now))
}

// turns takes so many keys.
func turns(keys *auth.Keys, now time.Time, n int) string {
	var taken strings.Builder
	for range n {
		key, _ := keys.Next(now)
		taken.WriteString(key.Reveal())
	}
	return taken.String()
}

// TestKeysTakeTurns: round robin is exact, also among those that are left when others rest.
func TestKeysTakeTurns(t *testing.T) {
	t.Parallel()
	now := time.Now()
	if _, ok := auth.NewKeys(nil).Next(now); ok || auth.NewKeys(nil).Ready(now) {
		t.Error("a ring without keys gave one")
	}
	type event struct {
		key    string
		status int
		after  string
	}
	for name, test := range map[string]struct {
		events []event
		later  time.Duration
		turns  string
		ready  bool
	}{
		"all":                           {turns: "abcabca", ready: true},
		"one rests":                     {events: []event{{"b", 429, "9"}}, turns: "acacaca", ready: true},
		"it has rested":                 {events: []event{{"b", 429, "9"}}, later: 9 * time.Second, turns: "abcabca", ready: true},
		"no time given":                 {events: []event{{"b", 429, ""}}, later: time.Second, turns: "abcabca", ready: true},
		"one is set aside":              {events: []event{{"a", 401, ""}}, later: 59 * time.Minute, turns: "bcbcbcb", ready: true},
		"for an hour":                   {events: []event{{"a", 403, ""}}, later: time.Hour, turns: "abcabca", ready: true},
		"a rest is bounded":             {events: []event{{"a", 429, "999999999"}}, later: time.Hour, turns: "abcabca", ready: true},
		"all rest":                      {events: []event{{"a", 429, "9"}, {"b", 429, "3"}, {"c", 429, "6"}}, turns: "bbbbbbb"},
		"a shorter one changes nothing": {events: []event{{"a", 429, "9"}, {"b", 429, "8"}, {"c", 429, "7"}, {"c", 429, "10"}, {"c", 429, "1"}}, turns: "bbbbbbb"},
		"better one that rests":         {events: []event{{"a", 401, ""}, {"b", 429, "9"}, {"c", 401, ""}}, turns: "bbbbbbb"},
		"all are set aside":             {events: []event{{"a", 401, ""}, {"b", 401, ""}, {"c", 403, ""}}, turns: "abcabca"},
		"and one rests too":             {events: []event{{"a", 401, ""}, {"b", 401, ""}, {"c", 403, ""}, {"a", 429, "9"}}, turns: "bcbcbcb"},
		"nothing against it":            {events: []event{{"a", 200, ""}, {"b", 503, "9"}}, turns: "abcabca", ready: true},
	} {
		keys := ring("abc")
		for _, e := range test.events {
			rest(keys, e.key, now, e.status, e.after)
		}
		at := now.Add(test.later)
		if got := keys.Ready(at); got != test.ready {
			t.Errorf("%s: ready is %t", name, got)
		}
		if got := turns(keys, at, 7); got != test.turns {
			t.Errorf("%s: the turns are %s, want %s", name, got, test.turns)
		}
	}
}

// TestKeysRestOnce: that a key rests is news once.
func TestKeysRestOnce(t *testing.T) {
	t.Parallel()
	keys, now := ring("ab"), time.Now()
	for i, test := range []struct {
		key    string
		status int
		later  time.Duration
		news   bool
	}{
		{"a", 429, 0, true},
		{"a", 429, 0, false},
		{"a", 401, 0, true}, // which is worse
		{"a", 401, time.Minute, false},
		{"b", 200, 0, false},
		{"a", 429, time.Minute, true}, // it had rested
		{"unknown", 401, 0, false},
	} {
		if got := rest(keys, test.key, now.Add(test.later), test.status, "5"); got != test.news {
			t.Errorf("event %d: news is %t", i, got)
		}
	}
	got := keys.Resting(now)
	want := []auth.Resting{
		{config.NewSecret("a").Fingerprint(), auth.Rest{For: time.Hour + time.Minute, Aside: true}},
		{config.NewSecret("b").Fingerprint(), auth.Rest{}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestKeysAlwaysGiveOne: whatever upstreams say, and however many ask, there is a key, and none that is
// ready is passed over for one that is not.
func TestKeysAlwaysGiveOne(t *testing.T) {
	t.Parallel()
	random, keys, now := rand.New(rand.NewPCG(1, 2)), ring("abcd"), time.Now()
	for range 20_000 {
		now = now.Add(time.Duration(random.IntN(2000)) * time.Millisecond)
		ready := keys.Ready(now)
		key, ok := keys.Next(now)
		if !ok {
			t.Fatal("no key")
		}
		for _, r := range keys.Resting(now) {
			if ready && r.Fingerprint == key.Fingerprint && r.For > 0 {
				t.Fatalf("a key that rests for %s, and another does not", r.For)
			}
		}
		switch random.IntN(20) {
		case 0:
			rest(keys, key.Reveal(), now, 401, "")
		case 1, 2, 3, 4, 5:
			rest(keys, key.Reveal(), now, 429, "20")
		}
	}
}

func TestRestOf(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, test := range map[string]struct {
		status  int
		headers []exchange.Header
		want    auth.Rest
	}{
		"200":                     {status: 200},
		"500":                     {status: 500, headers: headers("retry-after", "7")},
		"401":                     {status: 401, headers: headers("retry-after", "7"), want: auth.Rest{For: time.Hour, Aside: true}},
		"403":                     {status: 403, want: auth.Rest{For: time.Hour, Aside: true}},
		"429":                     {status: 429, want: auth.Rest{For: time.Second}},
		"seconds":                 {status: 429, headers: headers("retry-after", "7"), want: auth.Rest{For: 7 * time.Second}},
		"a part of one":           {status: 429, headers: headers("retry-after", "0.5"), want: auth.Rest{For: 500 * time.Millisecond}},
		"milliseconds come first": {status: 429, headers: headers("retry-after", "7", "retry-after-ms", "6100"), want: auth.Rest{For: 6100 * time.Millisecond}},
		"a date":                  {status: 429, headers: headers("retry-after", "Fri, 02 Jan 2026 03:05:00 GMT"), want: auth.Rest{For: 55 * time.Second}},
		"a date that is past":     {status: 429, headers: headers("retry-after", "Fri, 02 Jan 2026 03:04:00 GMT"), want: auth.Rest{For: time.Second}},
		"no more than an hour":    {status: 429, headers: headers("retry-after", "86400"), want: auth.Rest{For: time.Hour}},
		"beyond all numbers":      {status: 429, headers: headers("retry-after", "1e300"), want: auth.Rest{For: time.Hour}},
		"no number":               {status: 429, headers: headers("retry-after", "NaN"), want: auth.Rest{For: time.Second}},
		"below zero":              {status: 429, headers: headers("retry-after", "-7"), want: auth.Rest{For: time.Second}},
		"what is used up": {status: 429, headers: headers("x-ratelimit-remaining-requests", "0", "x-ratelimit-reset-requests", "6m0s",
			"x-ratelimit-remaining-tokens", "17", "x-ratelimit-reset-tokens", "30m"), want: auth.Rest{For: 6 * time.Minute}},
		"reset in seconds": {status: 429, headers: headers("x-ratelimit-reset", "20"), want: auth.Rest{For: 20 * time.Second}},
		"reset at a time":  {status: 429, headers: headers("x-ratelimit-reset", "1767323075"), want: auth.Rest{For: 30 * time.Second}},
		"to milliseconds":  {status: 429, headers: headers("x-ratelimit-reset", "1767323045250"), want: auth.Rest{For: 250 * time.Millisecond}},
		"reset never":      {status: 429, headers: headers("x-ratelimit-reset", "1e40"), want: auth.Rest{For: time.Second}},
	} {
		request := exchange.Request{Headers: test.headers}
		if got := auth.RestOf(test.status, request.Get, now); got != test.want {
			t.Errorf("%s: got %+v, want %+v", name, got, test.want)
		}
	}
}

// FuzzRestOf: whatever an upstream writes, a rest is there for a 429, and bounded.
func FuzzRestOf(f *testing.F) {
	f.Add("7", "", "6m0s")
	f.Add("Fri, 02 Jan 2026 03:05:00 GMT", "20", "1767323045250")
	f.Fuzz(func(t *testing.T, after, afterMS, reset string) {
		header := func(name string) string {
			return map[string]string{"retry-after": after, "retry-after-ms": afterMS, "x-ratelimit-reset": reset}[name]
		}
		if got := auth.RestOf(429, header, time.Now()); got.For <= 0 || got.For > time.Hour || got.Aside {
			t.Fatalf("got %+v", got)
		}
	})
}

// TestRekey: a later attempt's key takes the place of the one before, wherever it goes.
func TestRekey(t *testing.T) {
	t.Parallel()
	const before, after = "sk-before-0123456789", "sk-after-0123456789"
	key := auth.Key{Secret: config.NewSecret(after)}
	for name, test := range map[string]struct {
		into       string
		hasKey     bool
		sent, seen []exchange.Header
	}{
		"as bearer":       {"authorization", true, headers("authorization", "Bearer "+before), headers("authorization", "Bearer "+after)},
		"as x-api-key":    {"x-api-key", true, headers("x-api-key", before), headers("x-api-key", after)},
		"into another":    {"api-key", true, headers("authorization", "Bearer "+before), headers("api-key", after)},
		"as subprotocol":  {"sec-websocket-protocol", true, headers("sec-websocket-protocol", "realtime, openai-insecure-api-key."+before), headers("sec-websocket-protocol", "realtime, openai-insecure-api-key."+after)},
		"beside others":   {"sec-websocket-protocol", true, headers("sec-websocket-protocol", "realtime"), headers("sec-websocket-protocol", "realtime, openai-insecure-api-key."+after)},
		"from one":        {"authorization", true, headers("sec-websocket-protocol", "openai-insecure-api-key."+before), headers("authorization", "Bearer "+after)},
		"none":            {"authorization", false, headers("authorization", "Bearer "+before, "x-a", "b"), headers("x-a", "b")},
		"none of several": {"sec-websocket-protocol", false, headers("sec-websocket-protocol", "v1, openai-insecure-api-key."+before), headers("sec-websocket-protocol", "v1")},
	} {
		changes := auth.Rekey(&exchange.Request{Headers: test.sent}, test.into, key, test.hasKey)
		if diff := cmp.Diff(test.seen, applied(test.sent, changes)); diff != "" {
			t.Errorf("%s: the upstream sees (-want +got):\n%s", name, diff)
		}
	}
}

func BenchmarkKeys(b *testing.B) {
	keys, now := ring("abcdefgh"), time.Now()
	rest(keys, "c", now, 401, "")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			keys.Next(now)
		}
	})
}
