package convert

import (
	"encoding/hex"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

const (
	wordBytes = 24  // a piece of text ends with the word that passes this
	maxPieces = 512 // a text comes in about so many pieces at most: they grow with it
)

// piece is a part of a text, as it is written between quotes, with its tokens' log probabilities:
// those from..to of the text's.
type piece struct {
	text     string
	from, to int
}

// cutText cuts the inside of a JSON string. No piece ends within an escape, a rune or a pair of
// surrogates. With sizes, the bytes that each token stands for, pieces end with tokens; if the sizes
// are not the text's, all tokens go with the first piece.
func cutText(text string, sizes []int, tokens int) []piece {
	if tokens == 0 {
		return cutWords(text, nil)
	}
	if pieces := cutTokens(text, sizes); pieces != nil {
		return pieces
	}
	return cutWords(text, []piece{{to: tokens}})
}

// cutWords cuts at spaces and line ends, which go with the word that follows. The first piece may
// already be begun: it has tokens, and is there even if the text is empty.
func cutWords(text string, pieces []piece) []piece {
	begun := len(pieces) > 0
	size := max(wordBytes, len(text)/maxPieces)
	for text != "" {
		at := 0
		for at < len(text) && (at < size || at < 2*size && text[at] != ' ' && text[at] != '\\') {
			written, _ := unit(text[at:])
			at += written
		}
		if begun {
			pieces[0].text, begun = text[:at], false
		} else {
			pieces = append(pieces, piece{text: text[:at]})
		}
		text = text[at:]
	}
	return pieces
}

// cutTokens cuts after tokens: each, unless the text has too many, or they share a rune. It returns nil
// if the tokens do not make the text.
func cutTokens(text string, sizes []int) []piece {
	var pieces []piece
	size := len(text) / maxPieces
	start, at, meant := 0, 0, 0 // in the text; and of at, without escapes
	end, from := 0, 0           // where the tokens so far end, without escapes; the piece's first token
	for i, n := range sizes {
		end += n
		for meant < end && at < len(text) {
			written, means := unit(text[at:])
			at, meant = at+written, meant+means
		}
		if meant == end && (at-start >= size || i == len(sizes)-1) {
			pieces = append(pieces, piece{text[start:at], from, i + 1})
			start, from = at, i+1
		}
	}
	if start != len(text) || from != len(sizes) {
		return nil
	}
	return pieces
}

// unit measures the first character or escape of the inside of a JSON string: its bytes as they are
// written, and what they mean in UTF-8.
func unit(text string) (written, means int) {
	switch {
	case text[0] == '\\' && text[1] == 'u':
		r := code(text)
		if utf16.IsSurrogate(r) && len(text) >= 12 && text[6] == '\\' && text[7] == 'u' {
			if pair := utf16.DecodeRune(r, code(text[6:])); pair != utf8.RuneError {
				return 12, utf8.RuneLen(pair)
			}
		}
		if utf16.IsSurrogate(r) {
			r = utf8.RuneError // half a pair stands for nothing by itself
		}
		return 6, utf8.RuneLen(r)
	case text[0] == '\\':
		return 2, 1
	case text[0] < utf8.RuneSelf:
		return 1, 1
	}
	_, size := utf8.DecodeRuneInString(text)
	return size, size
}

// code is what \uXXXX stands for.
func code(escape string) rune {
	var unit [2]byte
	_, _ = hex.Decode(unit[:], []byte(escape[2:6])) // it is valid JSON
	return rune(unit[0])<<8 | rune(unit[1])
}

// tokenSize is how many bytes of text a token stands for: as its bytes say, or else its name. The
// entry is an object, or the name itself.
func tokenSize(entry string) int {
	value := gjson.Parse(entry)
	if !value.IsObject() {
		return len(value.Str)
	}
	if list := value.Get("bytes"); list.IsArray() {
		return int(list.Get("#").Int())
	}
	return len(value.Get("token").Str)
}
