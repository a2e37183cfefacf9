// Package pyliteral reads Python literals, as ast.literal_eval does: OpenAI-Forward writes its logs
// as the text of Python dictionaries.
//
// It knows strings with their escapes and prefixes, neighbouring strings, integers, floats, True,
// False, None, lists, tuples and dictionaries with strings for keys. Bytes, sets and complex numbers,
// which no log holds, are errors.
package pyliteral

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDepth bounds how deep lists and dictionaries may nest.
const maxDepth = 500

// Parse reads one literal. Numbers are json.Number, lists and tuples []any, dictionaries map[string]any.
func Parse(text string) (any, error) {
	p := &parser{rest: text, size: len(text)}
	value, err := p.value(0)
	if err == nil {
		p.space()
		if p.rest != "" {
			err = errors.New("there is more after the value")
		}
	}
	if err != nil {
		return nil, fmt.Errorf("column %d: %w", p.size-len(p.rest)+1, err)
	}
	return value, nil
}

type parser struct {
	rest string
	size int
}

func (p *parser) space() { p.rest = strings.TrimLeft(p.rest, " \t\r\n\f") }

// accept takes a piece of text if it comes next.
func (p *parser) accept(text string) bool {
	p.space()
	if !strings.HasPrefix(p.rest, text) {
		return false
	}
	p.rest = p.rest[len(text):]
	return true
}

// number is what JSON calls one; Python's other forms do not come out of repr.
var number = regexp.MustCompile(`^[+-]?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?`)

// word is a name: True, False, None, or the prefix of a string.
var word = regexp.MustCompile(`^[A-Za-z]+`)

func (p *parser) value(depth int) (any, error) {
	if depth > maxDepth {
		return nil, errors.New("nested too deeply")
	}
	p.space()
	switch {
	case p.rest == "":
		return nil, errors.New("a value is missing")
	case p.accept("{"):
		return p.dict(depth)
	case p.accept("["):
		return p.list("]", depth)
	case p.accept("("):
		return p.tuple(depth)
	case p.rest[0] == '\'' || p.rest[0] == '"':
		return p.strings()
	}
	if text := number.FindString(p.rest); text != "" {
		p.rest = p.rest[len(text):]
		return json.Number(strings.TrimPrefix(text, "+")), nil
	}
	return p.word()
}

func (p *parser) word() (any, error) {
	name := word.FindString(p.rest)
	after := p.rest[len(name):]
	if name != "" && after != "" && (after[0] == '\'' || after[0] == '"') {
		return p.strings()
	}
	values := map[string]any{"True": true, "False": false, "None": nil}
	value, ok := values[name]
	if !ok {
		return nil, errors.New("neither a string, a number, True, False, None, nor a list or dictionary")
	}
	p.rest = after
	return value, nil
}

// list reads items up to the closing bracket.
func (p *parser) list(end string, depth int) ([]any, error) {
	items := []any{}
	for !p.accept(end) {
		if len(items) > 0 && !p.accept(",") {
			return nil, fmt.Errorf("a comma or %s is missing", end)
		}
		if len(items) > 0 && p.accept(end) {
			break
		}
		item, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}

// tuple reads what follows an opening parenthesis: a tuple, or a value in parentheses.
func (p *parser) tuple(depth int) (any, error) {
	before := p.rest
	items, err := p.list(")", depth)
	if err != nil || len(items) != 1 {
		return items, err
	}
	inside := strings.TrimRight(before[:len(before)-len(p.rest)-1], " \t\r\n\f")
	if strings.HasSuffix(inside, ",") {
		return items, nil
	}
	return items[0], nil
}

func (p *parser) dict(depth int) (map[string]any, error) {
	items := map[string]any{}
	for first := true; !p.accept("}"); first = false {
		if !first && !p.accept(",") {
			return nil, errors.New("a comma or } is missing")
		}
		if !first && p.accept("}") {
			break
		}
		key, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		name, ok := key.(string)
		if !ok {
			return nil, errors.New("the key of a dictionary is not a string")
		}
		if !p.accept(":") {
			return nil, errors.New("a colon is missing")
		}
		if items[name], err = p.value(depth + 1); err != nil {
			return nil, err
		}
	}
	return items, nil
}

// strings reads a string and those that follow it: Python joins them.
func (p *parser) strings() (string, error) {
	var joined strings.Builder
	for {
		text, err := p.string()
		if err != nil {
			return "", err
		}
		joined.WriteString(text)
		p.space()
		name := word.FindString(p.rest)
		after := p.rest[len(name):]
		if after == "" || after[0] != '\'' && after[0] != '"' {
			return joined.String(), nil
		}
	}
}

func (p *parser) string() (string, error) {
	prefix := strings.ToLower(word.FindString(p.rest))
	if prefix != "" && prefix != "u" && prefix != "r" {
		return "", fmt.Errorf("a string with the prefix %s is no text", prefix)
	}
	p.rest = p.rest[len(prefix):]
	quote := p.rest[:1]
	if strings.HasPrefix(p.rest, strings.Repeat(quote, 3)) {
		quote = strings.Repeat(quote, 3)
	}
	p.rest = p.rest[len(quote):]
	var out strings.Builder
	for !strings.HasPrefix(p.rest, quote) {
		switch {
		case p.rest == "" || len(quote) == 1 && p.rest[0] == '\n':
			return "", errors.New("a string does not end")
		case p.rest[0] != '\\':
			out.WriteByte(p.rest[0])
			p.rest = p.rest[1:]
		case prefix == "r":
			if len(p.rest) < 2 {
				return "", errors.New("a string does not end")
			}
			out.WriteString(p.rest[:2])
			p.rest = p.rest[2:]
		default:
			if err := p.escape(&out); err != nil {
				return "", err
			}
		}
	}
	p.rest = p.rest[len(quote):]
	return out.String(), nil
}

// octal is an escape by up to three octal digits.
var octal = regexp.MustCompile(`^\\[0-7]{1,3}`)

// escape reads a backslash and what belongs to it.
func (p *parser) escape(out *strings.Builder) error {
	if len(p.rest) < 2 {
		return errors.New("a string does not end")
	}
	if digits := octal.FindString(p.rest); digits != "" {
		code, _ := strconv.ParseUint(digits[1:], 8, 32) // three digits fit
		p.rest = p.rest[len(digits):]
		out.WriteRune(rune(code)) //nolint:gosec // at most 0o777
		return nil
	}
	letter := p.rest[1]
	if i := strings.IndexByte("abfnrtv\\'\"", letter); i >= 0 {
		out.WriteByte("\a\b\f\n\r\t\v\\'\""[i])
		p.rest = p.rest[2:]
		return nil
	}
	switch letter {
	case '\n':
		p.rest = p.rest[2:]
		return nil
	case 'x':
		return p.hex(out, 2)
	case 'u':
		return p.hex(out, 4)
	case 'U':
		return p.hex(out, 8)
	case 'N':
		return errors.New("characters by name are not known here")
	}
	out.WriteByte('\\') // Python leaves what it does not know
	p.rest = p.rest[1:]
	return nil
}

// hex reads a character by its number. Half of a surrogate pair, which is no character, becomes U+FFFD.
func (p *parser) hex(out *strings.Builder, digits int) error {
	if len(p.rest) < 2+digits {
		return errors.New("an escape does not end")
	}
	code, err := strconv.ParseUint(p.rest[2:2+digits], 16, 32)
	if err != nil || code > utf8.MaxRune {
		return fmt.Errorf("an escape needs %d hex digits", digits)
	}
	p.rest = p.rest[2+digits:]
	out.WriteRune(rune(code))
	return nil
}
