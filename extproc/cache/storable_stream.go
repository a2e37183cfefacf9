package cache

import (
	"bytes"
	"errors"

	"github.com/tidwall/gjson"

	"tollgate/extproc/openai"
)

// storableStream wants each line to be one of an event, each event to be as its API has them, its own end at
// the end, and nothing after that.
func storableStream(api openai.API, body []byte) error {
	var add func(event gjson.Result, kind string) error
	check := streamCheck{choices: choices{}, blocks: map[string]bool{}}
	switch api {
	case openai.Chat, openai.Completions:
		add = check.chat
	case openai.Responses:
		add = check.response
	case openai.Messages:
		add = check.message
	case openai.Embeddings, openai.Transcriptions, openai.Other:
		return errors.New("streams of its API are not kept")
	}
	if err := eventLines(body); err != nil {
		return err
	}
	var err error
	look := func(event *openai.Event) {
		if err == nil {
			err = check.add(event, add)
		}
	}
	var reader openai.Reader
	reader.Feed(body, look)
	reader.Close(look)
	switch {
	case err != nil:
		return err
	case reader.Dropped() > 0:
		return errors.New("an event is too large")
	case !check.ended:
		return errors.New("it breaks off")
	}
	return nil
}

// eventLines wants each line to be a field of an event or a comment: some upstreams write an error's JSON
// into the stream as it is, and readers of events pass over it.
func eventLines(body []byte) error {
	for len(body) > 0 {
		line := body
		if end := bytes.IndexAny(body, "\r\n"); end >= 0 {
			line, body = body[:end], body[end+1:]
		} else {
			body = nil
		}
		name, _, _ := bytes.Cut(line, []byte(":"))
		switch string(name) {
		case "", "data", "event", "id", "retry":
		default:
			return errors.New("it has lines that belong to no event")
		}
	}
	return nil
}

// streamCheck is what was seen of a stream so far.
type streamCheck struct {
	choices choices
	ended   bool

	// Of Anthropic's streams:
	started bool
	blocks  map[string]bool // by index: whether they are open
	stopped string          // the stop_reason
}

// add takes the next event. Upstreams that end a stream in their API's own way may send a [DONE] as well.
func (c *streamCheck) add(event *openai.Event, read func(event gjson.Result, kind string) error) error {
	data := bytes.TrimSpace(event.Data)
	if string(data) == "[DONE]" {
		return c.done()
	}
	if c.ended {
		return errors.New("it goes on after its end")
	}
	root, err := parseObject(data)
	if err != nil {
		return errors.New("an event is not a JSON object")
	}
	if event.Name == "error" {
		return errIsError
	}
	if err := noError(root); err != nil {
		return err
	}
	kind := root.Get("type").Str
	if kind == "" {
		kind = event.Name
	}
	return read(root, kind)
}

// done ends a chat; other streams have ended already.
func (c *streamCheck) done() error {
	if c.ended {
		return nil
	}
	c.ended = true
	return c.choices.finished()
}

// chat takes a chunk. One without choices must at least tell the usage.
func (c *streamCheck) chat(chunk gjson.Result, _ string) error {
	list := chunk.Get("choices")
	if list.Type == gjson.Null && chunk.Get("usage").IsObject() {
		return nil
	}
	return c.choices.add(list, func(of *choice) error {
		if of.delta.Type != gjson.Null && !of.delta.IsObject() {
			return errors.New("a delta is no object")
		}
		return nil
	})
}

func (c *streamCheck) response(event gjson.Result, kind string) error {
	switch kind {
	case "":
		return errors.New("an event has no type")
	case "response.failed", "response.cancelled":
		return errIsError
	case "response.completed", "response.incomplete":
		c.ended = true
		response := event.Get("response")
		if !response.IsObject() {
			return errors.New("its last event has no response")
		}
		return storablePlain(openai.Responses, response)
	}
	return nil
}

func (c *streamCheck) message(event gjson.Result, kind string) error {
	index := event.Get("index").Raw
	switch kind {
	case "":
		return errors.New("an event has no type")
	case "message_start":
		c.started = true
	case "content_block_start":
		c.blocks[index] = true
	case "content_block_delta":
		if !c.blocks[index] {
			return errors.New("a delta belongs to no block")
		}
	case "content_block_stop":
		c.blocks[index] = false
	case "message_delta":
		if reason := event.Get("delta.stop_reason").Str; reason != "" {
			c.stopped = reason
		}
	case "message_stop":
		return c.messageEnd()
	}
	return nil
}

func (c *streamCheck) messageEnd() error {
	c.ended = true
	if !c.started {
		return errors.New("its beginning is missing")
	}
	for _, open := range c.blocks {
		if open {
			return errors.New("a block breaks off")
		}
	}
	return endedWell(c.stopped, messageEnds)
}
