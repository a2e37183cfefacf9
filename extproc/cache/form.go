package cache

import (
	"bytes"
	"fmt"

	"tollgate/extproc/openai"
	"tollgate/extproc/openai/convert"
)

// Form is an answer as one client gets it.
type Form struct {
	*Entry

	Stream      bool
	ContentType string
	Body        []byte
}

// As gives the answer in the form that a request asks for: as it was sent, where it was asked for in the
// same form, else turned into the other. The error wraps [convert.ErrNotConvertible].
func (e *Entry) As(asked *openai.Request) (*Form, error) {
	form := &Form{Entry: e, Stream: asked.Stream, ContentType: e.ContentType, Body: e.Body}
	usage := asked.IncludesUsage()
	if e.Stream == asked.Stream && (!e.Stream || e.ToldUsage == usage) {
		return form, nil
	}
	switch {
	case e.Stream && !asked.Stream:
		body, err := convert.PlainFromStream(asked.API, [][]byte{e.Body})
		if err != nil {
			return nil, fmt.Errorf("turning a stream into a plain answer: %w", err)
		}
		form.Body, form.ContentType = body, "application/json"
	case e.Stream:
		told := &e.Usage
		if e.Usage.Total == 0 {
			told = nil
		}
		form.Body = bytes.Join(convert.WithUsage(asked.API, convert.Split(e.Body), usage, told), nil)
	default:
		events, err := convert.StreamFromPlain(asked.API, e.Body, convert.Options{IncludeUsage: usage})
		if err != nil {
			return nil, fmt.Errorf("turning a plain answer into a stream: %w", err)
		}
		form.Body, form.ContentType = bytes.Join(events, nil), "text/event-stream; charset=utf-8"
	}
	return form, nil
}
