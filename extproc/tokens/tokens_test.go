package tokens_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/extproc/openai"
	"tollgate/extproc/tokens"
)

// TestModels: which vocabulary a model's name means. Greek takes less than half with the newer.
func TestModels(t *testing.T) {
	greek := corpus(t)["greek"]
	for _, test := range []struct {
		models string
		want   int
	}{
		{"gpt-4o gpt-4o-mini-2024-07-18 gpt-4.1-nano gpt-4.5-preview gpt-5 gpt-5.2-codex gpt-oss-120b", greek.counts[0]},
		{"o1 o1-mini o3-pro o4-mini chatgpt-4o-latest codex-mini-latest", greek.counts[0]},
		{"openai/gpt-4o ft:gpt-4o-mini:acme::7p4lURel openai/ft:gpt-4o:acme accounts/x/models/gpt-oss-20b", greek.counts[0]},
		{"gpt-4 gpt-4-turbo gpt-4-0613 gpt-4-32k gpt-3.5-turbo-0125 gpt-35-turbo text-embedding-3-small", greek.counts[1]},
		{"openai/gpt-4 ft:gpt-3.5-turbo-0613:acme:x/y:1 ft:gpt-4-0613:acme:gpt-4o:1 openai/gpt-4:free", greek.counts[1]},
		{"llama3:8b mistral-large claude-opus-4 qwen/qwen3 deepseek-chat gemini-2.5-pro microsoft:x", greek.counts[0]},
	} {
		for model := range strings.FieldsSeq(test.models) {
			if got := tokens.Count(plain(t, model, greek.text), nil).Prompt; got != test.want {
				t.Errorf("%s: %d tokens, want %d", model, got, test.want)
			}
		}
	}
	if got := tokens.Count(plain(t, "", greek.text), nil).Prompt; got != greek.counts[0] {
		t.Errorf("no model: %d tokens, want %d", got, greek.counts[0])
	}
	told := tokens.Count(plain(t, "our-deployment", greek.text), &openai.Answer{Model: "gpt-4-0613"})
	if told.Prompt != greek.counts[1] {
		t.Errorf("a model that the answer names: %d tokens, want %d", told.Prompt, greek.counts[1])
	}
	known, unknown := tokens.Reserve(plain(t, "gpt-4o", greek.text)), tokens.Reserve(plain(t, "mistral-large", greek.text))
	if unknown.Prompt < 2*known.Prompt {
		t.Errorf("a vocabulary that is not known is estimated at %d tokens, one that is at %d", unknown.Prompt, known.Prompt)
	}
}

// jargon is the example of OpenAI's cookbook, "How to count tokens with tiktoken".
const jargon = `"messages":[
	{"role":"system","content":"You are a helpful, pattern-following assistant that translates corporate jargon into plain English."},
	{"role":"system","name":"example_user","content":"New synergies will help drive top-line growth."},
	{"role":"system","name":"example_assistant","content":"Things working well together will increase revenue."},
	{"role":"system","name":"example_user","content":"Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage."},
	{"role":"system","name":"example_assistant","content":"Let's talk later when we're less busy about how to do better."},
	{"role":"user","content":"This late pivot means we don't have time to boil the ocean for the client deliverable."}]}`

// weather is the tool of OpenAI's API reference.
const weather = `"messages":[{"role":"user","content":"What's the weather like in Boston today?"}],
	"tools":[{"type":"function","function":{"name":"get_current_weather","description":"Get the current weather in a given location","parameters":{"type":"object","properties":{"location":{"type":"string","description":"The city and state, e.g. San Francisco, CA"},"unit":{"type":"string","enum":["celsius","fahrenheit"]}},"required":["location"]}}}]}`

