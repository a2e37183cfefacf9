package tokens

import (
	"cmp"
	"encoding/json"

	"github.com/tidwall/gjson"

	"tollgate/extproc/openai"
)

// most is what a reservation may come to: clients name any number.
const most = 1e12

// Reservation is what a request may take, in tokens.
type Reservation struct {
	Prompt uint64
	Answer uint64 // the most that its answers together may take, as far as the request says
	Named  bool   // the request says how long an answer may be
}

// Reserve estimates what a request may take. It is in the path of every request whose tokens are
// limited, and takes some nanoseconds a byte, whatever the bytes are.
func Reserve(request *openai.Request) Reservation {
	costs := costsOf(request.Model)
	tokens := 0
	p := readPrompt(request, func(text string) { tokens += costs.estimate(text) })
	r := Reservation{Prompt: uint64(tokens + p.flat)} //nolint:gosec // both count up
	r.Answer, r.Named = longest(request, p.asked)
	return r
}

// longest is how long the answers to a number of prompts may be. Of two names for it the larger number
// counts: upstreams do not agree which one they take.
func longest(request *openai.Request, prompts int) (tokens uint64, named bool) {
	var names []string
	choices := 1.0
	switch request.API {
	case openai.Chat:
		names = []string{"max_completion_tokens", "max_tokens"}
		choices = max(1, number(request.Fields["n"]))
	case openai.Completions:
		names = []string{"max_tokens"}
		choices = max(1, number(request.Fields["n"]), number(request.Fields["best_of"]))
	case openai.Responses:
		names = []string{"max_output_tokens"}
	case openai.Messages:
		names = []string{"max_tokens"}
	case openai.Embeddings, openai.Transcriptions:
		return 0, true // vectors; and what was said, which the recording bounds
	case openai.Other:
	}
	longest := 0.0
	for _, name := range names {
		longest = max(longest, number(request.Fields[name]))
	}
	return uint64(min(longest*choices*float64(prompts), most)), longest >= 1
}

// number is a member that is a number above zero, or a string that upstreams take for one; else 0.
func number(raw json.RawMessage) float64 {
	if n := gjson.ParseBytes(raw).Float(); n > 0 {
		return n
	}
	return 0
}

// Count counts what a request and as much of its answer as arrived have taken, where the upstream does
// not tell. It is for who has time: a millisecond for 6 KB, and no more than some 50 however much there is.
func Count(request *openai.Request, answer *openai.Answer) openai.Usage {
	var texts []string
	p := readPrompt(request, func(text string) { texts = append(texts, text) })
	model := request.Model
	if answer != nil {
		model = cmp.Or(answer.Model, model) // what a deployment of another name really is
	}
	vocabulary, _ := vocabularyOf(model)
	u := openai.Usage{Prompt: p.flat + vocabulary.count(texts)}
	if answer != nil {
		u.Completion = vocabulary.countAnswer(answer)
	}
	u.Total = u.Prompt + u.Completion
	return u
}

// countAnswer counts what came of an answer.
func (v *vocabulary) countAnswer(answer *openai.Answer) int {
	var texts, spoken []string
	flat := 0
	for _, c := range answer.Choices {
		texts = append(texts, c.Text, c.Refusal, c.Reasoning)
		for _, call := range c.ToolCalls {
			texts = append(texts, call.Function.Name, call.Function.Arguments)
			flat += aroundCall
		}
		if f := c.FunctionCall; f != nil {
			texts = append(texts, f.Name, f.Arguments)
			flat += aroundCall
		}
		spoken = append(spoken, gjson.GetBytes(c.Audio, "transcript").Str)
	}
	return flat + v.count(texts) + v.count(spoken)*spokenToken
}
