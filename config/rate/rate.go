// Package rate reads the notation of limits: "60/minute;600/hour".
package rate

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// MaxCount is the largest count of a rate. Sums of some of them are still exact in a float64, which is
// the only kind of number that Redis's scripts have.
const MaxCount = 1_000_000_000_000_000

// MaxWindow is the longest window: ten years.
const MaxWindow = 10 * year

const (
	day   = 24 * time.Hour
	month = 30 * day
	year  = 12 * month // 360 days, as Python's limits has it
)

// A unit is a word of the notation.
type unit struct {
	name string
	size time.Duration
}

// units returns the words, the longest time first.
func units() [6]unit {
	return [...]unit{
		{"year", year},
		{"month", month},
		{"day", day},
		{"hour", time.Hour},
		{"minute", time.Minute},
		{"second", time.Second},
	}
}

// Rate is a number of things per time.
type Rate struct {
	Count  uint64
	Window time.Duration
}

// String returns the rate in the notation, as "100/2minutes". It is exact for windows of whole seconds.
func (r Rate) String() string { return strconv.FormatUint(r.Count, 10) + "/" + r.per() }

// per returns the window in the notation.
func (r Rate) per() string {
	for _, u := range units() {
		if r.Window < u.size || r.Window%u.size != 0 {
			continue
		}
		if n := int64(r.Window / u.size); n > 1 {
			return strconv.FormatInt(n, 10) + u.name + "s"
		}
		return u.name
	}
	return r.Window.String()
}

// Format returns what [Parse] reads: the rates joined by ";", or "inf" for none.
func Format(rates []Rate) string { return format(rates, Rate.String) }

func format(rates []Rate, one func(Rate) string) string {
	if len(rates) == 0 {
		return "inf"
	}
	parts := make([]string, len(rates))
	for i, r := range rates {
		parts[i] = one(r)
	}
	return strings.Join(parts, ";")
}

// Parse reads rates in the notation of Python's limits: "100/minute", "10 per 2 hours", several of
// them joined by ";", "," or "|". Case and white space do not matter; a month has 30 days and a year
// 360. "inf" is no limit, and gives nil. An error names the column of its cause, counted in characters
// from 1.
func Parse(text string) ([]Rate, error) { return parse(text, parser{text: []rune(text)}) }

func parse(text string, p parser) ([]Rate, error) {
	if strings.EqualFold(strings.TrimSpace(text), "inf") {
		return nil, nil
	}
	var rates []Rate
	for {
		rate, err := p.rate()
		if err != nil {
			return nil, err
		}
		rates = append(rates, rate)
		p.space()
		if p.at == len(p.text) {
			return rates, nil
		}
		if !strings.ContainsRune(";,|", p.peek()) {
			return nil, p.wrong(p.at, "expected \";\" and another rate, or the end, not %s", p.found())
		}
		p.at++
	}
}

// A parser stands before a character.
type parser struct {
	text  []rune
	at    int
	money bool // counts are amounts
}

// rate reads "100 / 2 minutes".
func (p *parser) rate() (Rate, error) {
	count, err := p.count()
	if err != nil {
		return Rate{}, err
	}
	if err := p.per(); err != nil {
		return Rate{}, err
	}
	p.space()
	start, multiple := p.at, uint64(1)
	if isDigit(p.peek()) {
		if multiple, err = p.number(uint64(MaxWindow / time.Second)); err != nil {
			return Rate{}, err
		}
	}
	size, err := p.unit()
	if err != nil {
		return Rate{}, err
	}
	if time.Duration(multiple) > MaxWindow/size {
		return Rate{}, p.wrong(start, "a window can be 10 years long at most")
	}
	return Rate{Count: count, Window: time.Duration(multiple) * size}, nil
}

// count reads the number before "/" or "per".
func (p *parser) count() (uint64, error) {
	if p.money {
		return p.amount()
	}
	p.space()
	if !isDigit(p.peek()) {
		if p.at > 0 || len(p.text) == 0 {
			return 0, p.wrong(p.at, "expected a rate such as 100/minute, not %s", p.found())
		}
		return 0, p.wrong(p.at, "expected a rate such as 100/minute, or inf, not %s", p.found())
	}
	return p.number(MaxCount)
}

// number reads digits.
func (p *parser) number(most uint64) (uint64, error) {
	start := p.at
	for isDigit(p.peek()) {
		p.at++
	}
	n, err := strconv.ParseUint(string(p.text[start:p.at]), 10, 64)
	switch {
	case err != nil || n > most:
		return 0, p.wrong(start, "%s is too large: %d is the most", string(p.text[start:p.at]), most)
	case n == 0:
		return 0, p.wrong(start, "0 is not a rate: 1 is the least")
	}
	return n, nil
}

// per reads "/" or "per".
func (p *parser) per() error {
	p.space()
	if p.peek() == '/' {
		p.at++
		return nil
	}
	if end := p.at + len("per"); end <= len(p.text) && strings.EqualFold(string(p.text[p.at:end]), "per") {
		p.at = end
		return nil
	}
	return p.wrong(p.at, "expected \"/\" or \"per\" and a time, as in /minute, not %s", p.found())
}

// unit reads a unit's name, singular or plural.
func (p *parser) unit() (time.Duration, error) {
	p.space()
	start := p.at
	for p.at < len(p.text) && isLetter(p.peek()) {
		p.at++
	}
	word := strings.ToLower(string(p.text[start:p.at]))
	for _, u := range units() {
		if word == u.name || word == u.name+"s" {
			return u.size, nil
		}
	}
	p.at = start
	return 0, p.wrong(start, "expected second, minute, hour, day, month or year, not %s", p.found())
}

// space skips white space.
func (p *parser) space() {
	for p.at < len(p.text) && unicode.IsSpace(p.text[p.at]) {
		p.at++
	}
}

// peek returns the next character, or 0.
func (p *parser) peek() rune {
	if p.at == len(p.text) {
		return 0
	}
	return p.text[p.at]
}

// found says what is there: the end, a word, or a character.
func (p *parser) found() string {
	if p.at == len(p.text) {
		return "the end"
	}
	end := p.at
	for end < len(p.text) && end < p.at+20 && isLetter(p.text[end]) {
		end++
	}
	return strconv.Quote(string(p.text[p.at:max(end, p.at+1)]))
}

// wrong returns an error that points at a character.
func (p *parser) wrong(at int, format string, args ...any) error {
	return fmt.Errorf("column %d: %s", at+1, fmt.Sprintf(format, args...))
}

func isDigit(r rune) bool { return '0' <= r && r <= '9' }

func isLetter(r rune) bool { return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' }
