package cache

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tollgate/extproc/openai"
)

func parse(t testing.TB, api openai.API, body string) *openai.Request {
	t.Helper()
	request, err := openai.ParseRequest(api, "application/json", []byte(body))
	require.NoError(t, err, body)
	return request
}

func keyOf(t testing.TB, api openai.API, body string, space ...string) Key {
	t.Helper()
	key, err := KeyOf(parse(t, api, body), space...)
	require.NoError(t, err, body)
	return key
}

// TestEqualMeaning: each line has ways to write the same request.
func TestEqualMeaning(t *testing.T) {
	t.Parallel()
	for name, bodies := range map[string][]string{
		"order":            {`{"model":"m","n":1}`, `{"n":1,"model":"m"}`},
		"order within":     {`{"a":[{"x":1,"y":{"p":1,"q":2}}]}`, `{"a":[{"y":{"q":2,"p":1},"x":1}]}`},
		"white space":      {`{"a":[1,{"b":[]}],"c":{}}`, " {\n\"a\" : [ 1 ,\t{ \"b\" :[ ]\r} ] , \"c\" : { } } "},
		"one":              {`{"n":1}`, `{"n":1.0}`, `{"n":1e0}`, `{"n":10e-1}`, `{"n":0.1e1}`, `{"n":1.000E+00}`, `{"n":0.001e3}`},
		"zero":             {`{"n":0}`, `{"n":-0}`, `{"n":0.00}`, `{"n":0e99999999999999999999}`, `{"n":-0.0e-5}`},
		"hundred":          {`{"n":100}`, `{"n":1e2}`, `{"n":1E+2}`, `{"n":100.00}`, `{"n":0.1e3}`},
		"fraction":         {`{"n":0.7}`, `{"n":7e-1}`, `{"n":0.70}`, `{"n":70e-2}`},
		"negative":         {`{"n":-1.5}`, `{"n":-15e-1}`},
		"large":            {`{"n":1e1000000}`, `{"n":10e999999}`, `{"n":0.01e1000002}`},
		"escapes":          {`{"s":"é/\n\"\\"}`, `{"s":"\u00e9\/\u000a\u0022\u005c"}`, `{"s":"\u00E9/\u000A\"\\"}`},
		"pair":             {`{"s":"😀"}`, `{"s":"\ud83d\ude00"}`, `{"s":"\uD83D\uDE00"}`},
		"control":          {`{"s":"\u0001\u007f\b\f\t\r"}`, "{\"s\":\"\\u0001\x7f\\u0008\\u000c\\u0009\\u000d\"}"},
		"replacement":      {`{"s":"\ufffd"}`, `{"s":"�"}`},
		"half, upper case": {`{"s":"\ud83d"}`, `{"s":"\uD83D"}`},
		"name":             {`{"tools":[{"na\u006de":1}]}`, `{"tools":[{"name":1}]}`},
		"name at the top":  {`{"mod\u0065l":"m"}`, `{"model":"m"}`},
		"the last counts":  {`{"a":{"b":1,"c":3,"b":2}}`, `{"a":{"b":2,"c":3}}`, `{"a":{"b":0,"b":1,"c":3,"\u0062":2}}`},
		"last at the top":  {`{"n":1,"n":2}`, `{"n":2}`},
		"beside": {
			`{"n":1}`, `{"n":1,"stream":true}`, `{"n":1,"stream":true,"stream_options":{"include_usage":true}}`,
			`{"n":1,"user":"u"}`, `{"n":1,"metadata":{"a":"b"}}`, `{"n":1,"caching":true}`, `{"n":1,"store":true}`,
			`{"n":1,"safety_identifier":"s"}`, `{"n":1,"prompt_cache_key":"k","prompt_cache_retention":"24h"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := keyOf(t, openai.Chat, bodies[0])
			for _, body := range bodies[1:] {
				require.Equal(t, first, keyOf(t, openai.Chat, body), "%s and %s", bodies[0], body)
			}
		})
	}
}

// TestOtherMeaning: no two of these have one key, in no group and across groups.
func TestOtherMeaning(t *testing.T) {
	t.Parallel()
	bodies := []string{
		`{}`, `{"a":null}`, `{"a":[]}`, `{"a":{}}`, `{"a":""}`, `{"a":0}`, `{"a":false}`, `{"a":true}`,
		`{"a":[null]}`, `{"a":[[]]}`, `{"a":[{}]}`, `{"a":[[],[]]}`, `{"a":{"a":null}}`,
		`{"a":1}`, `{"a":"1"}`, `{"a":[1]}`, `{"a":-1}`, `{"a":10}`, `{"a":1.1}`, `{"a":1e1000000}`, `{"a":1e1000001}`, `{"a":1e-1000000}`,
		`{"a":9007199254740992}`, `{"a":9007199254740993}`, `{"a":9007199254740992.5}`,
		`{"a":0.1}`, `{"a":0.10000000000000001}`, `{"a":123456789012345678901234567890}`, `{"a":123456789012345678901234567891}`,
		`{"a":[1,2]}`, `{"a":[2,1]}`, `{"a":[12]}`, `{"a":[[1],2]}`, `{"a":[[1,2]]}`,
		`{"a":"b"}`, `{"b":"a"}`, `{"ab":""}`, `{"a":"","b":""}`, `{"a":{"b":""}}`, `{"A":"b"}`, `{"a":"B"}`, `{"a":"b "}`,
		`{"a":"\ud800"}`, `{"a":"\ud801"}`, `{"a":"\udc00"}`, `{"a":"\ufffd"}`, `{"a":"\\ud800"}`, `{"a":"\ud800\ud800"}`, `{"a":"\udc00\ud800"}`,
		`{"a":"\ud800\udc00"}`, "{\"a\":\"\xed\xa0\x80\"}", "{\"a\":\"\xff\"}", "{\"a\":\"\xfe\"}",
		`{"a":"\u00e9"}`, `{"a":"e\u0301"}`, `{"a":"\u0000"}`, `{"a":"\\u0000"}`, `{"a":"\n"}`, `{"a":"\\n"}`, `{"a":"n"}`,
		`{"a":"x\",\"b\":\"y"}`, `{"a":"x","b":"y"}`, `{"a":{"b":1},"c":2}`, `{"a":{"b":1,"c":2}}`,
		`{"seed":1}`, `{"seed":2}`, `{"temperature":1}`, `{"n":1}`, `{"n":2}`, `{"service_tier":"flex"}`,
		`{"messages":[{"metadata":1}]}`, `{"messages":[{"stream":1}]}`, `{"messages":[{"user":1}]}`, `{"messages":[{"caching":1}]}`,
	}
	type origin struct{ what, body string }
	seen := map[Key]origin{}
	check := func(key Key, o origin) {
		known, twice := seen[key]
		require.False(t, twice, "%v and %v", o, known)
		seen[key] = o
	}
	for _, body := range bodies {
		check(keyOf(t, openai.Chat, body), origin{"chat", body})
	}
	check(keyOf(t, openai.Completions, bodies[0]), origin{"another API", bodies[0]})
	for _, space := range [][]string{{""}, {"", ""}, {"a"}, {"b"}, {"a", "b"}, {"ab"}, {"a", "b", ""}, {"", "ab"}, {"b", "a"}, {"a\x00b"}, {"a\x01b"}, {"{}"}} {
		check(keyOf(t, openai.Chat, bodies[0], space...), origin{fmt.Sprintf("space %q", space), bodies[0]})
	}
}

// TestBesideResponses: a response repeats these members, so they are a part of the answer.
func TestBesideResponses(t *testing.T) {
	t.Parallel()
	plain := keyOf(t, openai.Responses, `{"input":"x"}`)
	for _, member := range []string{`"user":"u"`, `"metadata":{}`, `"store":false`, `"safety_identifier":"s"`, `"prompt_cache_key":"k"`} {
		require.NotEqual(t, plain, keyOf(t, openai.Responses, `{"input":"x",`+member+`}`), member)
	}
	for _, member := range []string{`"stream":true`, `"stream_options":{}`, `"caching":true`} {
		require.Equal(t, plain, keyOf(t, openai.Responses, `{"input":"x",`+member+`}`), member)
	}
}

func TestNoKey(t *testing.T) {
	t.Parallel()
	for name, raw := range map[string]string{
		"nothing": ``, "space": ` `, "two values": `1 2`, "open array": `[1`, "open object": `{"a":1`, "open string": `"a`,
		"comma": `[1,]`, "no comma": `[1 2]`, "only comma": `[,1]`, "member's comma": `{"a":1,}`, "no colon": `{"a" 1}`, "no value": `{"a":}`, "bare name": `{a:1}`,
		"leading zero": `01`, "minus": `-`, "dot": `1.`, "no whole": `.5`, "plus": `+1`, "exponent": `1e`, "exponent's sign": `1e+`, "hex": `0x1`,
		"nan": `NaN`, "infinity": `-Infinity`, "word": `nul`, "longer word": `nullx`, "upper case": `True`,
		"escape": `"\x"`, "short escape": `"\u12"`, "no hex": `"\u12g4"`, "escape at the end": `"\`, "control": "\"a\nb\"", "null byte": "\"\x00\"",
		"single quotes": `'a'`, "brackets": `[}`, "braces": `{]`,
		"deep": strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1),
		"huge": `1e999999999999999999999`, "tiny": `1e-999999999999999999999`, "beyond": `1e1000000000000001`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := KeyOf(&openai.Request{API: openai.Chat, Fields: map[string]json.RawMessage{"a": json.RawMessage(raw)}})
			require.Error(t, err, raw)
			require.NotContains(t, err.Error(), "wrapped")
		})
	}
	_, err := KeyOf(&openai.Request{API: openai.Chat, Fields: map[string]json.RawMessage{"a\ufffd": json.RawMessage("1")}})
	require.ErrorContains(t, err, "name")
	for _, api := range []openai.API{openai.Transcriptions, openai.Other, "new"} {
		_, err := KeyOf(&openai.Request{API: api})
		require.ErrorContains(t, err, "not kept")
	}
	_, err = KeyOf(&openai.Request{API: openai.Chat, Fields: map[string]json.RawMessage{"a": json.RawMessage(strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth))}})
	require.NoError(t, err)
}

// TestOutOfOrderAtDepth: work does not grow with the depth, times the size.
func TestOutOfOrderAtDepth(t *testing.T) {
	t.Parallel()
	deep := `"` + strings.Repeat("x", 1000) + `"`
	for range maxDepth - 1 {
		deep = `{"b":` + deep + `,"a":1}`
	}
	_, err := KeyOf(&openai.Request{API: openai.Chat, Fields: map[string]json.RawMessage{"a": json.RawMessage(deep)}})
	require.ErrorIs(t, err, errDeep)
}

// FuzzCanonical: what is written is JSON that means what was read, and is written the same again.
func FuzzCanonical(f *testing.F) {
	for _, seed := range []string{
		`{"b":[1,2.50,-0,1e400],"a":{"y":null,"x":[true,false]},"b":"\ud800\u0041\n"}`, `"\ud83d\ude00\/"`, `9007199254740993`,
		`[{},[],"",0.00100]`, `{"a":1,"a":{"c":1,"b":2}}`, `1e-999999999999`, `{"a":[}`, `"\uD800\u0022"`,
	} {
		f.Add([]byte(seed), uint64(1))
	}
	f.Fuzz(func(t *testing.T, in []byte, seed uint64) {
		out, err := canonicalOf(in)
		if err != nil {
			bounded := err == errDeep || err == errNumber //nolint:errorlint // they are not wrapped here
			require.True(t, bounded || !json.Valid(in), "%q: %v", in, err)
			return
		}
		require.True(t, json.Valid(in), "%q", in)
		require.True(t, json.Valid(out), "%q became %q", in, out)
		again, err := canonicalOf(out)
		require.NoError(t, err)
		require.Equal(t, string(out), string(again))
		require.LessOrEqual(t, len(out), len(in)+8*bytes.Count(in, []byte("0"))+8)

		meant, kept := decoded(t, in), decoded(t, out)
		require.True(t, same(meant, kept), "%q became %q", in, out)

		random := rand.New(rand.NewPCG(seed, 1))
		other, err := canonicalOf(rewritten(random, kept))
		require.NoError(t, err)
		require.Equal(t, string(out), string(other), "the same, written in another way")
		if changed, ok := altered(random, kept); ok {
			other, err = canonicalOf(rewritten(random, changed))
			require.NoError(t, err)
			require.NotEqual(t, string(out), string(other), "another meaning")
		}
	})
}

func canonicalOf(in []byte) ([]byte, error) {
	var c canonical
	err := c.document(in)
	return c.out, err
}

// value is decoded JSON: nil, bool, json.Number, text, []value or map[string]value.
type value any

// text is a string's UTF-16 units, so that halves of pairs are told apart, or its bytes where they are no UTF-8.
type text string

// decoded reads JSON with the standard library, but for strings, which that changes where they are broken.
func decoded(t *testing.T, raw []byte) value {
	t.Helper()
	raw = bytes.TrimSpace(raw)
	switch raw[0] {
	case '{':
		return decodedObject(t, raw)
	case '[':
		var list []json.RawMessage
		require.NoError(t, json.Unmarshal(raw, &list))
		made := []value{}
		for _, element := range list {
			made = append(made, decoded(t, element))
		}
		return made
	case '"':
		return decodedString(string(raw))
	case 't', 'f':
		return raw[0] == 't'
	case 'n':
		return nil
	}
	return json.Number(raw)
}

func decodedObject(t *testing.T, raw []byte) value {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(raw))
	made := map[string]value{}
	_, err := decoder.Token()
	require.NoError(t, err)
	for decoder.More() {
		// The decoder's own reading of the name is of no use; the raw text is.
		from := decoder.InputOffset()
		_, err := decoder.Token()
		require.NoError(t, err)
		name := raw[from:decoder.InputOffset()]
		name = name[bytes.IndexByte(name, '"'):]
		var member json.RawMessage
		require.NoError(t, decoder.Decode(&member))
		made[string(decodedString(string(name)))] = decoded(t, member)
	}
	return made
}

// decodedString undoes escapes one by one, slowly and simply. A half of a pair becomes what UTF-8 does not
// allow, with a mark before it that tells it from the same bytes sent as they are.
func decodedString(raw string) text {
	var made strings.Builder
	for s := raw[1 : len(raw)-1]; s != ""; {
		var r rune
		switch {
		case s[0] != '\\':
			if s[0] == 0xff {
				made.WriteByte(0xff) // the mark, twice
			}
			made.WriteByte(s[0])
			s = s[1:]
			continue
		case s[1] != 'u':
			made.WriteByte(map[byte]byte{'n': '\n', 't': '\t', 'r': '\r', 'b': '\b', 'f': '\f', '/': '/', '\\': '\\', '"': '"'}[s[1]])
			s = s[2:]
			continue
		}
		_, _ = fmt.Sscanf(s[2:6], "%x", &r)
		s = s[6:]
		var low rune
		if r >= 0xd800 && r < 0xdc00 && strings.HasPrefix(s, `\u`) {
			_, _ = fmt.Sscanf(s[2:6], "%x", &low)
		}
		switch {
		case low >= 0xdc00 && low < 0xe000:
			s = s[6:]
			made.WriteRune(0x10000 + (r-0xd800)<<10 + (low - 0xdc00))
		case r >= 0xd800 && r < 0xe000:
			fmt.Fprintf(&made, "\xff%04x", r)
		default:
			made.WriteRune(r)
		}
	}
	return text(made.String())
}

// same compares what two documents mean. Numbers are compared as fractions where they are small enough.
func same(a, b value) bool {
	switch a := a.(type) {
	case json.Number:
		b, ok := b.(json.Number)
		return ok && sameNumber(string(a), string(b))
	case []value:
		b, ok := b.([]value)
		return ok && slices.EqualFunc(a, b, same)
	case map[string]value:
		b, ok := b.(map[string]value)
		if !ok || len(a) != len(b) {
			return false
		}
		for name, v := range a {
			other, has := b[name]
			if !has || !same(v, other) {
				return false
			}
		}
		return true
	}
	return a == b
}

func sameNumber(a, b string) bool {
	exact := func(s string) *big.Rat {
		if _, e, has := strings.Cut(strings.ToLower(s), "e"); has && len(strings.TrimLeft(e, "+-0")) > 3 {
			return nil
		}
		r, _ := new(big.Rat).SetString(s)
		return r
	}
	x, y := exact(a), exact(b)
	return x == nil || y == nil || x.Cmp(y) == 0
}

// rewritten writes a value in one of the many ways that mean the same.
func rewritten(random *rand.Rand, v value) []byte {
	var out bytes.Buffer
	write(&out, random, v)
	return out.Bytes()
}

func write(out *bytes.Buffer, random *rand.Rand, v value) {
	blank(out, random)
	defer blank(out, random)
	switch v := v.(type) {
	case nil:
		out.WriteString("null")
	case bool:
		fmt.Fprint(out, v)
	case json.Number:
		out.WriteString(anotherNumber(random, string(v)))
	case text:
		writeString(out, random, string(v))
	case []value:
		out.WriteByte('[')
		for i, element := range v {
			if i > 0 {
				out.WriteByte(',')
			}
			write(out, random, element)
		}
		out.WriteByte(']')
	case map[string]value:
		out.WriteByte('{')
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		slices.Sort(names)
		random.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		for i, name := range names {
			if i > 0 {
				out.WriteByte(',')
			}
			if random.IntN(4) == 0 { // one that does not count
				writeString(out, random, name)
				out.WriteString(`:["no"],`)
			}
			blank(out, random)
			writeString(out, random, name)
			blank(out, random)
			out.WriteByte(':')
			write(out, random, v[name])
		}
		out.WriteByte('}')
	}
}

func blank(out *bytes.Buffer, random *rand.Rand) {
	for range random.IntN(2) {
		out.WriteByte(" \t\r\n"[random.IntN(4)])
	}
}

// anotherNumber is the canonical one, <digits>e<power>, moved by a few powers.
func anotherNumber(random *rand.Rand, canonical string) string {
	digits, power, has := strings.Cut(canonical, "e")
	if len(power) > 9 {
		return canonical
	}
	exponent := 0
	if has {
		_, _ = fmt.Sscanf(power, "%d", &exponent)
	}
	zeros := random.IntN(3)
	if strings.TrimLeft(digits, "-") == "0" {
		return fmt.Sprintf("%s.%se%d", digits, strings.Repeat("0", zeros+1), random.IntN(100))
	}
	return fmt.Sprintf("%s%s.%sE%+d", digits, strings.Repeat("0", zeros), strings.Repeat("0", 1+random.IntN(2)), exponent-zeros)
}

func writeString(out *bytes.Buffer, random *rand.Rand, s string) {
	out.WriteByte('"')
	for s != "" {
		switch r := rune(s[0]); {
		case s[0] == 0xff && len(s) > 1 && s[1] == 0xff: // the byte itself
			out.WriteByte(0xff)
			s = s[2:]
		case s[0] == 0xff: // half of a pair
			out.WriteString(`\u` + s[1:5])
			s = s[5:]
		case r < 0x20 || r == '"' || r == '\\' || r < 0x80 && random.IntN(8) == 0:
			fmt.Fprintf(out, `\u%04X`, r)
			s = s[1:]
		default:
			out.WriteByte(s[0])
			s = s[1:]
		}
	}
	out.WriteByte('"')
}

// altered changes what a value means. It returns false where it has nothing to change.
func altered(random *rand.Rand, v value) (value, bool) {
	switch v := v.(type) {
	case []value:
		if len(v) == 0 {
			return []value{nil}, true
		}
		i := random.IntN(len(v))
		changed := slices.Clone(v)
		if random.IntN(3) == 0 {
			return slices.Delete(changed, i, i+1), true
		}
		element, ok := altered(random, v[i])
		changed[i] = element
		return changed, ok
	case map[string]value:
		changed := map[string]value{}
		for name, member := range v {
			changed[name] = member
		}
		names := slices.Sorted(func(yield func(string) bool) {
			for name := range v {
				if !yield(name) {
					return
				}
			}
		})
		if len(names) == 0 {
			return map[string]value{"": nil}, true
		}
		name := names[random.IntN(len(names))]
		if random.IntN(3) == 0 {
			delete(changed, name)
			return changed, true
		}
		member, ok := altered(random, v[name])
		changed[name] = member
		return changed, ok
	case text:
		return v + "x", true
	case json.Number:
		if random.IntN(2) == 0 {
			return text(v), true
		}
		digits, power, _ := strings.Cut(string(v), "e")
		if len(power) > 9 {
			return nil, true
		}
		if power == "" {
			power = "0"
		}
		if digits == "0" {
			return json.Number("7"), true
		}
		return json.Number(digits + "7e" + power), true
	case bool:
		return !v, true
	}
	return false, true // null
}
