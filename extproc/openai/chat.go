package openai

import (
	"cmp"
	"encoding/json"
)

// chatAnswer is an answer of chat completions or completions, whole or an event of it: they differ in
// little but whether a choice has a message, a delta or text.
type chatAnswer struct {
	head
	bare    bool // choices are left out
	choices []chatChoice
	groq    *usage // Groq's own place for it
}

type chatChoice struct {
	index   int
	text    string
	finish  string
	message chatMessage
}

// chatMessage is a message, or a delta: a delta is a message that lacks most.
type chatMessage struct {
	role, content, refusal string
	reasoningContent       string // DeepSeek's name, and
	reasoning              string // OpenRouter's
	calls                  []chatCall
	function               *Function
	audio                  *chatAudio
}

type chatCall struct {
	Index    *int     `json:"index"`
	ID       string   `json:"id"`
	Type     string   `json:"type"`
	Function Function `json:"function"`
	Custom   struct {
		Name  string `json:"name"`
		Input string `json:"input"`
	} `json:"custom"`
}

type chatAudio struct {
	ID         string      `json:"id"`
	Expires    json.Number `json:"expires_at"`
	Data       string      `json:"data"`
	Transcript string      `json:"transcript"`
}

func (a *Assembler) readChat(event *Event) error {
	chunk := chatAnswer{bare: a.Bare}
	if err := chunk.parse(event); err != nil {
		return err
	}
	a.addHead(&chunk.head, event)
	a.addUsage(chunk.groq)
	for i := range chunk.choices {
		a.addChatChoice(&chunk.choices[i])
	}
	return nil
}

func (a *Assembler) addChatChoice(from *chatChoice) {
	c := a.choice(from.index)
	if c == nil {
		return
	}
	a.add(&c.text, from.text)
	keep(&c.finish, from.finish)
	a.addChatMessage(c, &from.message)
}

func (a *Assembler) addChatMessage(c *choice, from *chatMessage) {
	keep(&c.role, from.role)
	a.add(&c.text, from.content)
	a.add(&c.refusal, from.refusal)
	// Upstreams that send both send the same text twice.
	a.add(&c.reasoning, cmp.Or(from.reasoningContent, from.reasoning))
	for i := range from.calls {
		a.addChatCall(c, &from.calls[i])
	}
	if from.function != nil {
		if c.function == nil {
			c.function = &call{}
		}
		a.add(&c.function.name, from.function.Name)
		a.add(&c.function.arguments, from.function.Arguments)
	}
	if from.audio != nil {
		a.addChatAudio(c, from.audio)
	}
}

func (a *Assembler) addChatCall(c *choice, from *chatCall) {
	to := a.call(c, callIndex(c, from))
	if to == nil {
		return
	}
	to.describe(from.ID, from.Type)
	a.add(&to.name, from.Function.Name)
	a.add(&to.name, from.Custom.Name)
	a.add(&to.arguments, from.Function.Arguments)
	a.add(&to.arguments, from.Custom.Input)
}

// callIndex says which call a fragment belongs to. Where upstreams leave the index out, as all do in
// a whole message, an id that is new begins a call, and one without an id goes on with the last.
// AWS Bedrock says -1 for a call that is the only one; the SDKs take it for 0.
func callIndex(c *choice, from *chatCall) int {
	if from.Index != nil {
		if *from.Index == -1 {
			return 0
		}
		return *from.Index
	}
	for _, known := range c.calls {
		if from.ID != "" && known.id == from.ID {
			return known.index
		}
	}
	if len(c.calls) == 0 {
		return 0
	}
	last := c.calls[len(c.calls)-1].index
	if from.ID == "" {
		return last
	}
	return last + 1
}

func (a *Assembler) addChatAudio(c *choice, from *chatAudio) {
	if c.audio == nil {
		c.audio = &audio{}
	}
	keep(&c.audio.id, from.ID)
	if from.Expires != "" && len(from.Expires) < maxShort {
		c.audio.expires = from.Expires
	}
	a.add(&c.audio.data, from.Data)
	a.add(&c.audio.transcript, from.Transcript)
}
