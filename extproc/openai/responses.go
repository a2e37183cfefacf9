package openai

import "cmp"

// response is an answer of the responses API.
type response struct {
	head
	Status     string         `json:"status"`
	Output     []responseItem `json:"output"`
	Incomplete struct {
		Reason string `json:"reason"`
	} `json:"incomplete_details"`
}

// responseItem is a message, a call or a piece of reasoning in its output.
type responseItem struct {
	Type      string         `json:"type"`
	Role      string         `json:"role"`
	Content   []responsePart `json:"content"`
	Summary   []responsePart `json:"summary"`
	CallID    string         `json:"call_id"`
	Name      string         `json:"name"`
	Arguments string         `json:"arguments"`
	Input     string         `json:"input"`
}

type responsePart struct {
	Type    string `json:"type"`
	Text    string `json:"text"`
	Refusal string `json:"refusal"`
}

// responseEvent is an event of its stream, or the whole response, which has no type.
type responseEvent struct {
	response
	Type     string        `json:"type"`
	Index    int           `json:"output_index"`
	Delta    string        `json:"delta"`
	Item     *responseItem `json:"item"`
	Response *response     `json:"response"`
	Message  string        `json:"message"`
}

func (a *Assembler) readResponses(event *Event) error {
	var from responseEvent
	if err := decode(event, &from); err != nil {
		return err
	}
	if from.Type == "" {
		from.Type = event.Name
	}
	if event.Whole {
		a.addResponse(&from.response, event)
		return nil
	}
	a.addResponseEvent(&from, event)
	return nil
}

func (a *Assembler) addResponseEvent(from *responseEvent, event *Event) {
	switch from.Type {
	case "response.output_text.delta":
		a.add(&a.choice(0).text, from.Delta)
	case "response.refusal.delta":
		a.add(&a.choice(0).refusal, from.Delta)
	case "response.reasoning_text.delta", "response.reasoning_summary_text.delta":
		a.add(&a.choice(0).reasoning, from.Delta)
	case "response.function_call_arguments.delta", "response.custom_tool_call_input.delta", "response.mcp_call_arguments.delta":
		if to := a.call(a.choice(0), from.Index); to != nil {
			a.add(&to.arguments, from.Delta)
		}
	case "response.audio.delta", "response.audio.transcript.delta":
		a.addResponseAudio(a.choice(0), from)
	case "response.output_item.added", "response.output_item.done":
		if from.Item != nil {
			a.addItemCall(a.choice(0), from.Index, from.Item)
		}
	case "response.completed", "response.incomplete", "response.failed":
		if from.Response != nil {
			a.addResponse(from.Response, event)
		}
		a.answer.Finished = true
	default:
		a.addResponseOther(from, event)
	}
}

// addResponseOther takes what response.created and the like tell of the response, and errors, which
// here are events of their own: code and message lie at the top.
func (a *Assembler) addResponseOther(from *responseEvent, event *Event) {
	if from.Response != nil {
		a.addHead(&from.Response.head, event)
	}
	a.addError(from.Error)
	if from.Type == "error" && a.answer.Error == nil && from.Message != "" {
		a.addError(event.Data)
	}
}

func (a *Assembler) addResponseAudio(c *choice, from *responseEvent) {
	if c.audio == nil {
		c.audio = &audio{}
	}
	if from.Type == "response.audio.delta" {
		a.add(&c.audio.data, from.Delta)
		return
	}
	a.add(&c.audio.transcript, from.Delta)
}

// addResponse takes the response itself. Its output is the whole answer, in order: it replaces what
// was put together of deltas, unless the upstream leaves it out.
func (a *Assembler) addResponse(from *response, event *Event) {
	a.addHead(&from.head, event)
	if len(from.Output) > 0 {
		a.restart()
	}
	if why := cmp.Or(from.Incomplete.Reason, from.Status); why != "" {
		keep(&a.choice(0).finish, why)
	}
	for i := range from.Output {
		a.addItem(a.choice(0), i, &from.Output[i])
	}
}

// restart forgets text and calls.
func (a *Assembler) restart() {
	c := a.choice(0)
	*c = choice{audio: c.audio}
	a.spent, a.calls = 0, 0
	if c.audio != nil {
		a.spent = len(c.audio.data) + len(c.audio.transcript)
	}
	a.answer.Truncated = false
}

func (a *Assembler) addItem(c *choice, index int, item *responseItem) {
	switch item.Type {
	case "message":
		keep(&c.role, item.Role)
		for _, part := range item.Content {
			a.add(&c.text, part.Text)
			a.add(&c.refusal, part.Refusal)
		}
	case "reasoning":
		for _, part := range item.Summary {
			a.add(&c.reasoning, part.Text)
		}
		for _, part := range item.Content {
			a.add(&c.reasoning, part.Text)
		}
	default:
		a.addItemCall(c, index, item)
	}
}

// addItemCall takes an item that is a call: its id and name, and its arguments once they are known.
func (a *Assembler) addItemCall(c *choice, index int, item *responseItem) {
	var kind string
	switch item.Type {
	case "function_call":
		kind = "function"
	case "custom_tool_call":
		kind = "custom"
	case "mcp_call":
		kind = "mcp"
	case "message":
		keep(&c.role, item.Role)
		return
	default:
		return
	}
	to := a.call(c, index)
	if to == nil {
		return
	}
	to.describe(item.CallID, kind)
	if item.Name != "" {
		a.set(&to.name, item.Name)
	}
	if arguments := item.Arguments + item.Input; arguments != "" {
		a.set(&to.arguments, arguments)
	}
}
