package tokens

// estimate is how many tokens a text has, by its letters. It counts in twelfths.
type estimate struct{ twelfths, whole int }

const unit = 12

func (e *estimate) flat(tokens int) { e.whole += tokens }

func (e *estimate) total() int { return e.whole + (e.twelfths+unit-1)/unit }

// kinds of bytes.
const (
	letter = iota
	capital
	digit
	space
	mark
	wide // the first byte of a character beyond ASCII
	tail // another byte of it
)

// kindOf is a table: there is no faster way.
var kindOf = func() (kinds [256]uint8) {
	for b := range kinds {
		switch c := byte(b); {
		case c >= 0xc0:
			kinds[b] = wide
		case c >= 0x80:
			kinds[b] = tail
		case c >= 'a' && c <= 'z':
			kinds[b] = letter
		case c >= 'A' && c <= 'Z':
			kinds[b] = capital
		case c >= '0' && c <= '9':
			kinds[b] = digit
		case c <= ' ':
			kinds[b] = space
		default:
			kinds[b] = mark
		}
	}
	return kinds
}()

// text takes words of up to some letters for a token, three digits, a mark; of other scripts a character,
// less where they have an alphabet, more where they have pictures. A space belongs to what follows.
func (e *estimate) text(text []byte) {
	run, last := 0, uint8(space)
	for _, b := range text {
		kind := kindOf[b]
		if kind == last || kind == letter && last == capital { // Word
			run++
		} else {
			run = 1
		}
		last = kind
		e.twelfths += cost(kind, b, run)
	}
}

// cost is what a byte adds, the one of its kind in a row that run says.
func cost(kind, b uint8, run int) int {
	switch kind {
	case letter, capital:
		switch {
		case run == 1:
			return unit
		case run > 12 || kind == capital && run > 4:
			return 4
		case run > 4:
			return 2
		}
	case digit:
		if run%3 == 1 {
			return unit
		}
	case space:
		if b == '\n' || run > 1 {
			return 4
		}
	case mark:
		return 10
	case wide:
		switch {
		case b >= 0xf0: // four bytes: emoji
			return 2 * unit
		case b >= 0xe0: // three: Chinese, Japanese, Korean, Indian scripts
			return unit
		}
		return 6 // two: Greek, Cyrillic, Arabic, letters with accents
	}
	return 0
}
