package openai

import "encoding/json"

// message is an answer of Anthropic's messages API.
type message struct {
	head
	Type       string  `json:"type"`
	Role       string  `json:"role"`
	Content    []block `json:"content"`
	StopReason string  `json:"stop_reason"`
}

// block is a part of its content.
type block struct {
	Type     string          `json:"type"`
	Text     string          `json:"text"`
	Thinking string          `json:"thinking"`
	ID       string          `json:"id"`
	Name     string          `json:"name"`
	Input    json.RawMessage `json:"input"`
}

// messageEvent is an event of its stream, or the whole message: the type says which.
type messageEvent struct {
	message
	Message message `json:"message"`
	Index   int     `json:"index"`
	Block   block   `json:"content_block"`
	Delta   struct {
		Type        string `json:"type"`
		Text        string `json:"text"`
		Thinking    string `json:"thinking"`
		PartialJSON string `json:"partial_json"`
		StopReason  string `json:"stop_reason"`
	} `json:"delta"`
}

func (a *Assembler) readMessages(event *Event) error {
	var from messageEvent
	if err := decode(event, &from); err != nil {
		return err
	}
	if from.Type == "" {
		from.Type = event.Name
	}
	switch from.Type {
	case "message":
		a.addMessage(&from.message, event)
	case "message_start":
		a.addMessage(&from.Message, event)
	case "content_block_start":
		a.startBlock(from.Index, &from.Block)
	case "content_block_delta":
		a.addBlockDelta(&from)
	case "message_delta":
		a.addMessageUsage(from.Usage)
		a.stopReason(from.Delta.StopReason)
	case "message_stop":
		a.answer.Finished = true
	default: // "error", or a gateway's own error
		a.addError(from.Error)
	}
	return nil
}

func (a *Assembler) addMessage(from *message, event *Event) {
	told := from.Usage
	from.Usage = nil
	a.addHead(&from.head, event)
	a.addMessageUsage(told)
	keep(&a.choice(0).role, from.Role)
	a.stopReason(from.StopReason)
	for i := range from.Content {
		a.startBlock(i, &from.Content[i])
	}
}

func (a *Assembler) stopReason(reason string) {
	if reason != "" {
		keep(&a.choice(0).finish, reason)
	}
}

func (a *Assembler) startBlock(index int, from *block) {
	c := a.choice(0)
	a.add(&c.text, from.Text)
	a.add(&c.reasoning, from.Thinking)
	kind := from.Type
	switch kind {
	case "tool_use":
		kind = "function"
	case "server_tool_use", "mcp_tool_use":
	default:
		return
	}
	to := a.call(c, index)
	if to == nil {
		return
	}
	to.describe(from.ID, kind)
	a.set(&to.name, from.Name)
	a.set(&to.arguments, asText(from.Input))
	to.placeholder = true
}

func (a *Assembler) addBlockDelta(from *messageEvent) {
	c := a.choice(0)
	a.add(&c.text, from.Delta.Text)
	a.add(&c.reasoning, from.Delta.Thinking)
	if from.Delta.PartialJSON == "" {
		return
	}
	to := a.call(c, from.Index)
	if to == nil {
		return
	}
	// The input of a call that streams begins as {}, and stays so if no piece comes.
	if to.placeholder {
		a.set(&to.arguments, "")
		to.placeholder = false
	}
	a.add(&to.arguments, from.Delta.PartialJSON)
}

// addMessageUsage adds what an event tells to what is known: message_start tells the prompt's tokens,
// message_delta the completion's, so far. Anthropic counts the tokens that its cache read or wrote
// apart from the prompt's others.
func (a *Assembler) addMessageUsage(u *usage) {
	if u == nil {
		return
	}
	known := clone(a.answer.Usage)
	if known == nil {
		known = &Usage{}
	}
	known.Prompt = max(known.Prompt, tokens(u.Input+u.CacheRead+u.CacheWrite, u.Prompt))
	known.Cached = max(known.Cached, tokens(u.CacheRead))
	known.Completion = max(known.Completion, tokens(u.Output, u.Completion))
	known.Total = known.Prompt + known.Completion
	a.answer.Usage = known
}
