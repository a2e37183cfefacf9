package openai_test

import (
	"encoding/json"
	"strings"
	"testing"

	"tollgate/extproc/openai"
)

// TestValid: what is deep ends nothing, and what is long is judged as what is short.
func TestValid(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", 16<<20)
	for name, test := range map[string]struct {
		text string
		want bool
	}{
		"deep arrays":       {deep, false},
		"deep objects":      {strings.Repeat(`{"a":`, 4<<20), false},
		"deep and closed":   {deep + strings.Repeat("]", len(deep)), false}, // deeper than anyone reads
		"brackets in text":  {`"` + deep + `"`, true},
		"many, and flat":    {"[" + strings.Repeat("[],", 1<<20) + "[]]", true},
		"long":              {`{"a":"` + strings.Repeat("x", 1<<20) + `"}`, true},
		"long and cut off":  {`{"a":"` + strings.Repeat("x", 1<<20), false},
		"long, with an end": {`{"a":"` + strings.Repeat("x", 1<<20) + `"}}`, false},
		"nothing":           {"", false},
	} {
		if got := openai.Valid([]byte(test.text)); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// FuzzValid wants what encoding/json says.
func FuzzValid(f *testing.F) {
	for _, text := range []string{`{"a":[1,2.5e-3,true,null,"\u00e9\n"]}`, `[1,]`, `{"a":1,}`, "\"\x01\"", `01`, `"\x"`, `nul`, "\xff", `"` + "\xff" + `"`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if got, want := openai.Valid(text), json.Valid(text); got != want {
			t.Errorf("%q: %t, encoding/json says %t", text, got, want)
		}
	})
}
