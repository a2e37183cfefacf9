package tokens

import "unicode/utf8"

// What runs of characters take, in hundredths of a token: so much that they are seldom too little. The
// figures were fitted to 1,600 texts in 45 languages and formats.
const (
	word    = 100 // up to shortWord letters, and a capital before them
	letter  = 40  // each letter beyond
	strange = 15  // more, for each beyond longWord: that is no word
	capital = 110 // more, where all letters are capitals
	ending  = 50  // each letter but one after a character that is not ASCII, in the same word
	digits  = 120 // up to three
	lone    = 75  // the space before them: words and signs take it in
	indent  = 100 // more than one space; each 64 more
	breaks  = 65  // line feeds and tabs
	manyOf  = 100 // each 16 more
	signs   = 88  // the first of several
	sign    = 8   // each other

	shortWord = 6
	longWord  = 16
)

// class is what a byte can be part of.
type class uint8

const (
	isSign class = iota
	isLower
	isUpper
	isDigit
	isSpace
	isBreak
	isOther // of a character that is not ASCII
)

var classes = classify()

func classify() (of [256]class) {
	for b := range of {
		switch {
		case b >= 'a' && b <= 'z':
			of[b] = isLower
		case b >= 'A' && b <= 'Z':
			of[b] = isUpper
		case b >= '0' && b <= '9':
			of[b] = isDigit
		case b == ' ':
			of[b] = isSpace
		case b == '\n' || b == '\r' || b == '\t':
			of[b] = isBreak
		case b >= utf8.RuneSelf:
			of[b] = isOther
		}
	}
	return of
}

// costs are what the bytes of characters that are not ASCII take, in hundredths of a token: a character's
// first byte tells its script, roughly, and each other takes trailing.
type costs [256]uint8

const trailing = 15

// scripts are what a character takes whose first byte is this one or a later one, in all its bytes.
var scripts = []struct {
	first, bytes  int
	o200k, cl100k uint8
}{
	{0xC2, 2, 35, 100},  // accented letters
	{0xC4, 2, 130, 235}, // accented letters of fewer languages
	{0xCC, 2, 45, 105},  // Greek
	{0xD0, 2, 38, 67},   // Cyrillic
	{0xD4, 2, 47, 120},  // Hebrew, Arabic
	{0xE0, 3, 47, 190},  // the scripts of India and Thailand
	{0xE1, 3, 50, 215},  // Georgian, Vietnamese
	{0xE2, 3, 110, 150}, // typographic and mathematical marks
	{0xE3, 3, 76, 100},  // Japanese
	{0xE4, 3, 90, 135},  // Chinese
	{0xEA, 3, 80, 130},  // Korean
	{0xEE, 3, 160, 160}, // full-width forms
	{0xF0, 4, 210, 235}, // emoji
}

// costsByScript are the costs in one or the other of the two vocabularies.
func costsByScript(cl100k bool) *costs {
	c := &costs{}
	for _, s := range scripts {
		whole := s.o200k
		if cl100k {
			whole = s.cl100k
		}
		for b := s.first; b < len(c); b++ {
			c[b] = whole - uint8(s.bytes-1)*trailing //nolint:gosec // 1 to 3
		}
	}
	for b := utf8.RuneSelf; b < scripts[0].first; b++ {
		c[b] = trailing
	}
	return c
}

// costsOf are the costs for a model. Of one that is not known they are the higher ones.
func costsOf(model string) *costs {
	if v, known := vocabularyOf(model); known {
		return v.costs
	}
	return cl100k.costs
}

// estimate estimates how many tokens a text takes, by its runs of characters of a class.
func (c *costs) estimate(s string) int {
	sum, before := 0, isSign
	for i := 0; i < len(s); {
		from, kind := i, classes[s[i]]
		for i++; i < len(s) && classes[s[i]] == kind; i++ {
		}
		n := i - from
		switch kind {
		case isUpper:
			if n > 1 || i == len(s) || classes[s[i]] != isLower { // else the word begins with it
				sum += letters(n) + capital*min(1, n-1)
			}
		case isLower:
			sum += lower(n, before)
		case isDigit:
			sum += digits * ((n + 2) / 3)
		case isSpace:
			sum += spaces(n, i < len(s) && classes[s[i]] == isDigit)
		case isBreak:
			sum += breaks + n/16*manyOf
		case isSign:
			sum += signs + sign*(n-1)
		case isOther:
			for ; from < i; from++ {
				sum += int(c[s[from]])
			}
		}
		before = kind
	}
	return (sum + 99) / 100
}

// letters is what n letters take.
func letters(n int) int {
	return word + letter*max(0, n-shortWord) + strange*max(0, n-longWord)
}

// lower is what n small letters take, after others.
func lower(n int, before class) int {
	if before == isOther {
		return ending * (n - 1)
	}
	return letters(n)
}

// spaces is what n spaces take.
func spaces(n int, digit bool) int {
	switch {
	case n > 1:
		return indent + n/64*100
	case digit:
		return lone
	}
	return 0
}
