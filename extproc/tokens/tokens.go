// Package tokens says how many tokens a request may take, and how many it took where its upstream does
// not tell.
//
//   - [Reserve] is in every request's way: it estimates a prompt by its letters, which takes a millisecond
//     for a megabyte, and rather says too many than too few.
//   - [Count] is beside the way: it asks OpenAI's tokenizers, for models that are not OpenAI's too, whose
//     own differ from these by some ten percent.
//
// The tokenizers are those of github.com/tiktoken-go/tokenizer: it has its vocabularies built in, loads one
// in some 25 ms, and takes time in proportion to a text's length, whatever the text is. The other library
// for Go, pkoukk/tiktoken-go, takes minutes for a megabyte of one letter.
package tokens

import (
	"encoding/json"

	"tollgate/extproc/openai"
)

// Reservation is what a request may take.
type Reservation struct {
	Prompt uint64
	Answer uint64 // the most that the answers may take, as the request says
	Named  bool   // the request says how long an answer may be
}

// Reserve estimates what a request may take.
func Reserve(request *openai.Request) Reservation {
	e := &estimate{}
	count(request, e)
	r := Reservation{Prompt: uint64(max(0, e.total()))}
	if request.API == openai.Embeddings || request.API == openai.Transcriptions {
		r.Named = true
		return r
	}
	for _, name := range []string{"max_completion_tokens", "max_output_tokens", "max_tokens"} {
		if most := number(request.Fields[name]); most > 0 {
			r.Answer, r.Named = most*answers(request), true
			break
		}
	}
	return r
}

// answers is how many answers a request asks for: the upstream makes, and bills, that many.
func answers(request *openai.Request) uint64 {
	return max(1, number(request.Fields["n"]), number(request.Fields["best_of"]))
}

// number is a member's value, as far as it is one that counts something.
func number(raw json.RawMessage) uint64 {
	const most = 1e9
	var value float64
	if json.Unmarshal(raw, &value) != nil || value < 1 {
		return 0
	}
	return uint64(min(value, most))
}

// Count counts what a request and as much of its answer as arrived have taken; answer may be nil.
func Count(request *openai.Request, answer *openai.Answer) openai.Usage {
	prompt := newCounter(request.Model)
	count(request, prompt)
	u := openai.Usage{Prompt: prompt.total()}
	if answer != nil {
		completion := newCounter(request.Model)
		for i := range answer.Choices {
			c := &answer.Choices[i]
			completion.text([]byte(c.Text))
			completion.text([]byte(c.Refusal))
			completion.text([]byte(c.Reasoning))
			for _, call := range c.ToolCalls {
				completion.call(call.Function)
			}
			if c.FunctionCall != nil {
				completion.call(*c.FunctionCall)
			}
		}
		u.Completion = completion.total()
	}
	u.Total = u.Prompt + u.Completion
	return u
}

// call counts a call of a function.
func (c *counter) call(f openai.Function) {
	c.text([]byte(f.Name))
	c.text([]byte(f.Arguments))
	c.flat(perCall)
}
