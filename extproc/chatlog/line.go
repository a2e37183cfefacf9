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
	log     *Log
	out     bytes.Buffer
	encoder *json.Encoder // into out
}

func (l *Log) newLine() *line {
	made := &line{log: l}
	made.encoder = json.NewEncoder(&made.out)
	made.encoder.SetEscapeHTML(false)
	made.out.WriteByte('{')
	return made
}

// add adds a member that rules may take out, or change.
func (l *line) add(name string, value any) {
	if l.log.drop[name] {
		return
	}
	l.put(name, value, l.log.options.Redact)
}

// keep adds a member that is Tollgate's own.
func (l *line) keep(name string, value any) { l.put(name, value, nil) }

// put adds a member, as far as it is JSON: one of a request that is none cannot come this far.
func (l *line) put(name string, value any, rules []*regexp.Regexp) {
	before := l.out.Len()
	if before > 1 {
		l.out.WriteByte(',')
	}
	l.out.WriteByte('"')
	l.out.WriteString(name) // one of ours: a plain word
	l.out.WriteString(`":`)
	start := l.out.Len()
	if err := l.encode(value); err != nil {
		l.out.Truncate(before)
		return
	}
	if len(rules) > 0 {
		changed := redact(l.out.Bytes()[start:], rules)
		l.out.Truncate(start)
		l.out.Write(changed)
	}
}

// encode writes JSON on one line, with letters such as < as they are.
func (l *line) encode(value any) error {
	if raw, ok := value.(json.RawMessage); ok {
		return json.Compact(&l.out, raw) //nolint:wrapcheck // put leaves the member out
	}
	if err := l.encoder.Encode(value); err != nil {
		return err //nolint:wrapcheck // put leaves the member out
	}
	l.out.Truncate(l.out.Len() - 1) // the encoder ends each value with a newline
	return nil
}

// end gives the line with its newline.
func (l *line) end() []byte {
	l.out.WriteString("}\n")
	return l.out.Bytes()
}

// redact replaces what the rules match in every string of a JSON value. Names are left alone.
func redact(encoded []byte, rules []*regexp.Regexp) []byte {
	decoder := json.NewDecoder(bytes.NewReader(encoded))
	decoder.UseNumber()
	var value any
	if decoder.Decode(&value) != nil {
		return []byte(`"` + redacted + `"`)
	}
	var changed bytes.Buffer
	encoder := json.NewEncoder(&changed)
	encoder.SetEscapeHTML(false)
	if encoder.Encode(redactValue(value, rules)) != nil {
		return []byte(`"` + redacted + `"`)
	}
	return bytes.TrimSuffix(changed.Bytes(), []byte("\n"))
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
