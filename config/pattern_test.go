package config_test

import (
	"path"
	"strings"
	"testing"

	"tollgate/config"
)

func TestPatterns(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		patterns string
		yes, no  []string
	}{
		{"", []string{"", "gpt-4o"}, nil},
		{"gpt-4o", []string{"gpt-4o"}, []string{"", "gpt-4", "gpt-4o-mini", "GPT-4o", "xgpt-4o"}},
		{"gpt-4o*", []string{"gpt-4o", "gpt-4o-mini"}, []string{"gpt-4", "x/gpt-4o"}},
		{"*", []string{"", "a/b"}, nil},
		{"*/llama", []string{"meta/llama", "/llama"}, []string{"llama", "meta/llama3"}},
		{"a*b*c", []string{"abc", "a1b2c", "abbcc", "abcbc"}, []string{"ab", "acb", "abcd", "ac"}},
		{"ab*ba", []string{"abba", "ab-ba"}, []string{"aba"}},
		{"a b*", []string{"a", "b1"}, []string{"a1"}},
	} {
		patterns := config.Patterns(strings.Fields(test.patterns))
		for _, name := range test.yes {
			if !patterns.Match(name) {
				t.Errorf("%q does not match %q", test.patterns, name)
			}
		}
		for _, name := range test.no {
			if patterns.Match(name) {
				t.Errorf("%q matches %q", test.patterns, name)
			}
		}
	}
}

// FuzzPatterns: where neither holds a slash, * means what it means to the standard library.
func FuzzPatterns(f *testing.F) {
	f.Add("a*b*c", "abcbc")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if strings.ContainsAny(pattern+name, "/?[]\\") {
			t.Skip()
		}
		want, err := path.Match(pattern, name)
		if err != nil {
			t.Skip()
		}
		if got := (config.Patterns{pattern}).Match(name); got != want {
			t.Errorf("%q and %q: got %v", pattern, name, got)
		}
	})
}
