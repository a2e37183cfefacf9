package cache

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// scanner reads one valid JSON value, and writes it in its canonical form.
type scanner struct {
	*canonical

	in []byte
	at int
}

// next is the next byte that is not white space.
func (s *scanner) next() byte {
	for s.at < len(s.in) {
		switch b := s.in[s.at]; b {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return b
		}
	}
	return 0
}

func (s *scanner) value(depth int) error {
	if depth > maxDepth {
		return errTooDeep
	}
	switch b := s.next(); b {
	case '{':
		return s.objectValue(depth)
	case '[':
		return s.array(depth)
	case '"':
		s.stringValue()
	case 't', 'f', 'n':
		s.out = append(s.out, b)
		for s.at < len(s.in) && s.in[s.at] >= 'a' && s.in[s.at] <= 'z' {
			s.at++
		}
	default:
		s.number()
	}
	return nil
}

func (s *scanner) objectValue(depth int) error {
	mark, first := len(s.out), len(s.members)
	s.at++ // {
	for s.next() == '"' {
		from := len(s.out)
		s.out = s.unescaped(s.out)
		name := string(s.out[from:])
		s.out = s.out[:from]
		if s.next() == ':' {
			s.at++
		}
		if err := s.value(depth + 1); err != nil {
			return err
		}
		s.members = append(s.members, member{name, from, len(s.out)})
		if s.next() == ',' {
			s.at++
		}
	}
	s.at++ // }
	s.object(mark, first)
	return nil
}

func (s *scanner) array(depth int) error {
	s.at++ // [
	s.out = append(s.out, '[')
	for {
		switch s.next() {
		case ']', 0:
			s.at++
			s.out = append(s.out, ']')
			return nil
		case ',':
			s.at++
		}
		if s.next() == ']' {
			continue
		}
		if err := s.value(depth + 1); err != nil {
			return err
		}
	}
}

// stringValue writes a string's text behind its length.
func (s *scanner) stringValue() {
	end := bytes.IndexByte(s.in[s.at+1:], '"')
	if end < 0 {
		end = len(s.in) - s.at - 1
	}
	plain := s.in[s.at+1 : s.at+1+end]
	s.out = append(s.out, '"')
	if bytes.IndexByte(plain, '\\') < 0 {
		s.out = binary.AppendUvarint(s.out, uint64(len(plain)))
		s.out = append(s.out, plain...)
		s.at += end + 2
		return
	}
	text := s.unescaped(nil)
	s.out = binary.AppendUvarint(s.out, uint64(len(text)))
	s.out = append(s.out, text...)
}

// unescaped appends a string without its quotes and escapes. Half of a surrogate pair, which is no
// character, keeps a form of its own (WTF-8).
func (s *scanner) unescaped(to []byte) []byte {
	s.at++ // "
	for s.at < len(s.in) {
		b := s.in[s.at]
		s.at++
		switch {
		case b == '"':
			return to
		case b != '\\' || s.at >= len(s.in):
			to = append(to, b)
		default:
			to = s.escape(to)
		}
	}
	return to
}

func (s *scanner) escape(to []byte) []byte {
	b := s.in[s.at]
	s.at++
	switch b {
	case 'b':
		return append(to, '\b')
	case 'f':
		return append(to, '\f')
	case 'n':
		return append(to, '\n')
	case 'r':
		return append(to, '\r')
	case 't':
		return append(to, '\t')
	case 'u':
		return s.unicode(to)
	}
	return append(to, b)
}

// unicode reads the four digits of \u, and the second half of a pair.
func (s *scanner) unicode(to []byte) []byte {
	r := s.hex()
	if !utf16.IsSurrogate(r) {
		return utf8.AppendRune(to, r)
	}
	if back := s.at; bytes.HasPrefix(s.in[s.at:], []byte(`\u`)) {
		s.at += 2
		if pair := utf16.DecodeRune(r, s.hex()); pair != utf8.RuneError {
			return utf8.AppendRune(to, pair)
		}
		s.at = back
	}
	return append(to, 0xe0|byte(r>>12&0x0f), 0x80|byte(r>>6&0x3f), 0x80|byte(r&0x3f))
}

func (s *scanner) hex() rune {
	end := min(s.at+4, len(s.in))
	n, err := strconv.ParseUint(string(s.in[s.at:end]), 16, 16)
	if err != nil {
		return utf8.RuneError
	}
	s.at = end
	return rune(n)
}

// number writes a number's exact value: its digits without zeros around them, and a power of ten.
func (s *scanner) number() {
	from := s.at
	for s.at < len(s.in) && bytes.IndexByte([]byte("+-.0123456789eE"), s.in[s.at]) >= 0 {
		s.at++
	}
	if s.at == from { // not JSON: never stand still
		s.at++
	}
	text := s.in[from:s.at]
	s.out = append(s.out, '#')
	s.out = appendNumber(s.out, text)
	s.out = append(s.out, ';')
}

func appendNumber(to, text []byte) []byte {
	mantissa, power := text, int64(0)
	if i := bytes.IndexAny(text, "eE"); i >= 0 {
		n, err := strconv.ParseInt(string(text[i+1:]), 10, 62)
		if err != nil {
			return append(to, text...) // such a power has no other form that anyone writes
		}
		mantissa, power = text[:i], n
	}
	negative := bytes.HasPrefix(mantissa, []byte("-"))
	mantissa = bytes.TrimPrefix(mantissa, []byte("-"))
	whole, fraction, _ := bytes.Cut(mantissa, []byte("."))
	power -= int64(len(fraction))
	digits := append(bytes.Clone(whole), fraction...)
	short := bytes.TrimRight(digits, "0")
	power += int64(len(digits) - len(short))
	short = bytes.TrimLeft(short, "0")
	if len(short) == 0 {
		return append(to, '0') // -0 is 0
	}
	if negative {
		to = append(to, '-')
	}
	to = append(to, short...)
	to = append(to, 'e')
	return strconv.AppendInt(to, power, 10)
}
