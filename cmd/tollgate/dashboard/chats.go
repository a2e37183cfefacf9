package dashboard

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"tollgate/extproc/exchange"
	"tollgate/extproc/openai"
)

const (
	// maxChats bounds what is kept of all chats, in bytes, and maxChat what is of one line, or one answer.
	maxChats, maxChat = 32 << 20, 256 << 10
)

// Chats keeps the latest chats, as the chat log has them: what that leaves out or redacts is not here either.
type Chats struct {
	most int  // chats
	live bool // answers can be watched as they arrive: there are no rules that need the whole of them

	mu    sync.Mutex
	held  int
	byID  map[string]*chat
	order []*chat // the oldest first
}

// NewChats keeps so many chats. Where an answer must be whole before it may be shown, live is false.
func NewChats(most int, live bool) *Chats {
	return &Chats{most: most, live: live, byID: map[string]*chat{}}
}

// chat is one of them.
type chat struct {
	chats *Chats
	call  *exchange.Call

	mu        sync.Mutex
	model     string
	request   json.RawMessage
	answer    json.RawMessage
	assembler *openai.Assembler // nil: the answer is not watched, or has ended
	end       exchange.End
	usage     *openai.Usage
	ended     bool
	changed   chan struct{} // closed when something has
}

// Begin begins a chat. It is shown once its request was recorded.
func (c *Chats) Begin(call *exchange.Call) *Listener {
	made := &chat{chats: c, call: call, changed: make(chan struct{})}
	if c.live {
		made.assembler = openai.NewAssembler(openai.APIOf(call.Path))
		made.assembler.MaxAnswer = maxChat
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.byID[call.ID] = made
	return &Listener{made}
}

// Line takes a line of the chat log.
func (c *Chats) Line(call *exchange.Call, answer bool, line []byte) {
	c.mu.Lock()
	made := c.byID[call.ID]
	c.mu.Unlock()
	if made == nil {
		return
	}
	line = bytes.TrimSpace(line)
	if len(line) > maxChat {
		line = []byte(`{"too_large":"the chat log has it"}`)
	}
	isNew, grown := made.take(answer, bytes.Clone(line))
	c.keep(made, isNew, grown)
}

// keep makes room for a chat that has grown.
func (c *Chats) keep(made *chat, isNew bool, grown int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byID[made.call.ID] != made {
		return // it had to make room itself
	}
	if isNew {
		c.order = append(c.order, made)
	}
	c.held += grown
	for len(c.order) > c.most || c.held > maxChats && len(c.order) > 1 {
		oldest := c.order[0]
		c.held -= oldest.size()
		c.order = append(c.order[:0], c.order[1:]...)
		delete(c.byID, oldest.call.ID)
	}
}

// forget drops a chat that was never recorded.
func (c *Chats) forget(made *chat) {
	if made.shown() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.byID, made.call.ID)
}

// find gives a chat that is shown.
func (c *Chats) find(id string) *chat {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	made := c.byID[id]
	if made == nil || !made.shown() {
		return nil
	}
	return made
}

// search gives the chats in which a text is, newest first.
func (c *Chats) search(text string, most int) []Chat {
	found := []Chat{}
	if c == nil {
		return found
	}
	c.mu.Lock()
	order := append([]*chat{}, c.order...)
	c.mu.Unlock()
	text = strings.ToLower(text)
	for i := len(order) - 1; i >= 0 && len(found) < most; i-- {
		if order[i].holds(text) {
			shown := order[i].show()
			shown.Request, shown.Answer, shown.Text = nil, nil, ""
			found = append(found, shown)
		}
	}
	return found
}

func (h *chat) size() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.request) + len(h.answer)
}

func (h *chat) shown() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.request != nil
}

// take takes a line, and tells whether it is the first, and by how much the chat has grown.
func (h *chat) take(answer bool, line []byte) (isNew bool, grown int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	defer h.wake()
	if answer {
		grown, h.answer = len(line)-len(h.answer), line
		return false, grown
	}
	isNew = h.request == nil
	grown, h.request = len(line)-len(h.request), line
	return isNew, grown
}

// wake tells who follows that something has changed. The lock is held.
func (h *chat) wake() {
	close(h.changed)
	h.changed = make(chan struct{})
}

func (h *chat) holds(text string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, in := range []string{h.call.ID, h.call.Client, h.call.Route, h.model, string(h.request), string(h.answer)} {
		if strings.Contains(strings.ToLower(in), text) {
			return true
		}
	}
	return false
}

// Chat is a chat, as it is shown.
type Chat struct {
	ID       string          `json:"id"`
	At       time.Time       `json:"at"`
	Client   string          `json:"client"`
	Route    string          `json:"route"`
	API      string          `json:"api"`
	Model    string          `json:"model"`
	Excerpt  string          `json:"excerpt"` // what was asked last
	Running  bool            `json:"running"`
	Status   int             `json:"status"`
	Cause    string          `json:"cause"`
	Cache    string          `json:"cache,omitempty"`
	Took     float64         `json:"took_seconds"`
	Input    int             `json:"input_tokens"`
	Output   int             `json:"output_tokens"`
	Cost     float64         `json:"cost_usd"`
	Priced   bool            `json:"priced"`
	Request  json.RawMessage `json:"request,omitempty"` // the lines of the chat log
	Answer   json.RawMessage `json:"answer,omitempty"`
	Text     string          `json:"text,omitempty"` // of the answer, as far as it has come
	Watching bool            `json:"live"`           // whether it can be watched as it comes
}

func (h *chat) show() Chat {
	h.mu.Lock()
	defer h.mu.Unlock()
	shown := Chat{
		ID: h.call.ID, At: h.call.Began, Client: h.call.Client, Route: h.call.Route, API: string(openai.APIOf(h.call.Path)),
		Model: h.model, Excerpt: excerpt(h.request), Running: !h.ended, Status: h.end.Status, Cause: string(h.end.Cause),
		Cache: string(h.call.Cache), Cost: float64(h.end.Cost) / 1e9, Priced: h.end.Priced,
		Request: h.request, Answer: h.answer, Text: h.text(), Watching: h.chats.live,
	}
	if h.ended {
		shown.Took = h.end.Last.Sub(h.call.Began).Seconds()
	}
	if h.usage != nil {
		shown.Input, shown.Output = h.usage.Prompt, h.usage.Completion
	}
	return shown
}

// text is what has come of the first answer. The lock is held.
func (h *chat) text() string {
	if h.assembler == nil {
		return ""
	}
	answer := h.assembler.Answer()
	if len(answer.Choices) == 0 {
		return ""
	}
	return answer.Choices[0].Text
}