// TestAsOpenAICounts: requests and answers of which the usage is published.
func TestAsOpenAICounts(t *testing.T) {
	for name, test := range map[string]struct {
		body               string
		least, most        int // prompt
		answer             openai.Choice
		completion, within int
	}{
		"the cookbook's chat": {body: `{"model":"gpt-4-0613",` + jargon, least: 129, most: 129},
		"newer":               {body: `{"model":"gpt-4o",` + jargon, least: 124, most: 124},
		"the reference's chat": {
			body:  `{"model":"gpt-4o","messages":[{"role":"developer","content":"You are a helpful assistant."},{"role":"user","content":"Hello!"}]}`,
			least: 19, most: 19,
			answer: openai.Choice{Text: "Hello! How can I assist you today?"}, completion: 10, within: 1,
		},
		"the reference's tool": {
			body: `{"model":"gpt-4o",` + weather, least: 80, most: 96,
			answer:     openai.Choice{ToolCalls: []openai.ToolCall{{Function: openai.Function{Name: "get_current_weather", Arguments: "{\n\"location\": \"Boston, MA\"\n}"}}}},
			completion: 17, within: 3,
		},
		"a call": {
			body: `{"model":"gpt-4o",` + weather, least: 80, most: 96,
			answer:     openai.Choice{ToolCalls: []openai.ToolCall{{Function: openai.Function{Name: "get_current_weather", Arguments: `{"location":"Boston, MA","unit":"celsius"}`}}}},
			completion: 23, within: 1,
		},
	} {
		got := tokens.Count(ask(t, openai.Chat, test.body), &openai.Answer{Choices: []openai.Choice{test.answer}})
		if got.Prompt < test.least || got.Prompt > test.most {
			t.Errorf("%s: a prompt of %d tokens, want %d to %d", name, got.Prompt, test.least, test.most)
		}
		if off := got.Completion - test.completion; off < -test.within || off > test.within {
			t.Errorf("%s: an answer of %d tokens, want %d", name, got.Completion, test.completion)
		}
		if reserved := tokens.Reserve(ask(t, openai.Chat, test.body)); int(reserved.Prompt) < test.least {
			t.Errorf("%s: %d tokens are reserved for a prompt of %d", name, reserved.Prompt, test.least)
		}
	}
}

// TestAnswerThatIsNamed: how long the answers may be.
func TestAnswerThatIsNamed(t *testing.T) {
	for _, test := range []struct {
		api  openai.API
		body string
		want uint64 // 0: it is not named
	}{
		{openai.Chat, `{}`, 0},
		{openai.Chat, `{"max_tokens":100}`, 100},
		{openai.Chat, `{"max_completion_tokens":200}`, 200},
		{openai.Chat, `{"max_completion_tokens":1,"max_tokens":300}`, 300},
		{openai.Chat, `{"max_output_tokens":100}`, 100},
		{openai.Chat, `{"max_completion_tokens":1,"max_tokens":2,"max_output_tokens":300}`, 300},
		{openai.Chat, `{"max_tokens":100,"n":2,"best_of":5}`, 500},
		{openai.Chat, `{"max_tokens":"400"}`, 400},
		{openai.Chat, `{"max_tokens":100.5}`, 100},
		{openai.Chat, `{"max_tokens":1e300}`, 1e12},
		{openai.Chat, `{"max_tokens":-1}`, 0},
		{openai.Chat, `{"max_tokens":0}`, 0},
		{openai.Chat, `{"max_tokens":null}`, 0},
		{openai.Chat, `{"max_tokens":"nan"}`, 0},
		{openai.Chat, `{"max_tokens":[100]}`, 0},
		{openai.Chat, `{"max_tokens":100,"n":3}`, 300},
		{openai.Chat, `{"max_tokens":100,"n":"3"}`, 300},
		{openai.Chat, `{"max_tokens":100,"n":"nan"}`, 100},
		{openai.Chat, `{"max_tokens":100,"n":-3}`, 100},
		{openai.Completions, `{"max_tokens":100,"n":2,"best_of":5}`, 500},
		{openai.Completions, `{"max_tokens":1,"max_completion_tokens":100}`, 100},
		{openai.Completions, `{"max_tokens":100,"n":2,"prompt":["a","b","c"]}`, 600},
		{openai.Completions, `{"max_tokens":100,"prompt":[[1,2],[3]]}`, 200},
		{openai.Completions, `{"max_tokens":100,"prompt":[1,2,3]}`, 100},
		{openai.Completions, `{"max_tokens":100,"prompt":[]}`, 100},
		{openai.Responses, `{"max_output_tokens":100,"max_tokens":5,"n":3}`, 100},
		{openai.Responses, `{"max_output_tokens":1,"max_tokens":100}`, 100},
		{openai.Messages, `{"max_tokens":100,"n":3}`, 100},
		{openai.Messages, `{"max_tokens":1,"max_completion_tokens":100}`, 100},
	} {
		got := tokens.Reserve(ask(t, test.api, test.body))
		if got.Answer != test.want || got.Named != (test.want > 0) {
			t.Errorf("%s %s: %+v, want %d", test.api, test.body, got, test.want)
		}
	}
	for _, api := range []openai.API{openai.Embeddings, openai.Transcriptions} {
		if got := tokens.Reserve(ask(t, api, `{"max_tokens":100}`)); got.Answer != 0 || !got.Named {
			t.Errorf("%s: %+v, but nothing is generated", api, got)
		}
	}
}

