// Package openai knows the wire format of OpenAI-style APIs (and Anthropic's messages): which API a
// path is, what a request asks, and how the pieces of a streamed answer make a whole one.
//
//   - [APIOf] names the API of a path.
//   - [ParseRequest] reads a request's body.
//   - [Reader] splits an answer's bytes, however they are cut, into [Event]s.
//   - [Decoder] undoes an answer's content-encoding before that.
//   - [Assembler] puts events together as the official SDKs do.
//
// It imports nothing of ours, and never fails a request: what it does not understand it leaves out.
package openai

import "encoding/json"

// API is one of the APIs that Tollgate reads.
type API string

// The APIs, by the end of their path.
const (
	Chat           API = "chat"           // /chat/completions
	Completions    API = "completions"    // /completions
	Responses      API = "responses"      // /responses
	Embeddings     API = "embeddings"     // /embeddings
	Transcriptions API = "transcriptions" // /audio/transcriptions, /audio/translations
	Messages       API = "messages"       // /messages, Anthropic's
	Other          API = ""               // all else
)

// Request is what a request's body asks.
type Request struct {
	API    API
	Model  string
	Stream bool

	// Repeated: the body names a model more than once. Model is the last one, which is what most
	// upstreams take.
	Repeated bool

	// Fields are the body's top-level members as they were sent. For a multipart body (audio) they
	// are its form fields as JSON strings, without files.
	Fields map[string]json.RawMessage
}

// Event is a server-sent event of an answer, or the whole body of one that is not a stream.
type Event struct {
	Name  string // the event field; empty for most
	Data  []byte // valid only until the call that hands it over returns
	Whole bool   // Data is a whole body, not an event
}

// Answer is an answer put together.
type Answer struct {
	ID       string
	Model    string // as the upstream names it
	Choices  []Choice
	Usage    *Usage          // nil: the upstream did not tell
	Error    json.RawMessage // the error object of an answer or event that holds one
	Finished bool            // the stream's own end was seen ([DONE], message_stop, response.completed), or a whole body was valid JSON

	// Truncated: the upstream sent more than was kept.
	Truncated bool
}

// Choice is one of the answers to the same question.
type Choice struct {
	Index        int
	Role         string
	Text         string // content
	Refusal      string
	Reasoning    string // reasoning_content or thinking, where an upstream streams it
	ToolCalls    []ToolCall
	FunctionCall *Function       // the older form
	Audio        json.RawMessage // id, transcript, expires_at, and data put together
	FinishReason string
}

// ToolCall is a call that the model asks for.
type ToolCall struct {
	Index    int      `json:"-"`
	ID       string   `json:"id"`
	Type     string   `json:"type"`
	Function Function `json:"function"`
}

// Function is a function's name and its arguments, JSON as text.
type Function struct {
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
}

// Usage is what an answer cost, in tokens. Cached and Reasoning are parts of Prompt and Completion.
type Usage struct {
	Prompt, Completion, Total int
	Cached, Reasoning         int
}
