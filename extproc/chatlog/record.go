package chatlog

import (
	"encoding/json"
	"time"

	"tollgate/extproc/exchange"
	"tollgate/extproc/openai"
)

// datetime is how a record writes the time.
const datetime = "2006-01-02 15:04:05"

// member is a member of a request that is recorded.
type member struct {
	name string

	// byDefault is what a chat's line says where the request says nothing, as in OpenAI-Forward's
	// logs. Empty: nothing.
	byDefault json.RawMessage
}

// asked are the members of a request that are recorded, in this order.
func asked() []member {
	null, one, zero := json.RawMessage("null"), json.RawMessage("1"), json.RawMessage("0")
	return []member{
		{"messages", nil},
		{"prompt", nil},
		{"input", nil},
		{"instructions", nil},
		{"system", nil},
		{"model", null},
		{"stream", json.RawMessage("false")},
		{"max_tokens", null},
		{"max_completion_tokens", nil},
		{"max_output_tokens", nil},
		{"response_format", nil},
		{"n", one},
		{"temperature", one},
		{"top_p", one},
		{"logit_bias", null},
		{"frequency_penalty", zero},
		{"presence_penalty", zero},
		{"seed", nil},
		{"stop", null},
		{"user", null},
		{"functions", nil},
		{"function_call", nil},
		{"tools", nil},
		{"tool_choice", nil},
	}
}

// Record is the record of one call. Its methods are called by one goroutine.
type Record struct {
	log   *Log
	call  *exchange.Call
	path  string
	began time.Time
	told  bool // the request's line was written
}

// Asked writes the request's line.
func (r *Record) Asked(request *openai.Request) {
	if r.told {
		return
	}
	r.told = true
	l := r.log.newLine()
	l.out.Grow(r.log.sizeOf(request))
	for _, m := range r.log.asked {
		value, ok := request.Fields[m.name]
		if !ok && request.API == openai.Chat {
			value = m.byDefault
		}
		if len(value) > 0 {
			l.add(m.name, value)
		}
	}
	r.who(l)
	r.write(l, false)
	if r.log.options.Print != nil {
		printRequest(r.log.options.Print, r.call, request)
	}
}

// sizeOf is about how long a request's line will be.
func (l *Log) sizeOf(request *openai.Request) int {
	size := 1 << 10
	for _, m := range l.asked {
		size += len(request.Fields[m.name])
	}
	return size
}

func (r *Record) write(l *line, answer bool) {
	written := l.end()
	r.log.options.Told(r.call, answer, written)
	r.log.write(r.path, written)
}

// sizeOfAnswer is about how long an answer's line will be.
func sizeOfAnswer(answer *openai.Answer) int {
	size := 512
	for i := range answer.Choices {
		size += len(answer.Choices[i].Text)
	}
	return size
}

// who closes a request's line with who asked, and when.
func (r *Record) who(l *line) {
	if r.call.Address.IsValid() {
		l.add("ip", r.call.Address.String())
	}
	if r.call.Client != "" {
		l.add("client", r.call.Client)
	}
	l.keep("uid", r.call.ID)
	l.keep("datetime", r.began.Format(datetime))
}

// Event is not recorded: the answer is, put together.
func (r *Record) Event(*openai.Event) {}

// Words is true: they are what is recorded.
func (r *Record) Words() bool { return true }

// Done writes the answer's line, and before it, where the request could not be read, a line that
// says who asked.
func (r *Record) Done(answer *openai.Answer, end exchange.End) {
	if !r.told {
		r.told = true
		l := r.log.newLine()
		r.who(l)
		r.write(l, false)
	}
	l := r.log.newLine()
	if answer != nil {
		l.out.Grow(sizeOfAnswer(answer))
		answered(l, answer, end.Counted)
	}
	if end.Cause != exchange.Whole {
		l.keep("cause", string(end.Cause))
	}
	if r.call.Cache.Spared() || r.call.Cache == exchange.CacheWouldHit {
		l.keep("cache", string(r.call.Cache))
	}
	if end.Status != 200 {
		l.keep("status", end.Status)
	}
	if end.Code != "" {
		l.keep("code", end.Code)
	}
	l.keep("uid", r.call.ID)
	r.write(l, true)
	if r.log.options.Print != nil {
		printAnswer(r.log.options.Print, r.call, answer, end)
	}
}

// choice is one of several answers, as it is recorded.
type choice struct {
	Index        int               `json:"index"`
	Assistant    string            `json:"assistant"`
	ToolCalls    []openai.ToolCall `json:"tool_calls,omitempty"`
	FinishReason string            `json:"finish_reason,omitempty"`
}

// usage is how many tokens a call took, as it is recorded.
type usage struct {
	Completion int `json:"completion_tokens"`
	Prompt     int `json:"prompt_tokens"`
	Total      int `json:"total_tokens"`
}

// answered writes what was answered: the first choice in OpenAI-Forward's fields, all of them where
// there are several.
func answered(l *line, answer *openai.Answer, counted bool) {
	if len(answer.Choices) > 0 {
		first := &answer.Choices[0]
		l.add("assistant", first.Text)
		l.keep("is_function_call", first.FunctionCall != nil || len(first.ToolCalls) > 0)
		l.keep("is_tool_calls", len(first.ToolCalls) > 0)
		for _, part := range []struct {
			name  string
			value any
			given bool
		}{
			{"function_call", first.FunctionCall, first.FunctionCall != nil},
			{"tool_calls", first.ToolCalls, len(first.ToolCalls) > 0},
			{"refusal", first.Refusal, first.Refusal != ""},
			{"reasoning", first.Reasoning, first.Reasoning != ""},
			{"audio", first.Audio, len(first.Audio) > 0},
			{"finish_reason", first.FinishReason, first.FinishReason != ""},
		} {
			if part.given {
				l.add(part.name, part.value)
			}
		}
	}
	if len(answer.Choices) > 1 {
		all := make([]choice, len(answer.Choices))
		for i, c := range answer.Choices {
			all[i] = choice{c.Index, c.Text, c.ToolCalls, c.FinishReason}
		}
		l.add("choices", all)
	}
	if answer.Usage != nil && !counted {
		l.keep("usage", usage{answer.Usage.Completion, answer.Usage.Prompt, answer.Usage.Total})
	}
	if len(answer.Error) > 0 {
		l.add("error", json.RawMessage(answer.Error))
	}
	if answer.Truncated {
		l.keep("truncated", true)
	}
}
