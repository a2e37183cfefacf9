package cache

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"

	"github.com/tidwall/gjson"

	"tollgate/extproc/openai"
)

// Storable returns nil for an answer that may be given again: one that is whole and a success. body is all
// of it, answer what was read of it. The error says what is amiss, and does not quote the answer.
func Storable(api openai.API, status int, answer *openai.Answer, stream bool, body []byte) error {
	switch {
	case status != http.StatusOK:
		return fmt.Errorf("its status is %d", status)
	case answer.Error != nil:
		return errors.New("it is an error")
	case answer.Truncated:
		return errors.New("it is too large to be looked through")
	case !answer.Finished:
		return errors.New("it has no end")
	}
	if stream {
		if err := wellFormed(body); err != nil {
			return err
		}
	} else if !gjson.ValidBytes(body) || !gjson.ParseBytes(body).IsObject() {
		return errors.New("it is no JSON object")
	}
	switch api {
	case openai.Chat, openai.Completions:
		return finished(answer)
	case openai.Responses:
		return completed(stream, body)
	case openai.Embeddings:
		return embedded(body)
	case openai.Messages, openai.Transcriptions, openai.Other:
	}
	return errors.New("its API is not cached")
}

// wellFormed wants every event to be JSON, and nothing to come after the end.
func wellFormed(body []byte) error {
	var reader openai.Reader
	var err error
	done := false
	look := func(event *openai.Event) {
		data := bytes.TrimSpace(event.Data)
		switch {
		case len(data) == 0 || err != nil:
		case done:
			err = errors.New("it goes on after its end")
		case string(data) == "[DONE]":
			done = true
		case !gjson.ValidBytes(data):
			err = errors.New("an event is no JSON")
		case isError(gjson.GetBytes(data, "error")):
			err = errors.New("an event is an error")
		}
	}
	reader.Feed(body, look)
	reader.Close(look)
	if reader.Dropped() > 0 {
		return errors.New("an event is too large")
	}
	return err
}

// isError tells whether an event's member says that something went wrong.
func isError(member gjson.Result) bool {
	switch member.Raw {
	case "", "null", `""`, "{}", "[]", "false", "0":
		return false
	}
	return true
}

// finished wants every choice to have come to an end of its own.
func finished(answer *openai.Answer) error {
	if len(answer.Choices) == 0 {
		return errors.New("it has no choice")
	}
	for i, c := range answer.Choices {
		switch c.FinishReason {
		case "":
			return fmt.Errorf("choice %d has no finish_reason", c.Index)
		case "content_filter", "error", "insufficient_system_resource":
			return fmt.Errorf("choice %d was stopped", c.Index)
		}
		if c.Index != i {
			return fmt.Errorf("choice %d is missing", i)
		}
	}
	return nil
}

// completed wants a response that is complete, or as long as it was to be at most.
func completed(stream bool, body []byte) error {
	response := gjson.ParseBytes(body)
	if stream {
		var reader openai.Reader
		look := func(event *openai.Event) {
			if r := gjson.GetBytes(event.Data, "response"); r.IsObject() {
				response = gjson.Parse(string([]byte(r.Raw)))
			}
		}
		reader.Feed(body, look)
		reader.Close(look)
	}
	switch response.Get("status").Str {
	case "completed":
		return nil
	case "incomplete":
		if response.Get("incomplete_details.reason").Str == "max_output_tokens" {
			return nil
		}
	}
	return errors.New("the response is not completed")
}

// embedded wants an embedding for each input.
func embedded(body []byte) error {
	data := gjson.GetBytes(body, "data")
	whole := data.IsArray() && data.Get("#").Int() > 0
	data.ForEach(func(_, item gjson.Result) bool {
		embedding := item.Get("embedding")
		whole = whole && (embedding.IsArray() && embedding.Get("#").Int() > 0 || embedding.Str != "")
		return whole
	})
	if !whole {
		return errors.New("an embedding is missing")
	}
	return nil
}
