package openai

import "encoding/json"

// chatAnswer is an answer of chat completions or completions, whole or an event of it: they differ in
// little but whether a choice has a message, a delta or text.
type chatAnswer struct {
	head
	Choices []chatChoice `json:"choices"`
	Groq    *struct {
		Usage *usage `json:"usage"`
	} `json:"x_groq"`
}

type chatChoice struct {
	Index        int          `json:"index"`
	Delta        *chatMessage `json:"delta"`
	Message      *chatMessage `json:"message"`
	Text         string       `json:"text"`
	FinishReason string       `json:"finish_reason"`
}

type chatMessage struct {
	Role             string     `json:"role"`
	Content          content    `json:"content"`
	Refusal          string     `json:"refusal"`
	ReasoningContent string     `json:"reasoning_content"`
	Reasoning        string     `json:"reasoning"`
	ToolCalls        []chatCall `json:"tool_calls"`
	FunctionCall     *Function  `json:"function_call"`
	Audio            *chatAudio `json:"audio"`
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
	var chunk chatAnswer
	if err := decode(event, &chunk); err != nil {
		return err
	}
	a.addHead(&chunk.head, event)
	if chunk.Groq != nil {
		a.addUsage(chunk.Groq.Usage)
	}
	for i := range chunk.Choices {
		a.addChatChoice(&chunk.Choices[i])
	}
	return nil
}

func (a *Assembler) addChatChoice(from *chatChoice) {
	c := a.choice(from.Index)
	if c == nil {
		return
	}
	a.add(&c.text, from.Text)
	if from.FinishReason != "" {
		c.finish = short(from.FinishReason)
	}
	if from.Message != nil {
		a.addChatMessage(c, from.Message)
	}
	if from.Delta != nil {
		a.addChatMessage(c, from.Delta)
	}
}

func (a *Assembler) addChatMessage(c *choice, from *chatMessage) {
	if from.Role != "" {
		c.role = short(from.Role)
	}
	a.add(&c.text, string(from.Content))
	a.add(&c.refusal, from.Refusal)
	// Upstreams that send both send the same text twice.
	if from.ReasoningContent != "" {
		a.add(&c.reasoning, from.ReasoningContent)
	} else {
		a.add(&c.reasoning, from.Reasoning)
	}
	for i := range from.ToolCalls {
		a.addChatCall(c, &from.ToolCalls[i])
	}
	if from.FunctionCall != nil {
		if c.function == nil {
			c.function = &call{}
		}
		a.add(&c.function.name, from.FunctionCall.Name)
		a.add(&c.function.arguments, from.FunctionCall.Arguments)
	}
	if from.Audio != nil {
		a.addChatAudio(c, from.Audio)
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
	if from.ID != "" {
		c.audio.id = short(from.ID)
	}
	if from.Expires != "" && len(from.Expires) < maxShort {
		c.audio.expires = from.Expires
	}
	a.add(&c.audio.data, from.Data)
	a.add(&c.audio.transcript, from.Transcript)
}
