package flow

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"tollgate/extproc/openai"
)

func TestAskUsage(t *testing.T) {
	for _, c := range []struct{ body, want string }{
		{`{"stream":true}`, `{"stream":true,"stream_options":{"include_usage":true}}`},
		{" {\n \"stream\" : true\n}\n", " {\n \"stream\" : true\n,\"stream_options\":{\"include_usage\":true}}\n"},
		{"\xef\xbb\xbf {\"stream_options\":null,\"stream\":true}", "\xef\xbb\xbf {\"stream_options\":{\"include_usage\":true},\"stream\":true}"},
		{`{"stream":true,"stream_options":{}}`, `{"stream":true,"stream_options":{"include_usage":true}}`},
		{`{"stream":true,"stream_options":{ }}`, `{"stream":true,"stream_options":{ "include_usage":true}}`},
		{`{"stream":true,"stream_options": {"x": [{}]} }`, `{"stream":true,"stream_options": {"x": [{}],"include_usage":true} }`},
		{`{"stream":true,"stream_options":{"include_usage": false ,"x":1}}`, `{"stream":true,"stream_options":{"include_usage": true ,"x":1}}`},
		{`{"stream":true,"stream_options":{"x":1,"include_usage":null}}`, `{"stream":true,"stream_options":{"x":1,"include_usage":true}}`},
		{`{"stream":true,"stream_options":{"include_usage":true,"include_usage":false}}`, `{"stream":true,"stream_options":{"include_usage":true,"include_usage":true}}`},
		{`{"stream":true,"stream_options":{"include_usage":true},"stream_options":{}}`, `{"stream":true,"stream_options":{"include_usage":true},"stream_options":{"include_usage":true}}`},
		{`{"stream":false,"str\u0065am":true,"stream\u005foptions":{"include\u005fusage":false}}`, `{"stream":false,"str\u0065am":true,"stream\u005foptions":{"include\u005fusage":true}}`},
		{`{"stream":"True"}`, `{"stream":"True","stream_options":{"include_usage":true}}`},
		{`{"stream":true,"x":{"stream":false,"stream_options":{}}}`, `{"stream":true,"x":{"stream":false,"stream_options":{}},"stream_options":{"include_usage":true}}`},

		{`{}`, ""},
		{`{"stream":false}`, ""},
		{`{"stream":true,"stream":false}`, ""},
		{`{"stream":null}`, ""},
		{`{"stream":1}`, ""},
		{`{"x":{"stream":true}}`, ""},
		{`{"stream":true,"stream_options":{"include_usage":true}}`, ""},
		{`{"stream":true,"stream_options":{"include_usage":false,"include_usage":true}}`, ""},
		{`{"stream":true,"stream_options":{"include_usage":"true"}}`, ""},
		{`{"stream":true,"stream_options":{"include_usage":1}}`, ""},
		{`{"stream":true,"stream_options":[]}`, ""},
		{`{"stream":true,"stream_options":"x"}`, ""},
		{`[{"stream":true}]`, ""},
		{`"stream"`, ""},
		{``, ""},
	} {
		got, ok := AskUsage([]byte(c.body))
		want := c.want
		if want == "" {
			want = c.body
		}
		require.Equal(t, want, string(got))
		require.Equal(t, c.want != "", ok, c.body)
	}
}

func TestDropMember(t *testing.T) {
	for _, c := range []struct{ body, want string }{
		{`{"caching":true}`, `{}`},
		{"\xef\xbb\xbf { \"caching\" : true } ", "\xef\xbb\xbf {  } "},
		{`{"a":1,"caching":true}`, `{"a":1}`},
		{`{"caching":true,"a":1}`, `{"a":1}`},
		{`{ "caching" : true , "a":1}`, `{ "a":1}`},
		{`{"a":1 , "caching" : true }`, `{"a":1 }`},
		{`{"a":1, "caching":true, "b":2}`, `{"a":1, "b":2}`},
		{`{"caching":1,"caching":2}`, `{}`},
		{`{"caching":1,"caching":2,"a":1,"caching":3,"caching":4,"b":2,"caching":5}`, `{"a":1,"b":2}`},
		{`{"a":1,"c\u0061ching":{"caching":1}}`, `{"a":1}`},
		{`{"a":"caching","b":{"caching":true},"caching":[1,{}]}`, `{"a":"caching","b":{"caching":true}}`},

		{`{}`, ""},
		{`{"a":{"caching":true},"Caching":1}`, ""},
		{`[{"caching":true}]`, ""},
		{``, ""},
	} {
		got, ok := DropMember([]byte(c.body), "caching")
		want := c.want
		if want == "" {
			want = c.body
		}
		require.Equal(t, want, string(got))
		require.Equal(t, c.want != "", ok, c.body)
	}
}

// fields is what an upstream reads; nil for what the gate refuses.
func fields(body []byte) map[string]json.RawMessage {
	r, err := openai.ParseRequest(openai.Chat, "", body)
	if err != nil {
		return nil
	}
	return r.Fields
}

