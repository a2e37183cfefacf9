package cache

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tollgate/extproc/exchange"
	"tollgate/extproc/openai"
)

func headers(pairs ...string) (made []exchange.Header) {
	for i := 0; i < len(pairs); i += 2 {
		made = append(made, exchange.Header{Name: pairs[i], Value: pairs[i+1]})
	}
	return made
}

func TestControlOf(t *testing.T) {
	t.Parallel()
	const cc = "cache-control"
	for _, c := range []struct {
		headers []string
		want    Control
	}{
		{nil, Control{maxAge: -1}},
		{[]string{cc, ""}, Control{maxAge: -1}},
		{[]string{"accept", "no-cache"}, Control{maxAge: -1}},
		{[]string{cc, "no-cache"}, Control{NoCache: true, maxAge: -1}},
		{[]string{cc, "No-Cache"}, Control{NoCache: true, maxAge: -1}},
		{[]string{cc, `no-cache="a, b"`}, Control{NoCache: true, maxAge: -1}},
		{[]string{cc, "no-cached, x-no-cache, no_cache, max-stale=5, max-stale, no-transform, foo=bar"}, Control{maxAge: -1}},
		{[]string{cc, `foo="no-cache, no-store"`}, Control{maxAge: -1}},
		{[]string{cc, `foo="\", no-store", only-if-cached`}, Control{OnlyIfCached: true, maxAge: -1}},
		{[]string{cc, "no-store"}, Control{NoCache: true, NoStore: true, maxAge: -1}},
		{[]string{cc, ",, ,only-if-cached , no-store,"}, Control{NoCache: true, NoStore: true, OnlyIfCached: true, maxAge: -1}},
		{[]string{cc, "foo", cc, "no-store"}, Control{NoCache: true, NoStore: true, maxAge: -1}},
		{[]string{cc, "max-age=60"}, Control{maxAge: time.Minute}},
		{[]string{cc, `Max-Age = "60"`}, Control{maxAge: time.Minute}},
		{[]string{cc, "max-age=60, max-age=10"}, Control{maxAge: 10 * time.Second}},
		{[]string{cc, "max-age=10", cc, "max-age=60"}, Control{maxAge: 10 * time.Second}},
		{[]string{cc, "max-age=99999999999999999999"}, Control{maxAge: maxSeconds * time.Second}},
		{[]string{cc, "max-age=0"}, Control{NoCache: true}},
		{[]string{cc, "max-age=-1"}, Control{NoCache: true}},
		{[]string{cc, "max-age=1.5"}, Control{NoCache: true}},
		{[]string{cc, "max-age"}, Control{NoCache: true}},
		{[]string{cc, "min-fresh=5, min-fresh=60"}, Control{maxAge: -1, minFresh: time.Minute}},
		{[]string{cc, "min-fresh=soon"}, Control{NoCache: true, maxAge: -1}},
		{[]string{"pragma", "no-cache"}, Control{NoCache: true, maxAge: -1}},
		{[]string{"pragma", "x, NO-CACHE"}, Control{NoCache: true, maxAge: -1}},
		{[]string{"pragma", "no-store"}, Control{maxAge: -1}},
		{[]string{"pragma", "no-cache", cc, "max-age=60"}, Control{maxAge: time.Minute}},
	} {
		request := &exchange.Request{Headers: headers(c.headers...)}
		require.Equal(t, c.want, ControlOf(request, nil), "%q", c.headers)
		require.Equal(t, c.want, ControlOf(request, &openai.Request{}), "%q", c.headers)
	}
}

func TestControlOfBody(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]Control{
		``: {}, `null`: {},
		`true`: {Asked: true}, `"true"`: {Asked: true}, `"True"`: {Asked: true}, `"1"`: {Asked: true},
		`false`: {Refused: true}, `"false"`: {Refused: true}, `0`: {Refused: true}, `1`: {Refused: true}, `"no"`: {Refused: true},
		`""`: {Refused: true}, `{}`: {Refused: true}, `[]`: {Refused: true}, `"null"`: {Refused: true},
	} {
		want.maxAge = -1
		asked := &openai.Request{Fields: map[string]json.RawMessage{"caching": json.RawMessage(raw)}}
		require.Equal(t, want, ControlOf(&exchange.Request{}, asked), raw)
	}
}

func TestAccepts(t *testing.T) {
	t.Parallel()
	stored := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	entry := &Entry{Stored: stored, Expires: stored.Add(time.Hour)}
	for _, c := range []struct {
		control string
		age     time.Duration
		want    bool
	}{
		{"", 0, true},
		{"", time.Hour - 1, true},
		{"", time.Hour, false},
		{"max-stale=100", time.Hour, false},
		{"max-age=60", time.Minute, true},
		{"max-age=60", time.Minute + 1, false},
		{"max-age=7200", time.Hour, false},
		{"min-fresh=60", 59 * time.Minute, true},
		{"min-fresh=60", 59*time.Minute + 1, false},
		{"min-fresh=0", time.Hour, false},
		{"max-age=60, min-fresh=3600", 0, true},
		{"max-age=60, min-fresh=3600", 1, false},
	} {
		control := ControlOf(&exchange.Request{Headers: headers("cache-control", c.control)}, nil)
		require.Equal(t, c.want, control.Accepts(entry, stored.Add(c.age)), "%s after %s", c.control, c.age)
	}
}

func TestMayStore(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		headers     []string
		own, shared bool
	}{
		{nil, true, true},
		{[]string{"cache-control", "no-cache, must-revalidate"}, true, true},
		{[]string{"cache-control", "public, max-age=0"}, true, true},
		{[]string{"pragma", "no-store"}, true, true},
		{[]string{"cache-control", "private"}, true, false},
		{[]string{"cache-control", `Private="set-cookie"`}, true, false},
		{[]string{"cache-control", "no-cache", "cache-control", "No-Store"}, false, false},
		{[]string{"cache-control", "private, no-store"}, false, false},
	} {
		require.Equal(t, c.own, MayStore(headers(c.headers...), false), "%q", c.headers)
		require.Equal(t, c.shared, MayStore(headers(c.headers...), true), "%q, shared", c.headers)
	}
}

func TestStatusHit(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	require.Equal(t, "tollgate; hit; ttl=59", StatusHit(&Entry{Expires: now.Add(time.Minute - 1)}, now))
	require.Equal(t, "tollgate; hit; ttl=0", StatusHit(&Entry{Expires: now.Add(1)}, now))
}

// FuzzControl: no header makes it fail, and what forbids is found wherever it stands in the list.
func FuzzControl(f *testing.F) {
	f.Add("max-age=1", `foo="a\"b, c"`)
	f.Fuzz(func(t *testing.T, before, after string) {
		_ = ControlOf(&exchange.Request{Headers: headers("cache-control", before, "pragma", after)}, nil)
		c := ControlOf(&exchange.Request{Headers: headers("cache-control", before, "cache-control", "no-store,"+after)}, nil)
		require.True(t, c.NoStore && c.NoCache)
	})
}
