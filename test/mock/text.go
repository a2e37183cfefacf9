package mock

import (
	"encoding/json"
	"strings"
)

const (
	// created is when everything was made.
	created = 1_700_000_000

	fingerprint = "fp_mock"
)

// part is a piece of a message's content. Content is a string or a list of these.
type part struct {
	Text string `json:"text"`
}

// text reads content in any of the forms that the APIs allow; what is no text counts for nothing.
func text(content json.RawMessage) string {
	var plain string
	if json.Unmarshal(content, &plain) == nil {
		return plain
	}
	var parts []part
	if json.Unmarshal(content, &parts) != nil {
		return ""
	}
	words := make([]string, len(parts))
	for i, p := range parts {
		words[i] = p.Text
	}
	return strings.Join(words, " ")
}

// wordsFor is the mock's answer to a text: as many words as were ordered, each with the space
// before it, so that joined they are the whole.
func (c *call) wordsFor(asked string) []string {
	if c.orders.words != "" {
		return c.cycle(strings.Fields(c.orders.words))
	}
	return c.cycle(strings.Fields("The mock answers: " + asked))
}

// cycle gives words their spaces and repeats them up to the number that was ordered.
func (c *call) cycle(words []string) []string {
	n := len(words)
	if c.orders.events > 0 {
		n = c.orders.events
	}
	list := make([]string, n)
	for i := range list {
		list[i] = words[i%len(words)]
		if i > 0 {
			list[i] = " " + list[i]
		}
	}
	return list
}

// tokens counts words, which is near enough for a mock, and at least one.
func tokens(s string) int { return max(1, len(strings.Fields(s))) }

// usage is what OpenAI counts.
type usage struct {
	PromptTokens     int `json:"prompt_tokens"`
	CompletionTokens int `json:"completion_tokens"`
	TotalTokens      int `json:"total_tokens"`
}

func newUsage(prompt, completion int) *usage { return &usage{prompt, completion, prompt + completion} }
