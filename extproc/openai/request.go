package openai

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"strings"

	"github.com/tidwall/gjson"
)

// maxForm bounds how many parts of a form are read: each costs more than the bytes it was sent in.
const maxForm = 1000

// byteOrderMark is what some clients on Windows begin a file with; Python's JSON reader skips it too.
var byteOrderMark = []byte("\xef\xbb\xbf")

// ParseRequest reads a request's body. A body that is not a form is read as JSON, whatever its
// content-type says: upstreams do the same, and a rule about models must see what they see. The error
// says what was wrong and never quotes the body.
func ParseRequest(api API, contentType string, body []byte) (*Request, error) {
	r := &Request{API: api}
	if err := r.parseFields(contentType, body); err != nil {
		return nil, err
	}
	// What is not a string is no model's name: whoever needs one misses it.
	if json.Unmarshal(r.Fields["model"], &r.Model) != nil {
		r.Model = ""
	}
	r.Stream = IsTrue(string(r.Fields["stream"]))
	return r, nil
}

// IncludesUsage tells whether the request asks for a stream's usage (stream_options.include_usage).
func (r *Request) IncludesUsage() bool {
	return r.Stream && gjson.GetBytes(r.Fields["stream_options"], "include_usage").Bool()
}

// IsTrue tells whether a member's JSON is true, or a string that upstreams take for it.
func IsTrue(raw string) bool {
	switch raw {
	case "true", `"true"`, `"True"`, `"1"`:
		return true
	}
	return false
}

func (r *Request) parseFields(contentType string, body []byte) error {
	kind, parameters, err := mime.ParseMediaType(contentType)
	if !strings.EqualFold(kind, "multipart/form-data") {
		return r.parseObject(bytes.TrimPrefix(body, byteOrderMark))
	}
	if err != nil || parameters["boundary"] == "" {
		return errors.New("the content-type is multipart/form-data, but has no usable boundary")
	}
	return r.parseForm(multipart.NewReader(bytes.NewReader(body), parameters["boundary"]))
}

// parseObject takes an object's members as they are, the last of two with one name, as Python,
// JavaScript and Go upstreams do.
func (r *Request) parseObject(body []byte) error {
	if !Valid(body) {
		return objectError(body)
	}
	root := gjson.ParseBytes(body)
	if !root.IsObject() {
		return objectError(body)
	}
	r.Fields = map[string]json.RawMessage{}
	root.ForEach(func(name, value gjson.Result) bool {
		_, known := r.Fields[name.Str]
		r.Repeated = r.Repeated || known && name.Str == "model"
		r.Fields[name.Str] = json.RawMessage(value.Raw)
		return true
	})
	return nil
}

// objectError says why a body is no JSON object.
func objectError(body []byte) error {
	trimmed := bytes.TrimLeft(body, " \t\r\n")
	if len(trimmed) == 0 {
		return errors.New("the body is empty; a JSON object is expected")
	}
	var none struct{}
	if bad, ok := errors.AsType[*json.SyntaxError](json.Unmarshal(body, &none)); ok {
		return fmt.Errorf("the body is not valid JSON: it goes wrong at byte %d of %d", bad.Offset, len(body))
	}
	if trimmed[0] == '{' {
		return errors.New("the body is not valid JSON")
	}
	return fmt.Errorf("the body is JSON, but %s where an object is expected", kindOf(trimmed[0]))
}

// kindOf names a JSON value by its first byte.
func kindOf(first byte) string {
	switch first {
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}

// parseForm reads a form's fields as JSON strings, and passes over its files. Of two with one name
// the last counts, unless the name says that it is a list (timestamp_granularities[]): an array then.
func (r *Request) parseForm(form *multipart.Reader) error {
	values := map[string][]string{}
	for n := 0; ; n++ {
		part, err := form.NextRawPart()
		if errors.Is(err, io.EOF) && n > 0 {
			return r.formFields(values)
		}
		if err != nil {
			return fmt.Errorf("the body is not a valid form: it goes wrong at part %d", n+1)
		}
		if n == maxForm {
			return fmt.Errorf("the form has more than %d parts", maxForm)
		}
		if part.FormName() == "" || part.FileName() != "" {
			continue
		}
		value, err := io.ReadAll(part)
		if err != nil {
			return fmt.Errorf("the body is not a valid form: part %d has no end", n+1)
		}
		values[part.FormName()] = append(values[part.FormName()], string(value))
	}
}

func (r *Request) formFields(values map[string][]string) error {
	r.Repeated = len(values["model"]) > 1
	r.Fields = make(map[string]json.RawMessage, len(values))
	for name, list := range values {
		var value any = list[len(list)-1]
		if strings.HasSuffix(name, "[]") {
			value = list
		}
		raw, err := json.Marshal(value)
		if err != nil {
			return fmt.Errorf("a form field cannot be read: %w", err)
		}
		r.Fields[name] = raw
	}
	return nil
}