// TestAnswersThatAreNotNamed: how many there may be counts where their length is not named, too.
func TestAnswersThatAreNotNamed(t *testing.T) {
	for _, test := range []struct {
		api  openai.API
		body string
		want uint64
	}{
		{openai.Chat, `{}`, 1},
		{openai.Chat, `{"n":8}`, 8},
		{openai.Chat, `{"n":"8"}`, 8},
		{openai.Chat, `{"n":2,"best_of":20}`, 20},
		{openai.Chat, `{"n":1e300}`, 1e12},
		{openai.Chat, `{"n":-1}`, 1},
		{openai.Chat, `{"n":null}`, 1},
		{openai.Completions, `{"best_of":5,"prompt":["a","b","c"]}`, 15},
		{openai.Responses, `{"n":8}`, 1},
		{openai.Messages, `{"n":8}`, 1},
	} {
		if got := tokens.Reserve(ask(t, test.api, test.body)); got.Answers != test.want || got.Named || got.Answer != 0 {
			t.Errorf("%s %s: %+v, want %d answers of no named length", test.api, test.body, got, test.want)
		}
	}
}

// TestAnswerThatCame: all that a choice holds is counted, with what is around a call.
func TestAnswerThatCame(t *testing.T) {
	call := openai.Function{Name: "get_weather", Arguments: `{"location":"Paris, France"}`} // 16 by the usage of one that is published
	of := func(c openai.Choice) int {
		return tokens.Count(&openai.Request{API: openai.Chat}, &openai.Answer{Model: "gpt-4o", Choices: []openai.Choice{c}}).Completion
	}
	got := map[string]int{
		"nothing":   of(openai.Choice{}),
		"text":      of(openai.Choice{Text: "one two three"}),
		"refusal":   of(openai.Choice{Refusal: "one two three"}),
		"reasoning": of(openai.Choice{Reasoning: "one two three", Text: "four"}),
		"function":  of(openai.Choice{FunctionCall: &call}),
		"calls":     of(openai.Choice{ToolCalls: []openai.ToolCall{{Function: call}, {Function: call}}}),
		"speech":    of(openai.Choice{Audio: []byte(`{"data":"` + strings.Repeat("A", 5000) + `","transcript":"one two three"}`)}),
	}
	want := map[string]int{"nothing": 0, "text": 3, "refusal": 3, "reasoning": 4, "function": 16, "calls": 32, "speech": 21}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestConcurrently: the vocabularies are loaded by whoever comes first.
func TestConcurrently(t *testing.T) {
	samples := corpus(t)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			s := samples["korean"]
			if got := tokens.Count(plain(t, models[i%2], s.text), nil).Prompt; got != s.counts[i%2] {
				t.Errorf("%d tokens, want %d", got, s.counts[i%2])
			}
		})
	}
	all.Wait()
}
