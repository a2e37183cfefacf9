package cache

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"tollgate/extproc/openai"
)

// Storable returns nil for an answer that may be given again: one that is whole and a success. Body is all
// of it, and answer is what was read of it. What is not known to be both is neither: the error says what is
// amiss, and does not quote the answer.
func Storable(api openai.API, status int, answer *openai.Answer, stream bool, body []byte) error {
	switch {
	case status != http.StatusOK:
		return fmt.Errorf("its status is %d", status)
	case answer == nil || !answer.Finished:
		return errors.New("it has no end")
	case answer.Error != nil:
		return errIsError
	case answer.Truncated:
		return errors.New("it is too large to be looked through")
	case stream:
		return storableStream(api, body)
	}
	root := gjson.ParseBytes(body) // that it is valid is known: else the answer would have no end
	if !root.IsObject() {
		return errNotObject
	}
	return storablePlain(api, root)
}

var (
	errNotObject = errors.New("it is not a JSON object")
	errIsError   = errors.New("it holds an error")
)

func storablePlain(api openai.API, root gjson.Result) error {
	if err := noError(root); err != nil {
		return err
	}
	switch api {
	case openai.Chat, openai.Completions:
		return chatWhole(api, root)
	case openai.Responses:
		return responseWhole(root)
	case openai.Embeddings:
		return embeddingsWhole(root)
	case openai.Messages:
		return messageWhole(root)
	case openai.Transcriptions, openai.Other:
	}
	return errors.New("answers of its API are not kept")
}

func parseObject(data []byte) (gjson.Result, error) {
	if !openai.Valid(data) {
		return gjson.Result{}, errNotObject
	}
	root := gjson.ParseBytes(data)
	if !root.IsObject() {
		return gjson.Result{}, errNotObject
	}
	return root, nil
}

// noError finds an error in an object's members.
func noError(object gjson.Result) error { return look(object, func(string, gjson.Result) {}) }

// look shows an object's members, and finds an error among them. All of one name are looked at: SDKs do not agree on
// which of two counts.
func look(object gjson.Result, see func(name string, value gjson.Result)) (err error) {
	object.ForEach(func(name, value gjson.Result) bool {
		isError := name.Str == "error" && value.Type != gjson.Null
		isError = isError || (name.Str == "object" || name.Str == "type") && value.Str == "error"
		if isError {
			err = errIsError
			return false
		}
		see(name.Str, value)
		return true
	})
	return err
}

func chatWhole(api openai.API, root gjson.Result) error {
	seen := choices{}
	err := seen.add(root.Get("choices"), func(c *choice) error {
		if api == openai.Chat && !c.message.IsObject() {
			return errors.New("a choice has no message")
		}
		if api == openai.Completions && c.text.Type != gjson.String {
			return errors.New("a choice has no text")
		}
		return nil
	})
	if err != nil {
		return err
	}
	return seen.finished()
}

// choice is what is looked at of one.
type choice struct{ index, message, delta, text, reason gjson.Result }

func readChoice(from gjson.Result) (*choice, error) {
	if !from.IsObject() {
		return nil, errors.New("a choice is no object")
	}
	c, repeats := &choice{}, false
	note := func(member *gjson.Result, value gjson.Result) {
		repeats = repeats || member.Exists()
		*member = value
	}
	err := look(from, func(name string, value gjson.Result) {
		switch name {
		case "index":
			note(&c.index, value)
		case "message":
			note(&c.message, value)
		case "delta":
			note(&c.delta, value)
		case "text":
			note(&c.text, value)
		case "finish_reason":
			note(&c.reason, value)
		}
	})
	if err == nil && repeats {
		err = errors.New("a choice names something twice")
	}
	return c, err
}

// choices is why each choice ended, by index; empty: it has not.
type choices map[int64]string

