package tokens_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"tollgate/extproc/openai"
	"tollgate/extproc/tokens"
)

// models are one of each vocabulary, in the order of the counts in testdata/corpus.txtar.
var models = [...]string{"gpt-4o", "gpt-4"}

// sample is a text, and what OpenAI's own tokenizer counts in it.
type sample struct {
	text   string
	counts [len(models)]int
}

// corpus is testdata/corpus.txtar.
func corpus(tb testing.TB) map[string]sample {
	tb.Helper()
	archive, err := txtar.ParseFile("testdata/corpus.txtar")
	if err != nil {
		tb.Fatal(err)
	}
	samples := map[string]sample{}
	for _, file := range archive.Files {
		samples[file.Name] = sample{text: string(file.Data)}
	}
	told := 0
	for line := range strings.Lines(string(archive.Comment)) {
		var name string
		var s sample
		if n, _ := fmt.Sscan(line, &name, &s.counts[0], &s.counts[1]); n == 3 {
			s.text = samples[name].text
			samples[name] = s
			told++
		}
	}
	if told == 0 || told != len(archive.Files) {
		tb.Fatalf("%d texts, and counts of %d", len(archive.Files), told)
	}
	return samples
}

// ask is the request of a body.
func ask(tb testing.TB, api openai.API, body string) *openai.Request {
	tb.Helper()
	request, err := openai.ParseRequest(api, "application/json", []byte(body))
	if err != nil {
		tb.Fatal(err)
	}
	return request
}

// quote is a text as JSON.
func quote(tb testing.TB, text string) string {
	tb.Helper()
	quoted, err := json.Marshal(text)
	if err != nil {
		tb.Fatal(err)
	}
	return string(quoted)
}

// plain is a request whose prompt is a text and nothing else.
func plain(tb testing.TB, model, text string) *openai.Request {
	tb.Helper()
	return ask(tb, openai.Completions, `{"model":"`+model+`","prompt":`+quote(tb, text)+`}`)
}

// TestCount: text is counted as OpenAI's own tokenizer counts it.
func TestCount(t *testing.T) {
	for name, s := range corpus(t) {
		for i, model := range models {
			if got := tokens.Count(plain(t, model, s.text), nil); got.Prompt != s.counts[i] || got.Completion != 0 || got.Total != got.Prompt {
				t.Errorf("%s with %s: %+v, want %d", name, model, got, s.counts[i])
			}
			answer := &openai.Answer{Choices: []openai.Choice{{Text: s.text}}}
			if got := tokens.Count(plain(t, model, ""), answer); got.Completion != s.counts[i] || got.Prompt != 0 {
				t.Errorf("%s as an answer of %s: %+v, want %d", name, model, got, s.counts[i])
			}
		}
	}
}

// TestReserve: what README.md and the package's doc say of the estimate.
func TestReserve(t *testing.T) {
	common := []string{
		"english", "letter", "go", "python", "typescript", "c", "sql", "json", "json-indented", "yaml",
		"markdown", "html", "csv", "log", "uuids",
	}
	for i, model := range models {
		estimated, counted := 0, 0
		ratio := map[string]float64{}
		for name, s := range corpus(t) {
			got := tokens.Reserve(plain(t, model, s.text))
			ratio[name] = float64(got.Prompt) / float64(s.counts[i])
			estimated += int(got.Prompt)
			counted += s.counts[i]
		}
		for name, r := range ratio {
			if r < 0.7 || r > 1.9 {
				t.Errorf("%s with %s is estimated at %.2f times what it is", name, model, r)
			}
		}
		for _, name := range common {
			if r := ratio[name]; r < 1 || r > 1.5 {
				t.Errorf("%s with %s is estimated at %.2f times what it is", name, model, r)
			}
		}
		if r := float64(estimated) / float64(counted); r < 1.05 || r > 1.2 {
			t.Errorf("all texts with %s are estimated at %.2f times what they are", model, r)
		}
	}
}

// TestLongTexts: of what is too long to be counted whole, parts stand for the rest, wherever they lie.
func TestLongTexts(t *testing.T) {
	var long strings.Builder
	want := 0
	for i := range 40 { // the first half English, the second half Chinese and code
		names := []string{"english", "letter", "markdown"}
		if i >= 20 {
			names = []string{"chinese", "go", "json"}
		}
		for _, name := range names {
			s := corpus(t)[name]
			for range 10 {
				long.WriteString(s.text)
				want += s.counts[0]
			}
		}
	}
	request := ask(t, openai.Chat, `{"model":"gpt-4o","messages":[{"role":"user","content":`+quote(t, long.String())+`},{"role":"user","content":"x"}]}`)
	got := tokens.Count(request, &openai.Answer{Choices: []openai.Choice{{Text: long.String()}}})
	for _, n := range []int{got.Prompt, got.Completion} {
		if r := float64(n) / float64(want); r < 0.97 || r > 1.03 {
			t.Errorf("%d bytes count as %d tokens, and are %d", long.Len(), n, want)
		}
	}
}

// TestWorkIsBounded: tokenizing allocates as it goes, so allocations tell how much of a text it reads.
func TestWorkIsBounded(t *testing.T) {
	work := func(size int, text string) float64 {
		request := plain(t, "gpt-4o", strings.Repeat(text, size/len(text)))
		return testing.AllocsPerRun(1, func() { tokens.Count(request, nil) })
	}
	for _, text := range []string{"one word ", "\n ", "aB", "語", "x"} {
		if short, long := work(20_000, text), work(500_000, text); long > 5*short {
			t.Errorf("%q: %.0f allocations for 20 kB, and %.0f for 500 kB", text, short, long)
		}
	}
}
