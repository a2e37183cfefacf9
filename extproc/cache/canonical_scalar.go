package cache

import (
	"errors"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// maxExponent bounds a number's exponent, of ten, once it is written without zeros at its end.
const maxExponent = 1e15

var errNumber = errors.New("a number is out of all bounds")

// string appends a string with as few escapes as there can be.
func (c *canonical) string() error {
	c.copy()
	for {
		rest := c.in[c.at:]
		end := 0
		for end < len(rest) && rest[end] != '"' && rest[end] != '\\' && rest[end] >= ' ' {
			end++
		}
		c.out = append(c.out, rest[:end]...)
		c.at += end
		switch c.peek() {
		case '"':
			c.copy()
			return nil
		case '\\':
			if err := c.escape(); err != nil {
				return err
			}
		default:
			return errMalformed
		}
	}
}

// escape appends what an escape stands for.
func (c *canonical) escape() error {
	if c.at+1 >= len(c.in) {
		return errMalformed
	}
	kind := c.in[c.at+1]
	switch kind {
	case '"', '\\', 'b', 'f', 'n', 'r', 't':
		c.out = append(c.out, '\\', kind)
	case '/':
		c.out = append(c.out, '/')
	case 'u':
		return c.unicode()
	default:
		return errMalformed
	}
	c.at += 2
	return nil
}

func (c *canonical) unicode() error {
	r, ok := c.unit()
	if !ok {
		return errMalformed
	}
	if utf16.IsSurrogate(r) {
		after := c.at
		if low, ok := c.unit(); ok && utf16.DecodeRune(r, low) != utf8.RuneError {
			r = utf16.DecodeRune(r, low)
		} else {
			c.at = after
			c.hex(r)
			return nil
		}
	}
	c.rune(r)
	return nil
}

// unit reads an escape of the form \u0000.
func (c *canonical) unit() (r rune, ok bool) {
	if len(c.in)-c.at < 6 || c.in[c.at] != '\\' || c.in[c.at+1] != 'u' {
		return 0, false
	}
	for _, b := range c.in[c.at+2 : c.at+6] {
		switch {
		case '0' <= b && b <= '9':
			b -= '0'
		case 'a' <= b && b <= 'f':
			b -= 'a' - 10
		case 'A' <= b && b <= 'F':
			b -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(b)
	}
	c.at += 6
	return r, true
}

func (c *canonical) rune(r rune) {
	switch r {
	case '"', '\\':
		c.out = append(c.out, '\\', byte(r))
	case '\b':
		c.out = append(c.out, '\\', 'b')
	case '\f':
		c.out = append(c.out, '\\', 'f')
	case '\n':
		c.out = append(c.out, '\\', 'n')
	case '\r':
		c.out = append(c.out, '\\', 'r')
	case '\t':
		c.out = append(c.out, '\\', 't')
	default:
		if r < ' ' {
			c.hex(r)
			return
		}
		c.out = utf8.AppendRune(c.out, r)
	}
}

// hex appends what must stay an escape.
func (c *canonical) hex(r rune) {
	const digits = "0123456789abcdef"
	c.out = append(c.out, '\\', 'u', digits[r>>12], digits[r>>8&15], digits[r>>4&15], digits[r&15])
}

// number appends a number as its digits, without zeros at either end, and the power of ten that they are
// to be multiplied by: 1200, 1200.0 and 1.2e3 are 12e2. Nothing is rounded.
func (c *canonical) number() error {
	sign := len(c.out)
	if c.peek() == '-' {
		c.copy()
	}
	start := len(c.out)
	leading := c.peek() == '0'
	whole := c.digits()
	if whole == 0 || leading && whole > 1 {
		return errMalformed
	}
	fraction := 0
	if c.peek() == '.' {
		c.at++
		if fraction = c.digits(); fraction == 0 {
			return errMalformed
		}
	}
	exponent, err := c.exponent()
	if err != nil {
		return err
	}
	zeros := c.trim(start)
	if len(c.out) == start {
		c.out = append(c.out[:sign], '0')
		return nil
	}
	return c.power(exponent, zeros-fraction)
}

// digits appends the digits that follow, and returns how many they are.
func (c *canonical) digits() int {
	from := c.at
	for b := c.peek(); '0' <= b && b <= '9'; b = c.peek() {
		c.at++
	}
	c.out = append(c.out, c.in[from:c.at]...)
	return c.at - from
}

// exponent passes over an exponent, and returns it as it stands; empty: there is none.
func (c *canonical) exponent() ([]byte, error) {
	if b := c.peek(); b != 'e' && b != 'E' {
		return nil, nil
	}
	c.at++
	from := c.at
	if b := c.peek(); b == '-' || b == '+' {
		c.at++
	}
	first := c.at
	for b := c.peek(); '0' <= b && b <= '9'; b = c.peek() {
		c.at++
	}
	if c.at == first {
		return nil, errMalformed
	}
	return c.in[from:c.at], nil
}

// trim takes the zeros off both ends of the digits from start on, and returns how many were at the end.
func (c *canonical) trim(start int) int {
	digits := c.out[start:]
	end := len(digits)
	for end > 0 && digits[end-1] == '0' {
		end--
	}
	first := 0
	for first < end && digits[first] == '0' {
		first++
	}
	c.out = c.out[:start+copy(digits, digits[first:end])]
	return len(digits) - end
}

// power appends the power of ten of digits whose exponent is to be moved.
func (c *canonical) power(text []byte, by int) error {
	exponent := 0
	if len(text) > 0 {
		parsed, err := strconv.ParseInt(string(text), 10, 64)
		if err != nil {
			return errNumber
		}
		exponent = int(parsed)
	}
	if exponent > 2*maxExponent || exponent < -2*maxExponent {
		return errNumber
	}
	exponent += by
	if exponent > maxExponent || exponent < -maxExponent {
		return errNumber
	}
	if exponent != 0 {
		c.out = append(c.out, 'e')
		c.out = strconv.AppendInt(c.out, int64(exponent), 10)
	}
	return nil
}
