package openai

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
	"unicode"

	"github.com/tidwall/gjson"
)

// FuzzUsage wants what encoding/json reads, where names are written as they should be.
func FuzzUsage(f *testing.F) {
	for _, told := range []string{
		`{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":5}}`,
		`{"input_tokens":1.0,"output_tokens":2e0,"input_tokens_details":{"cached_tokens":3},"output_tokens_details":{"reasoning_tokens":4,"audio_tokens":5}}`,
		`{"cache_read_input_tokens":1,"cache_creation_input_tokens":2,"prompt_cache_hit_tokens":3}`,
		`{"prompt_tokens":"1","total_tokens":1e999,"input_tokens":null,"prompt_tokens_details":null,"input_tokens_details":[1]}`,
		`{"prompt_tokens":1,"prompt_tokens":2,"prompt_tokens":null,"prompt_tokens_details":{"cached_tokens":4},"prompt_tokens_details":{"reasoning_tokens":5}}`,
		`{"\u0070rompt_tokens":1}`, `{}`, `null`, `7`,
	} {
		f.Add([]byte(told))
	}
	f.Fuzz(func(t *testing.T, told []byte) {
		// encoding/json takes names in any case, too.
		if !json.Valid(told) || bytes.ContainsFunc(told, func(r rune) bool { return unicode.IsUpper(r) || r > unicode.MaxASCII || r == '\\' }) {
			return
		}
		var want *usage
		err := json.Unmarshal(told, &want)
		if _, wrong := errors.AsType[*json.UnmarshalTypeError](err); err != nil && !wrong {
			t.Fatal(err)
		}
		got := readUsage(gjson.ParseBytes(told))
		if !gjson.ParseBytes(told).IsObject() {
			if got != nil {
				t.Errorf("%s is usage: %+v", told, got)
			}
			return
		}
		if *got != *want {
			t.Errorf("%s\ngot  %+v\nwant %+v", told, got, want)
		}
	})
}
