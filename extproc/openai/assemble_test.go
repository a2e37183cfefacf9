package openai_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/extproc/openai"
)

var update = flag.Bool("update", false, "write the goldens anew")

// assemble reads a stream in pieces of a size.
func assemble(api openai.API, stream []byte, size int) *openai.Assembler {
	a, r := openai.NewAssembler(api), &openai.Reader{}
	for rest := stream; len(rest) > 0; rest = rest[min(size, len(rest)):] {
		r.Feed(rest[:min(size, len(rest))], a.Add)
	}
	r.Close(a.Add)
	return a
}

func assembleWhole(api openai.API, body []byte) *openai.Assembler {
	a := openai.NewAssembler(api)
	a.Add(&openai.Event{Data: body, Whole: true})
	return a
}

// recorded lists the files of a kind. Their names begin with the API.
func recorded(t testing.TB, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", pattern))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files %s: %v", pattern, err)
	}
	return files
}

func apiOf(file string) openai.API {
	name, _, _ := strings.Cut(filepath.Base(file), "-")
	return openai.API(name)
}

func load(t testing.TB, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// golden is an answer as the goldens hold it.
func golden(t testing.TB, a *openai.Assembler) string {
	t.Helper()
	text, err := json.MarshalIndent(struct {
		*openai.Answer
		Malformed int
	}{a.Answer(), a.Malformed()}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text) + "\n"
}

func TestAssembleStreams(t *testing.T) {
	for _, file := range recorded(t, "*.sse") {
		stream := load(t, file)
		for _, size := range []int{len(stream), 1, 100} {
			compare(t, file, golden(t, assemble(apiOf(file), stream, size)))
		}
	}
}

func TestAssembleBodies(t *testing.T) {
	for _, file := range recorded(t, "*.body") {
		compare(t, file, golden(t, assembleWhole(apiOf(file), load(t, file))))
	}
}

func compare(t *testing.T, file, got string) {
	t.Helper()
	name := file + ".golden"
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(string(load(t, name)), got); diff != "" {
		t.Errorf("%s:\n%s", name, diff)
	}
}

// TestGoldensHaveStreams finds goldens whose stream is gone.
func TestGoldensHaveStreams(t *testing.T) {
	for _, name := range recorded(t, "*.golden") {
		if _, err := os.Stat(strings.TrimSuffix(name, ".golden")); err != nil {
			t.Error(err)
		}
	}
}

// TestStreamsAndBodiesAgree: a response is the same whether its last event or a body brought it.
func TestStreamsAndBodiesAgree(t *testing.T) {
	stream := assemble(openai.Responses, load(t, "testdata/responses-text-call.sse"), 1<<20).Answer()
	body := assembleWhole(openai.Responses, load(t, "testdata/responses-whole.body")).Answer()
	if diff := cmp.Diff(stream, body); diff != "" {
		t.Error(diff)
	}
}

// TestBare: what is told beside the choices is the same.
func TestBare(t *testing.T) {
	for _, file := range append(recorded(t, "*.sse"), recorded(t, "*.body")...) {
		if api := apiOf(file); api != openai.Chat && api != openai.Completions {
			continue
		}
		full, bare := openai.NewAssembler(apiOf(file)), openai.NewAssembler(apiOf(file))
		bare.Bare = true
		both := func(e *openai.Event) { full.Add(e); bare.Add(e) }
		if filepath.Ext(file) == ".body" {
			both(&openai.Event{Data: load(t, file), Whole: true})
		} else {
			r := &openai.Reader{}
			r.Feed(load(t, file), both)
			r.Close(both)
		}
		want, got := full.Answer(), bare.Answer()
		want.Choices = nil
		if diff := cmp.Diff(want, got); diff != "" || full.Malformed() != bare.Malformed() {
			t.Errorf("%s:\n%s", file, diff)
		}
	}
}

func event(data string) *openai.Event { return &openai.Event{Data: []byte(data)} }

func TestAssembleIsBounded(t *testing.T) {
	for _, c := range []struct {
		name, event string
		api         openai.API
		take        func(openai.Choice) string
	}{
		{"content", `{"choices":[{"index":0,"delta":{"content":"żółw"}}]}`, openai.Chat, func(c openai.Choice) string { return c.Text }},
		{"arguments", `{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"żółw"}}]}}]}`, openai.Chat, func(c openai.Choice) string { return c.ToolCalls[0].Function.Arguments }},
		{"text", `{"choices":[{"index":0,"text":"żółw"}]}`, openai.Completions, func(c openai.Choice) string { return c.Text }},
		{"response", `{"type":"response.output_text.delta","delta":"żółw"}`, openai.Responses, func(c openai.Choice) string { return c.Text }},
		{"message", `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"żółw"}}`, openai.Messages, func(c openai.Choice) string { return c.Text }},
		{"transcript", `{"type":"transcript.text.delta","delta":"żółw"}`, openai.Transcriptions, func(c openai.Choice) string { return c.Text }},
	} {
		a := openai.NewAssembler(c.api)
		a.MaxAnswer = 10
		a.Add(event(c.event))
		if a.Answer().Truncated {
			t.Errorf("%s: truncated too early", c.name)
		}
		for range 3 {
			a.Add(event(c.event))
		}
		// 7 bytes, and of 3 more the one rune that fits and half of another.
		if got := c.take(a.Answer().Choices[0]); got != "żółwż" || !a.Answer().Truncated {
			t.Errorf("%s: %q, truncated: %v", c.name, got, a.Answer().Truncated)
		}
	}
}

// TestAssembleRefusesStrangeIndexes: an index is not a size.
func TestAssembleRefusesStrangeIndexes(t *testing.T) {
	a := openai.NewAssembler(openai.Chat)
	for _, index := range []string{"-1", "128", "1000000000", "99999999999999999999", "1.5"} {
		a.Add(event(`{"choices":[{"index":` + index + `,"delta":{"content":"x"}}]}`))
		a.Add(event(`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":` + index + `,"id":"` + index + `"}]}}]}`))
	}
	answer := a.Answer()
	if len(answer.Choices) != 1 || len(answer.Choices[0].ToolCalls) > 5 || !answer.Truncated {
		t.Errorf("%d choices, %d calls", len(answer.Choices), len(answer.Choices[0].ToolCalls))
	}
	a = openai.NewAssembler(openai.Chat)
	for i := range 3000 {
		a.Add(event(`{"choices":[{"index":0,"delta":{"tool_calls":[{"id":"` + strings.Repeat("x", i+1) + `"}]}}]}`))
	}
	if calls := a.Answer().Choices[0].ToolCalls; len(calls) != 1024 || len(calls[1023].ID) != 1024 {
		t.Errorf("%d calls", len(calls))
	}
}

// TestAssembleKeepsNothingOfEvents wipes what was fed.
func TestAssembleKeepsNothingOfEvents(t *testing.T) {
	for _, file := range recorded(t, "*.sse") {
		stream := load(t, file)
		want := golden(t, assemble(apiOf(file), stream, len(stream)))
		a, r := openai.NewAssembler(apiOf(file)), &openai.Reader{}
		r.Feed(stream, a.Add)
		r.Close(a.Add)
		clear(stream)
		if diff := cmp.Diff(want, golden(t, a)); diff != "" {
			t.Errorf("%s:\n%s", file, diff)
		}
	}
}

func TestAssembleUsage(t *testing.T) {
	for body, want := range map[string]*openai.Usage{
		`{}`:               nil,
		`{"usage":null}`:   nil,
		`{"usage":{}}`:     nil,
		`{"usage":"many"}`: nil,
		`{"usage":{"prompt_tokens":3,"completion_tokens":4}}`:        {Prompt: 3, Completion: 4, Total: 7},
		`{"usage":{"prompt_tokens":3.0,"completion_tokens":"4"}}`:    {Prompt: 3, Total: 3},
		`{"usage":{"prompt_tokens":-3,"completion_tokens":1e300}}`:   {Completion: 1<<31 - 1, Total: 1<<31 - 1},
		`{"usage":{"prompt_tokens":3,"prompt_tokens_details":null}}`: {Prompt: 3, Total: 3},
		`{"usage":{"prompt_tokens":3,"prompt_cache_hit_tokens":2}}`:  {Prompt: 3, Total: 3, Cached: 2},
		`{"usage":null,"x_groq":{"usage":{"prompt_tokens":3}}}`:      {Prompt: 3, Total: 3},
		`{"usage":{"prompt_tokens":3,"total_tokens":9}}`:             {Prompt: 3, Total: 9},
	} {
		if diff := cmp.Diff(want, assembleWhole(openai.Chat, []byte(body)).Answer().Usage); diff != "" {
			t.Errorf("%s:\n%s", body, diff)
		}
	}
}

func TestAssembleErrors(t *testing.T) {
	for body, want := range map[string]string{
		`{"error":{"message":"x"}}`:                      `{"message":"x"}`,
		`{"error":"x"}`:                                  `"x"`,
		`[{"error":{"code":429}}]`:                       `{"code":429}`,
		`{"object":"error","message":"x"}`:               `{"object":"error","message":"x"}`,
		`{"choices":[],"error":null}`:                    ``,
		`{"choices":[],"error":""}`:                      ``,
		`{"error":"` + strings.Repeat("x", 1<<17) + `"}`: `{"message":"an error too long to be kept"}`,
	} {
		for _, api := range []openai.API{openai.Chat, openai.Completions, openai.Embeddings, openai.Transcriptions, openai.Responses} {
			got := assembleWhole(api, []byte(body)).Answer()
			if string(got.Error) != want || !got.Finished {
				t.Errorf("%s, %.50s: %s, finished %v", api, body, got.Error, got.Finished)
			}
		}
	}
}

func TestAssembleOther(t *testing.T) {
	a := assemble(openai.Other, []byte("data: {\"id\":\"x\"}\n\n"), 100)
	if diff := cmp.Diff(&openai.Answer{}, a.Answer()); diff != "" || a.Malformed() != 0 {
		t.Error(diff)
	}
}
