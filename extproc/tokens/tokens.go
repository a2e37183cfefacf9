// Package tokens estimates how many tokens a request and its answer take, by the length of their text:
// four bytes a token, which holds roughly for English.
package tokens

import (
	"encoding/json"

	"tollgate/extproc/openai"
)

const bytesPerToken = 4

// Reservation is what a request may take.
type Reservation struct {
	Prompt uint64
	Answer uint64 // the most that the answer may take, as the request says
	Named  bool   // the request says how long the answer may be
}

// Reserve estimates what a request may take.
func Reserve(request *openai.Request) Reservation {
	r := Reservation{Prompt: prompt(request)}
	for _, name := range []string{"max_completion_tokens", "max_output_tokens", "max_tokens"} {
		var most float64
		if json.Unmarshal(request.Fields[name], &most) == nil && most > 0 {
			r.Answer, r.Named = uint64(min(most, 1e12)), true
			break
		}
	}
	if request.API == openai.Embeddings || request.API == openai.Transcriptions {
		r.Answer, r.Named = 0, true
	}
	return r
}

func prompt(request *openai.Request) uint64 {
	length := 0
	for _, name := range []string{"messages", "prompt", "input", "instructions", "system", "tools", "functions"} {
		length += len(request.Fields[name])
	}
	return uint64(length / bytesPerToken)
}

// Count estimates what a request and as much of its answer as arrived have taken.
func Count(request *openai.Request, answer *openai.Answer) openai.Usage {
	u := openai.Usage{Prompt: int(prompt(request))} //nolint:gosec // a length
	if answer != nil {
		length := 0
		for _, c := range answer.Choices {
			length += len(c.Text) + len(c.Refusal) + len(c.Reasoning)
			for _, call := range c.ToolCalls {
				length += len(call.Function.Name) + len(call.Function.Arguments)
			}
		}
		u.Completion = length / bytesPerToken
	}
	u.Total = u.Prompt + u.Completion
	return u
}
