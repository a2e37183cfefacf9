package cache_test

import (
	"testing"

	"tollgate/extproc/cache"
	"tollgate/extproc/openai"
)

func keyOf(t testing.TB, body string, space ...string) cache.Key {
	t.Helper()
	request, err := openai.ParseRequest(openai.Chat, "application/json", []byte(body))
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	key, err := cache.KeyOf(request, space...)
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return key
}

// TestKeyOf: equal meaning, equal key.
func TestKeyOf(t *testing.T) {
	t.Parallel()
	groups := [][]string{
		{`{}`, ` { } `, `{"stream":true}`, `{"user":"a","metadata":{"b":1},"caching":true,"stream_options":{}}`},
		{`{"a":1,"b":2}`, `{"b":2,"a":1}`, "{\n\"b\" : 2.0 , \"a\":\t1e0}", `{"a":0,"b":2,"a":1}`, `{"\u0061":10e-1,"b":0.2e1}`},
		{`{"a":1}`, `{"a":1.000}`, `{"a":100E-2}`, `{"a":0.01e+2}`},
		{`{"a":0}`, `{"a":-0}`, `{"a":0.0e5}`, `{"a":-0.00}`},
		{`{"a":9007199254740993}`, `{"a":9007199254740993.0}`},
		{`{"a":9007199254740992}`},
		{`{"a":1e400}`, `{"a":10e399}`},
		{`{"a":1e401}`},
		{`{"a":1e99999999999999999999}`},
		{`{"a":-1}`},
		{`{"a":"1"}`},
		{`{"a":null}`},
		{`{"a":true}`},
		{`{"a":false}`},
		{`{"a":[]}`},
		{`{"a":{}}`},
		{`{"a":[[]]}`},
		{`{"a":[1,2]}`, `{"a": [ 1 , 2e0 ]}`},
		{`{"a":[2,1]}`},
		{`{"a":[12]}`},
		{`{"a":["1,2"]}`},
		{`{"a":[1,"2"]}`},
		{`{"a":"é"}`, `{"a":"\u00e9"}`, `{"a":"\u00E9"}`},
		{`{"a":"😀"}`, `{"a":"\ud83d\ude00"}`},
		{`{"a":"\ud83d"}`},
		{`{"a":"\ude00"}`},
		{`{"a":"\ude00\ud83d"}`},
		{`{"a":"\ufffd"}`},
		{`{"a":"/\"\\\b\f\n\r\t"}`, `{"a":"\/\u0022\u005c\u0008\u000c\u000a\u000d\u0009"}`},
		{`{"a":{"b":{"c":[{"d":1,"e":2}]}}}`, `{"a":{"b":{"c":[{"e":2,"d":1}]}}}`},
		{`{"a":{"b":{"c":[{"d":1}],"e":2}}}`},
		{`{"a":{"b":{"c":[{"d":1}]},"e":2}}`},
		{`{"seed":1}`},
		{`{"temperature":0}`},
		{`{"temperature":1}`},
		{`{"n":1}`},
		{`{"messages":[{"role":"user","content":"a"}]}`},
		{`{"messages":[{"role":"user","content":"b"}]}`},
		{`{"messages":[{"role":"user","content":"a","user":"x"}]}`}, // below the top all counts
	}
	seen := map[cache.Key]string{}
	for _, group := range groups {
		key := keyOf(t, group[0])
		if other, taken := seen[key]; taken {
			t.Errorf("%s and %s have one key", other, group[0])
		}
		seen[key] = group[0]
		for _, same := range group[1:] {
			if keyOf(t, same) != key {
				t.Errorf("%s and %s have different keys", group[0], same)
			}
		}
	}
	for _, space := range [][]string{{"a"}, {"a", ""}, {"", "a"}, {"a", "b"}, {"ab"}} {
		key := keyOf(t, `{}`, space...)
		if other, taken := seen[key]; taken {
			t.Errorf("the space %q has the key of %s", space, other)
		}
		seen[key] = "a space"
	}
}

func BenchmarkKeyOf(b *testing.B) {
	body := `{"model":"gpt-4o","temperature":0.7,"stream":true,"messages":[`
	for i := range 10 {
		if i > 0 {
			body += ","
		}
		body += `{"role":"user","content":"` + "The quick brown fox jumps over the lazy dog, and says \\\"hello\\\" to it. The quick brown fox jumps over the lazy dog. The quick brown fox jumps over the lazy dog, again." + `"}`
	}
	request, err := openai.ParseRequest(openai.Chat, "application/json", []byte(body+`]}`))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := cache.KeyOf(request, "/@98a566c3eb9c", "/v1/chat/completions", "client", "alice"); err != nil {
			b.Fatal(err)
		}
	}
}
