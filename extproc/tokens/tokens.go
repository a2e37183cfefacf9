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
	Prompt  uint64
	Answer  uint64 // the most that its answers together may take, as far as the request says
	Answers uint64 // how many it may get
	Named   bool   // the request says how long an answer may be
}

// Reserve estimates what a request may take. It is in the path of every request whose tokens are
// limited, and takes some nanoseconds a byte, whatever the bytes are.
func Reserve(request *openai.Request) Reservation {
	costs := costsOf(request.Model)
	tokens := 0
	p := readPrompt(request, func(text string) { tokens += costs.estimate(text) })
	r := Reservation{Prompt: uint64(tokens + p.flat)} //nolint:gosec // both count up
	if request.API == openai.Embeddings || request.API == openai.Transcriptions {
		r.Named = true // vectors; and what was said, which the recording bounds
		return r
	}
	each, many := largest(request, lengths()), 1.0
	if request.API == openai.Chat || request.API == openai.Completions { // the others answer once
		many = max(1, largest(request, counts()))
	}
	answers := min(many*float64(p.asked), most)
	r.Answer, r.Answers, r.Named = uint64(min(each*answers, most)), uint64(answers), each >= 1
	return r
}

// lengths are the names by which APIs are told how long an answer may be. Which of them an upstream obeys is
// not known: many take the newer one beside the older, whatever the path.
func lengths() []string { return []string{"max_tokens", "max_completion_tokens", "max_output_tokens"} }

// counts are the names by which they are told how many answers to make of one prompt. Those that best_of leaves
// out are paid for, too.
func counts() []string { return []string{"n", "best_of"} }

// largest is the largest of some members.
func largest(request *openai.Request, names []string) float64 {
	found := 0.0
	for _, name := range names {
		found = max(found, number(request.Fields[name]))
	}
	return found
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
