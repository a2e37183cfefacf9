package convert

import (
	"slices"
	"strconv"
)

// events are written one behind the other.
type events struct {
	buf  []byte
	ends []int
}

// add writes pieces of the event in progress.
func (e *events) add(pieces ...string) {
	for _, s := range pieces {
		e.buf = append(e.buf, s...)
	}
}

// reserve makes room for the pieces of so many bytes of text, each with a head.
func (e *events) reserve(text, head int) {
	const around = 100 // of a piece: braces, index, finish_reason
	pieces := 4 + min(text/wordBytes, maxPieces)
	e.buf = make([]byte, 0, text+pieces*(head+around))
	e.ends = make([]int, 0, pieces)
}

func (e *events) number(n int) { e.buf = strconv.AppendInt(e.buf, int64(n), 10) }

// members writes names and values, in turn.
func (e *events) members(namesAndValues []string) {
	for pair := range slices.Chunk(namesAndValues, 2) {
		e.add(`,"`, pair[0], `":`, pair[1])
	}
}

// end ends the event in progress.
func (e *events) end() {
	e.buf = append(e.buf, "\n\n"...)
	e.ends = append(e.ends, len(e.buf))
}

func (e *events) list() [][]byte {
	list := make([][]byte, len(e.ends))
	start := 0
	for i, end := range e.ends {
		list[i] = e.buf[start:end:end]
		start = end
	}
	return list
}
