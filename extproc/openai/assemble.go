package openai

import (
	"bytes"
	"encoding/json"
	"errors"
)

const (
	defaultMaxAnswer = 16 << 20
	maxChoices       = 128     // what OpenAI allows for n
	maxCalls         = 1024    // tool calls of an answer
	maxShort         = 1 << 10 // bytes of an id, a model's name, a finish reason
	maxError         = 64 << 10
)

// done is the data of the event that ends OpenAI's streams.
var done = []byte("[DONE]")

// Assembler puts the events of one answer together, as the official SDKs do. What it does not know
// or cannot read it leaves out. It keeps nothing of an event's data.
type Assembler struct {
	// MaxAnswer is how many bytes of text, arguments and audio are kept. What is beyond is cut off, and
	// the answer is Truncated. 0 means 16 MiB.
	MaxAnswer int

	// Bare leaves out what was said, where the API is [Chat] or [Completions]: the answer has no choices. It is for who
	// must know no more than how it ended and what it took, which takes a fraction of the time.
	Bare bool

	api       API
	read      func(*Assembler, *Event) error
	answer    Answer // but for the choices
	choices   []*choice
	calls     int // tool calls in all choices
	spent     int // bytes of text in all choices
	malformed int
}

// NewAssembler returns an assembler of answers of an API. Those of [Other] it does not read.
func NewAssembler(api API) *Assembler {
	a := &Assembler{api: api}
	switch api {
	case Chat, Completions:
		a.read = (*Assembler).readChat
	case Responses:
		a.read = (*Assembler).readResponses
	case Embeddings:
		a.read = (*Assembler).readEmbeddings
	case Transcriptions:
		a.read = (*Assembler).readTranscription
	case Messages:
		a.read = (*Assembler).readMessages
	case Other:
		a.read = func(*Assembler, *Event) error { return nil }
	}
	return a
}

// Malformed is how many events, or whole bodies, were not the JSON that they should have been.
func (a *Assembler) Malformed() int { return a.malformed }

// Answer returns what was put together so far.
func (a *Assembler) Answer() *Answer {
	answer := a.answer
	answer.Usage = clone(a.answer.Usage)
	for _, c := range a.choices {
		answer.Choices = append(answer.Choices, c.finished())
	}
	return &answer
}

// Add takes the next event, or the whole body. The SDKs stop reading at the stream's end and at an
// error; so does Add.
func (a *Assembler) Add(event *Event) {
	data := bytes.TrimSpace(event.Data)
	if !event.Whole && bytes.HasPrefix(data, done) {
		a.answer.Finished = true
		return
	}
	if len(data) == 0 || a.answer.Finished || a.answer.Error != nil {
		return
	}
	if err := a.read(a, event); err != nil {
		a.malformed++
		return
	}
	if event.Whole && a.api != Other {
		a.answer.Finished = true
	}
}

// decode reads what a format knows of an event. A member of another type than expected is left out,
// the others count.
func decode(event *Event, into any) error {
	data := event.Data
	if event.Whole {
		data = unlist(data)
	}
	if trimmed := bytes.TrimSpace(data); len(trimmed) == 0 || trimmed[0] != '{' {
		return errNotObject
	}
	err := json.Unmarshal(data, into)
	if _, wrong := errors.AsType[*json.UnmarshalTypeError](err); err == nil || wrong {
		return nil
	}
	return errNotObject
}

// unlist takes an error out of the list of one that Google's upstreams put it in.
func unlist(data []byte) []byte {
	trimmed := bytes.TrimSpace(data)
	if len(trimmed) == 0 || trimmed[0] != '[' {
		return data
	}
	var list []json.RawMessage
	if json.Unmarshal(trimmed, &list) != nil || len(list) != 1 {
		return data
	}
	return list[0]
}

// head is what all answers and events have at their top.
type head struct {
	ID     string          `json:"id"`
	Model  string          `json:"model"`
	Object string          `json:"object"`
	Usage  *usage          `json:"usage"`
	Error  json.RawMessage `json:"error"`
}

// addHead takes the first id, the last model, the last usage that says something.
func (a *Assembler) addHead(h *head, event *Event) {
	if a.answer.ID == "" {
		keep(&a.answer.ID, h.ID)
	}
	keep(&a.answer.Model, h.Model)
	a.addUsage(h.Usage)
	if h.Object == "error" && len(h.Error) == 0 {
		h.Error = bytes.TrimSpace(event.Data) // vLLM's older form: the body is the error
	}
	a.addError(h.Error)
}

// addError takes an error that is one: some upstreams send "error": null with each event.
func (a *Assembler) addError(raw json.RawMessage) {
	switch string(raw) {
	case "", "null", `""`, "{}", "[]", "false", "0":
		return
	}
	if len(raw) > maxError {
		a.answer.Truncated = true
		raw = json.RawMessage(`{"message":"an error too long to be kept"}`)
	}
	a.answer.Error = bytes.Clone(raw)
}

// choice returns the builder of the choice with an index, or nil if there may not be one.
func (a *Assembler) choice(index int) *choice {
	at := len(a.choices)
	for at > 0 && a.choices[at-1].index > index {
		at--
	}
	if at > 0 && a.choices[at-1].index == index {
		return a.choices[at-1]
	}
	if index < 0 || index >= maxChoices {
		a.answer.Truncated = true
		return nil
	}
	c := &choice{index: index}
	a.choices = append(a.choices, nil)
	copy(a.choices[at+1:], a.choices[at:])
	a.choices[at] = c
	return c
}

// add appends text, as far as there is room for it.
func (a *Assembler) add(to *[]byte, s string) {
	limit := a.MaxAnswer
	if limit <= 0 {
		limit = defaultMaxAnswer
	}
	if left := limit - a.spent; len(s) > left {
		a.answer.Truncated = true
		s = cut(s, left)
	}
	a.spent += len(s)
	*to = append(*to, s...)
}

// set replaces text.
func (a *Assembler) set(to *[]byte, s string) {
	a.spent -= len(*to)
	*to = (*to)[:0]
	a.add(to, s)
}
