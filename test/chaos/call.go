package chaos

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"tollgate/test/limitcheck"
)

// What calls ask for.
const (
	Chat             = "chat"
	Stream           = "stream"
	Completion       = "completion"
	CompletionStream = "completion-stream"
	Embedding        = "embedding"
	Echo             = "echo" // an API that nobody reads
)

// How clients behave.
const (
	Patient  = "patient"
	Slow     = "slow"     // reads slowly
	Leaving  = "leaving"  // goes when it has read so many bytes
	Torn     = "torn"     // goes in the middle of its own body
	Stranger = "stranger" // shows a key that nobody has
)

// Call is one call that is to be made.
type Call struct {
	Name       string
	At         time.Duration
	Client     string // empty: without a key, or with a wrong one
	Route      string // a prefix of ours; empty: one of limitcheck's
	Kind       string
	Model      string
	Prompt     string
	Size       int // so many bytes more of the prompt
	Events     int // words of the answer
	Interval   time.Duration
	HTTP2      bool
	Behaviour  string
	LeaveAfter int
	Faults     []Fault           // of the upstream, attempt by attempt; those that follow go well
	Query      *limitcheck.Query // nil: no limit is about it
}

// Streams tells whether the answer is to be a stream.
func (c *Call) Streams() bool { return c.Kind == Stream || c.Kind == CompletionStream }

// Path is what is asked for.
func (c *Call) Path() string {
	if c.Query != nil {
		return c.Query.Path
	}
	switch c.Kind {
	case Chat, Stream:
		return c.Route + "/v1/chat/completions"
	case Embedding:
		return c.Route + "/v1/embeddings"
	}
	return c.Route + "/v1/completions"
}

// Body is what is sent. By the user the call's lines are found in the chat log.
func (c *Call) Body() string {
	prompt := c.Prompt + strings.Repeat(" more", c.Size/len(" more"))
	fields := map[string]any{"model": c.Model, "user": c.Name}
	switch c.Kind {
	case Chat, Stream:
		fields["messages"] = []any{map[string]any{"role": "user", "content": prompt}}
	case Embedding:
		fields["input"] = prompt
	default:
		fields["prompt"] = prompt
	}
	if c.Streams() {
		fields["stream"] = true
	}
	if c.Query != nil {
		if c.Query.MaxAsked > 0 {
			fields["max_tokens"] = c.Query.MaxAsked
		}
		if c.Query.Answers > 0 {
			fields["n"] = c.Query.Answers
		}
		if c.Streams() {
			fields["stream_options"] = map[string]any{"include_usage": true}
		}
	}
	body, err := json.Marshal(fields)
	if err != nil {
		panic(fmt.Sprintf("bug: a call that is no JSON: %v", err))
	}
	return string(body)
}

// SharesWith tells whether a call may be answered by what another was answered.
func (c *Call) SharesWith(other *Call) bool {
	if c == other {
		return true
	}
	form := map[string]string{Chat: Chat, Stream: Chat, Completion: Completion, CompletionStream: Completion, Embedding: Embedding}
	same := c.Route == other.Route && form[c.Kind] == form[other.Kind] && c.Model == other.Model && c.Prompt == other.Prompt && c.Size == other.Size
	return same && (c.Route == "/shared" || c.Route == "/private" && c.Client == other.Client)
}

func (c *Call) String() string {
	text := fmt.Sprintf("%s at %v: %s %s %s by %q, %s", c.Name, c.At.Round(time.Millisecond), c.Kind, c.Path(), c.Model, c.Client, c.Behaviour)
	if c.HTTP2 {
		text += ", h2"
	}
	if len(c.Faults) > 0 {
		text += fmt.Sprintf(", faults %v", c.Faults)
	}
	return text
}
