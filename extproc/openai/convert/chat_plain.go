package convert

import (
	"github.com/tidwall/gjson"

	"tollgate/extproc/openai"
)

// chunkShape is what is known of the events of chats and completions. What is not known is kept: of
// the whole answer the last that was told; of a choice or a message only what all events agree on.
var chunkShape = &shape{rule: nested, rest: &shape{rule: last}, members: map[string]*shape{
	"id":          {rule: first},
	"created":     {rule: first}, // Azure's own events say 0
	"object":      {rule: same},
	"choices":     {rule: indexed, rest: choiceShape},
	"x_groq":      {rule: nested, rest: &shape{rule: last}},
	"error":       {rule: barred},
	"obfuscation": {rule: dropped},
}}

var choiceShape = &shape{rule: nested, rest: &shape{rule: same}, members: map[string]*shape{
	"delta":    deltaShape,
	"text":     {rule: joined},
	"message":  {rule: barred}, // Perplexity's: all of the answer so far
	"logprobs": logprobsShape,
}}

var deltaShape = &shape{rule: nested, as: "message", rest: &shape{rule: same}, members: map[string]*shape{
	"content":           {rule: joined},
	"refusal":           {rule: joined},
	"reasoning_content": {rule: joined},
	"reasoning":         {rule: joined},
	"thinking":          {rule: joined},
	"annotations":       {rule: listed},
	"function_call":     functionShape,
	"tool_calls":        {rule: indexed, rest: callShape},
	"audio":             {rule: barred}, // its data is in another format than the plain form's
}}

// Names come whole: a second piece is refused, since upstreams that repeat a name do not mean two.
var callShape = &shape{rule: nested, rest: &shape{rule: same}, members: map[string]*shape{
	"index":    {rule: dropped},
	"function": functionShape,
	"custom":   {rule: nested, rest: &shape{rule: same}, members: map[string]*shape{"input": {rule: joined}}},
}}

var functionShape = &shape{rule: nested, rest: &shape{rule: same}, members: map[string]*shape{"arguments": {rule: joined}}}

var logprobsShape = &shape{rule: nested, rest: &shape{rule: same}, members: map[string]*shape{
	"content": {rule: listed}, "refusal": {rule: listed}, // chats
	"tokens": {rule: listed}, "token_logprobs": {rule: listed}, "top_logprobs": {rule: listed}, "text_offset": {rule: listed}, // completions
}}

// chatPlain makes a plain chat completion, or text completion, of a stream.
func chatPlain(api openai.API, stream [][]byte) ([]byte, error) {
	answer, size := &part{shape: chunkShape, key: "an event"}, 0
	done, err := eachEvent(stream, func(_, data string) error {
		size += len(data)
		return answer.nest(gjson.Parse(data))
	})
	if err != nil {
		return nil, err
	}
	if !done {
		return nil, refuse("the stream has no [DONE]")
	}
	if err := endAnswer(api, answer); err != nil {
		return nil, err
	}
	return answer.appendTo(make([]byte, 0, size/4)), nil
}

// endAnswer sees that the answer is whole, and turns what the forms call by different names.
func endAnswer(api openai.API, answer *part) error {
	if object := answer.find("object"); object != nil && !isEmpty(object.value) {
		if object.value != objects[api].chunk && object.value != objects[api].plain {
			return refuse("its object is not known")
		}
		answer.give("object", objects[api].plain)
	}
	endGroq(answer)
	choices := answer.find("choices")
	if choices == nil || len(choices.parts) == 0 {
		return refuse("it has no choice")
	}
	for i, choice := range choices.parts {
		if choice.index != i {
			return refuse("it lacks choice %d", i)
		}
		if err := endChoice(api, choice); err != nil {
			return err
		}
	}
	return nil
}

// objects are what the forms say they are.
var objects = map[openai.API]struct{ chunk, plain string }{
	openai.Chat:        {`"chat.completion.chunk"`, `"chat.completion"`},
	openai.Completions: {`"text_completion"`, `"text_completion"`},
}

func endChoice(api openai.API, choice *part) error {
	if finish := choice.find("finish_reason"); finish == nil || !isString(finish.value) || isEmpty(finish.value) {
		return refuse("choice %d has no finish_reason", choice.index)
	}
	delta, text, message := choice.find("delta"), choice.find("text"), choice.find("message")
	if api == openai.Completions {
		if text == nil || delta != nil || message != nil {
			return refuse("choice %d is none of a completion", choice.index)
		}
		return nil
	}
	if delta == nil || delta.value != "{}" || text != nil {
		return refuse("choice %d is none of a chat", choice.index)
	}
	if message != nil {
		message.shape = &shape{rule: dropped} // null beside the delta, which takes its name
	}
	if role := delta.find("role"); role == nil || role.value == "null" || role.value == `""` {
		delta.give("role", `"assistant"`)
	}
	if delta.find("content") == nil {
		delta.give("content", "null")
	}
	return nil
}

// endGroq takes the usage out of Groq's own place for it in streams, to where its plain answers have it.
func endGroq(answer *part) {
	groq := answer.find("x_groq")
	if groq == nil {
		return
	}
	told := groq.find("usage")
	if told == nil {
		return
	}
	if usage := answer.find("usage"); usage == nil || isEmpty(usage.value) {
		answer.give("usage", told.value)
	}
	told.shape = &shape{rule: dropped}
}
