// Package convert turns an answer that was streamed into the plain body that the same upstream would
// have sent, and a plain body into a stream, so that one stored answer serves clients of either kind.
//
//   - [PlainFromStream] and [StreamFromPlain] are the two ways.
//   - [WithUsage] gives a stored stream the usage event that its reader asked for, or takes it out.
//   - [Split] cuts a stored stream into its events.
//
// Values travel as they were written: numbers, escapes and the order of members do not change. What is
// not known for sure is not converted, see [ErrNotConvertible].
package convert

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"tollgate/extproc/openai"
)

// ErrNotConvertible is the error of an answer that has no other form, or none that is surely right:
// spoken answers, item types that are not known, answers that are not whole, errors. What it is wrapped
// in says why, and never quotes the answer.
var ErrNotConvertible = errors.New("the answer cannot be converted")

// Options are what a request for a stream asks beside the answer.
type Options struct {
	// IncludeUsage: the request's stream_options.include_usage. Chats and completions alone have it.
	IncludeUsage bool
}

// PlainFromStream makes the plain body of a stream. The stream may be cut into pieces anywhere, but it
// must be whole: to its [DONE], message_stop, response.completed or response.incomplete. All errors
// are [ErrNotConvertible].
func PlainFromStream(api openai.API, stream [][]byte) ([]byte, error) {
	switch api {
	case openai.Chat, openai.Completions:
		return chatPlain(api, stream)
	case openai.Responses:
		return responsePlain(stream)
	case openai.Messages:
		return messagePlain(stream)
	case openai.Embeddings, openai.Transcriptions, openai.Other:
	}
	return nil, refuse("its API is not converted")
}

// StreamFromPlain makes the events of a plain body, each with the blank line at its end. Texts come in
// pieces that end with a word or, where the body has log probabilities, with a token. All errors are
// [ErrNotConvertible].
//
// [PlainFromStream] makes the same body of them, but that a message without role or content gets them
// (assistant, null), tool calls lose their own index, and usage is left out unless it was asked for.
func StreamFromPlain(api openai.API, body []byte, o Options) ([][]byte, error) {
	answer, err := parseBody(body)
	if err != nil {
		return nil, err
	}
	switch api {
	case openai.Chat, openai.Completions:
		return chatStream(api, answer, o)
	case openai.Responses:
		return responseStream(answer)
	case openai.Messages:
		return messageStream(answer)
	case openai.Embeddings, openai.Transcriptions, openai.Other:
	}
	return nil, refuse("its API is not converted")
}

func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrNotConvertible}, args...)...)
}

// parseBody reads a whole body. It takes the line ends out of it: those of an event are its end.
func parseBody(body []byte) (object, error) {
	if bytes.ContainsAny(body, "\r\n") {
		var line bytes.Buffer
		if json.Compact(&line, body) != nil {
			return nil, refuse("the body is not JSON")
		}
		body = line.Bytes()
	}
	if !openai.Valid(body) {
		return nil, refuse("the body is not JSON")
	}
	return parseObject(string(body), "the body")
}

// eachEvent calls back with the data of each event, which is valid JSON, up to the end of the stream.
// It tells whether [DONE] was seen: nothing after it counts.
func eachEvent(stream [][]byte, each func(name, data string) error) (done bool, err error) {
	var reader openai.Reader
	take := func(event *openai.Event) {
		data := bytes.TrimSpace(event.Data)
		if err != nil || done || len(data) == 0 {
			return
		}
		if string(data) == "[DONE]" {
			done = true
			return
		}
		if !openai.Valid(data) {
			err = refuse("an event is not JSON")
			return
		}
		err = each(event.Name, string(data))
	}
	for _, piece := range stream {
		reader.Feed(piece, take)
	}
	reader.Close(take)
	if err == nil && reader.Dropped() > 0 {
		err = refuse("an event is too large")
	}
	return done, err
}
