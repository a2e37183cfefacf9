package chatlog

import (
	"bytes"
	"encoding/json"
	"regexp"
)

// redacted stands where a rule took something out.
const redacted = "[redacted]"

// line is one JSON object on its way into a file, its members in the order in which they are added.
type line struct {
	log *Log
	out bytes.Buffer
}

func (l *Log) newLine() *line {
	made := &line{log: l}
	made.out.WriteByte('{')
	return made
}

// add adds a member that rules may take out, or change.
func (l *line) add(name string, value any) {
	if l.log.drop[name] {
		return
	}
	encoded, err := encode(value)
	if err != nil {
		return // a member of a request that is no JSON cannot come this far
	}
	if len(l.log.options.Redact) > 0 {
		encoded = redact(encoded, l.log.options.Redact)
	}
	l.put(name, encoded)
}

// keep adds a member that is Tollgate's own.
func (l *line) keep(name string, value any) {
	if encoded, err := encode(value); err == nil {
		l.put(name, encoded)
	}
}

func (l *line) put(name string, encoded []byte) {
	if l.out.Len() > 1 {
		l.out.WriteByte(',')
	}
	key, _ := encode(name) // a string cannot fail
	l.out.Write(key)
	l.out.WriteByte(':')
	l.out.Write(encoded)
}

// end gives the line with its newline.
func (l *line) end() []byte {
	l.out.WriteString("}\n")
	return l.out.Bytes()
}

// encode writes JSON on one line, with letters such as < as they are.
func encode(value any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err //nolint:wrapcheck // the caller leaves the member out
	}
	encoded := bytes.TrimSuffix(out.Bytes(), []byte("\n"))
	if bytes.IndexByte(encoded, '\n') < 0 {
		return encoded, nil
	}
	var compact bytes.Buffer
	err := json.Compact(&compact, encoded) // a raw message keeps its own line ends
	return compact.Bytes(), err
}

// redact replaces what the rules match in every string of a JSON value. Names are left alone.
func redact(encoded []byte, rules []*regexp.Regexp) []byte {
	decoder := json.NewDecoder(bytes.NewReader(encoded))
	decoder.UseNumber()
	var value any
	if decoder.Decode(&value) != nil {
		return []byte(`"` + redacted + `"`)
	}
	changed, err := encode(redactValue(value, rules))
	if err != nil {
		return []byte(`"` + redacted + `"`)
	}
	return changed
}

func redactValue(value any, rules []*regexp.Regexp) any {
	switch v := value.(type) {
	case string:
		for _, rule := range rules {
			v = rule.ReplaceAllLiteralString(v, redacted)
		}
		return v
	case []any:
		for i := range v {
			v[i] = redactValue(v[i], rules)
		}
	case map[string]any:
		for name := range v {
			v[name] = redactValue(v[name], rules)
		}
	}
	return value
}
