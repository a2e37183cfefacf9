package openai

import (
	"math"

	"github.com/tidwall/gjson"
)

// usage is the usage object in all its dialects.
type usage struct {
	Prompt     count   `json:"prompt_tokens"`
	Completion count   `json:"completion_tokens"`
	Total      count   `json:"total_tokens"`
	Input      count   `json:"input_tokens"`
	Output     count   `json:"output_tokens"`
	PromptOf   details `json:"prompt_tokens_details"`
	CompleteOf details `json:"completion_tokens_details"`
	InputOf    details `json:"input_tokens_details"`
	OutputOf   details `json:"output_tokens_details"`
	CacheRead  count   `json:"cache_read_input_tokens"`     // Anthropic's
	CacheWrite count   `json:"cache_creation_input_tokens"` // Anthropic's
	CacheHit   count   `json:"prompt_cache_hit_tokens"`     // DeepSeek's
}

type details struct {
	Cached    count `json:"cached_tokens"`
	Reasoning count `json:"reasoning_tokens"`
}

// count is a number of tokens; some upstreams write 12.0.
type count float64

// readUsage reads usage out of an event that is known to be JSON; nil: it is no object. Members of another type are
// left out, and the last of a name counts, as when it is decoded.
func readUsage(value gjson.Result) *usage {
	if !value.IsObject() {
		return nil
	}
	u := &usage{}
	value.ForEach(func(name, value gjson.Result) bool {
		switch name.Str {
		case "prompt_tokens":
			u.Prompt.read(value)
		case "completion_tokens":
			u.Completion.read(value)
		case "total_tokens":
			u.Total.read(value)
		case "input_tokens":
			u.Input.read(value)
		case "output_tokens":
			u.Output.read(value)
		case "prompt_tokens_details":
			u.PromptOf.read(value)
		case "completion_tokens_details":
			u.CompleteOf.read(value)
		case "input_tokens_details":
			u.InputOf.read(value)
		case "output_tokens_details":
			u.OutputOf.read(value)
		case "cache_read_input_tokens":
			u.CacheRead.read(value)
		case "cache_creation_input_tokens":
			u.CacheWrite.read(value)
		case "prompt_cache_hit_tokens":
			u.CacheHit.read(value)
		}
		return true
	})
	return u
}

func (d *details) read(from gjson.Result) {
	if !from.IsObject() {
		return
	}
	from.ForEach(func(name, value gjson.Result) bool {
		switch name.Str {
		case "cached_tokens":
			d.Cached.read(value)
		case "reasoning_tokens":
			d.Reasoning.read(value)
		}
		return true
	})
}

func (c *count) read(from gjson.Result) {
	if from.Type == gjson.Number && !math.IsInf(from.Num, 0) {
		*c = count(from.Num)
	}
}

// addUsage takes what an event tells about usage. The last one counts: with vLLM's continuous usage
// each event has it, and it grows. One that tells nothing does not undo what an earlier one told.
func (a *Assembler) addUsage(u *usage) {
	if u == nil || *u == (usage{}) {
		return
	}
	told := Usage{
		Prompt:     tokens(u.Prompt, u.Input),
		Completion: tokens(u.Completion, u.Output),
		Total:      tokens(u.Total),
		Cached:     tokens(u.PromptOf.Cached, u.InputOf.Cached, u.CacheHit),
		Reasoning:  tokens(u.CompleteOf.Reasoning, u.OutputOf.Reasoning),
	}
	if told.Total == 0 {
		told.Total = told.Prompt + told.Completion
	}
	a.answer.Usage = &told
}

// tokens is the first count that is not zero.
func tokens(counts ...count) int {
	for _, c := range counts {
		if c > 0 {
			return int(min(c, math.MaxInt32))
		}
	}
	return 0
}

func clone[T any](p *T) *T {
	if p == nil {
		return nil
	}
	made := *p
	return &made
}