// FuzzAskUsage wants a stream's body to mean what it meant but for the question, with one place changed.
func FuzzAskUsage(f *testing.F) {
	for _, seed := range []string{
		`{"stream":true}`, " {\"stream\" : true ,\n\"stream_options\": null}", `{"stream":true,"stream_options":{}}`,
		`{"stream":true,"stream_options":{"x":1}}`, "\xef\xbb\xbf{\"stream_options\":{\"include_usage\":false},\"stream\":\"1\"}",
		`{"stream":true,"stream_options":{"include_usage":null,"include_usage":true}}`, `[]`, `{"stream":true`, `{"stream":tru}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, ok := AskUsage(body)
		before := fields(body)
		if before == nil {
			return // but no panic
		}
		if !ok {
			require.Equal(t, string(body), string(got))
			return
		}
		require.True(t, openai.IsTrue(string(before["stream"])))
		after := fields(got)
		options := map[string]json.RawMessage{}
		if raw := before["stream_options"]; raw != nil {
			require.NoError(t, json.Unmarshal(raw, &options))
		}
		if options == nil { // null
			options = map[string]json.RawMessage{}
		}
		require.Contains(t, []string{"", "null", "false"}, string(options["include_usage"]))
		options["include_usage"] = json.RawMessage("true")
		var now map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(after["stream_options"], &now))
		require.Empty(t, cmp.Diff(options, now))
		delete(before, "stream_options")
		delete(after, "stream_options")
		require.Empty(t, cmp.Diff(before, after))
		_, again := AskUsage(got)
		require.False(t, again, "asked twice")

		same := 0
		for same < min(len(body), len(got)) && body[same] == got[same] {
			same++
		}
		rest, gotRest := body[same:], got[same:]
		for len(rest) > 0 && len(gotRest) > 0 && rest[len(rest)-1] == gotRest[len(gotRest)-1] {
			rest, gotRest = rest[:len(rest)-1], gotRest[:len(gotRest)-1]
		}
		require.LessOrEqual(t, len(rest), len("false"), "%q became %q", rest, gotRest)
		require.LessOrEqual(t, len(gotRest), len(`,"stream_options":`+askUsage))
	})
}

// kept is a body without its members of a name and the commas and white space beside members: what
// dropping must leave as it is.
func kept(body []byte, name string) (before string, stay []string, after string) {
	text := string(body)
	before, after = text[:strings.IndexByte(text, '{')+1], text[strings.LastIndexByte(text, '}'):]
	for m := range members(parse(body)) {
		if m.name != name {
			stay = append(stay, text[m.start:end(m.value)])
		}
	}
	return before, stay, after
}

// FuzzDropMember wants a body to mean what it meant but for the member, and nothing else taken out of it
// than members, commas and white space.
func FuzzDropMember(f *testing.F) {
	for _, seed := range []string{
		`{"caching":true}`, `{"a":1 , "caching" : {"caching":1} , "b":2}`, " {\"caching\":1,\n\"caching\":2,\"a\":\"}\" }\n",
		`{"a":1,"c\u0061ching":[],"b":2,"caching":3}`, "\xef\xbb\xbf{\"a\":{}}", `[]`, `{"caching":true,`, `{"caching":1,"caching":2}`,
	} {
		f.Add([]byte(seed), "caching")
	}
	f.Fuzz(func(t *testing.T, body []byte, name string) {
		got, ok := DropMember(body, name)
		want := fields(body)
		if want == nil {
			return // but no panic
		}
		_, has := want[name]
		require.Equal(t, has, ok)
		delete(want, name)
		after := fields(got)
		require.NotNil(t, after, "%q became %q", body, got)
		require.Empty(t, cmp.Diff(want, after))
		if !ok {
			require.Equal(t, string(body), string(got))
		}
		a, b, c := kept(body, name)
		x, y, z := kept(got, name)
		require.Equal(t, []any{a, b, c}, []any{x, y, z})
		at := 0
		for _, g := range got {
			for at < len(body) && body[at] != g {
				at++
			}
			require.Less(t, at, len(body), "%q holds bytes that %q does not", got, body)
			at++
		}
	})
}

func BenchmarkRequest(b *testing.B) {
	for name, text := range map[string]string{"1 KB": strings.Repeat("x", 1000), "1 MB": strings.Repeat("x", 1<<20)} {
		body := []byte(`{"model":"gpt-4o","messages":[{"role":"user","content":"` + text + `"}],"caching":false,"stream":true}`)
		b.Run("AskUsage/"+name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				_, _ = AskUsage(body)
			}
		})
		b.Run("DropMember/"+name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				_, _ = DropMember(body, "caching")
			}
		})
	}
}

func TestRename(t *testing.T) {
	t.Parallel()
	rename := func(model string) string {
		if model == "a\"b" {
			return "c\\d"
		}
		return model
	}
	for body, want := range map[string]string{
		`{"model":"a\"b"}`: `{"model":"c\\d"}`,
		` { "x":{"model":"a\"b"} , "model" : "a\"b" } `:   ` { "x":{"model":"a\"b"} , "model" : "c\\d" } `,
		`{"model":"a\"b","n":1.0,"model":"a\u0022b"}`:     `{"model":"c\\d","n":1.0,"model":"c\\d"}`,
		"\xef\xbb\xbf" + `{"model":"a\"b","stream":true}`: "\xef\xbb\xbf" + `{"model":"c\\d","stream":true}`,
		`{"model":"other"}`:                               "",
		`{"model":7}`:                                     "",
		`{"model":["a\"b"]}`:                              "",
		`{"model":"a\"b"`:                                 "",
		`["model","a\"b"]`:                                "",
		"--x\r\nmodel: a\r\n":                             "",
		"":                                                "",
	} {
		got, ok := Rename([]byte(body), rename)
		if ok != (want != "") || ok && string(got) != want || !ok && string(got) != body {
			t.Errorf("%s becomes %s, %t; want %s", body, got, ok, want)
		}
	}
}