// add notes the choices of a body or of a stream's event.
func (c choices) add(list gjson.Result, check func(*choice) error) (err error) {
	if !list.IsArray() {
		return errors.New("it has no list of choices")
	}
	list.ForEach(func(_, item gjson.Result) bool {
		var read *choice
		if read, err = readChoice(item); err == nil {
			err = check(read)
		}
		if err == nil {
			err = c.note(read)
		}
		return err == nil
	})
	return err
}

func (c choices) note(read *choice) error {
	index, reason := read.index, read.reason
	if index.Exists() && (index.Type != gjson.Number || index.Num != float64(index.Int())) {
		return errors.New("a choice's index is no whole number")
	}
	if reason.Type != gjson.Null && reason.Type != gjson.String {
		return errors.New("a finish_reason is no string")
	}
	if reason.Str != "" || c[index.Int()] == "" {
		c[index.Int()] = reason.Str
	}
	return nil
}

// finished tells whether all have ended, and well.
func (c choices) finished() error {
	if len(c) == 0 {
		return errors.New("it has no choice")
	}
	for index, reason := range c {
		if index < 0 || index >= int64(len(c)) {
			return errors.New("a choice is missing")
		}
		if err := endedWell(reason, chatEnds); err != nil {
			return err
		}
	}
	return nil
}

// Why an answer may have ended. What is not here was stopped: by a filter (content_filter, refusal), an
// upstream out of breath (insufficient_system_resource, abort, error), or for a reason that is not known
// yet. An answer as long as it was to be at most is what was asked for.
var (
	chatEnds = []string{
		"stop", "length", "tool_calls", "function_call", // OpenAI's, and then others' words for them
		"eos", "eos_token", "stop_sequence", "end_turn", "max_tokens", "model_length", "tool_use",
	}
	messageEnds = []string{"end_turn", "max_tokens", "stop_sequence", "tool_use", "model_context_window_exceeded"}
)

func endedWell(reason string, ends []string) error {
	if reason == "" {
		return errors.New("it does not say why it ended")
	}
	if !slices.Contains(ends, reason) {
		return errors.New("it was stopped")
	}
	return nil
}

// responseWhole wants a response that is completed, or as long as it was to be at most.
func responseWhole(root gjson.Result) error {
	ends := []string{"", "completed"}
	switch root.Get("status").Str {
	case "completed":
	case "incomplete":
		if root.Get("incomplete_details.reason").Str != "max_output_tokens" {
			return errors.New("it was stopped")
		}
		ends = append(ends, "incomplete")
	default:
		return errors.New("the response is not completed")
	}
	return eachOf(root.Get("output"), "output", func(item gjson.Result) error {
		if !slices.Contains(ends, item.Get("status").Str) {
			return errors.New("an item of its output is not completed")
		}
		return noError(item)
	})
}

// embeddingsWhole wants numbers, or their base64, in each embedding. Some upstreams write null for what is no
// number.
func embeddingsWhole(root gjson.Result) error {
	return eachOf(root.Get("data"), "data", func(item gjson.Result) error {
		vector := item.Get("embedding")
		switch {
		case vector.Type == gjson.String && vector.Str != "":
			return nil
		case vector.IsArray() && strings.Trim(vector.Raw, "[] \t\r\n") != "" && !strings.ContainsAny(vector.Raw[1:], `"{[ntf`):
			return nil
		}
		return errors.New("an embedding is missing")
	})
}

func messageWhole(root gjson.Result) error {
	if root.Get("type").Str != "message" || !root.Get("content").IsArray() {
		return errors.New("it is not a message")
	}
	return endedWell(root.Get("stop_reason").Str, messageEnds)
}

// eachOf checks the objects in a list, which must not be empty.
func eachOf(list gjson.Result, name string, check func(gjson.Result) error) (err error) {
	if !list.IsArray() || !list.Get("0").Exists() {
		return fmt.Errorf("it has no %s", name)
	}
	list.ForEach(func(_, item gjson.Result) bool {
		if err = check(item); err == nil && !item.IsObject() {
			err = fmt.Errorf("there is something else than objects in its %s", name)
		}
		return err == nil
	})
	return err
}
