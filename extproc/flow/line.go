package flow

import "bytes"

var (
	byteOrderMark = []byte("\xef\xbb\xbf")
	dataField     = []byte("data:")
)

// kind is what a line of a stream of events is.
type kind int

const (
	blank kind = iota
	comment
	field // other than data
	data
)

// line is the beginning of a line: as much as tells its kind.
type line struct {
	head [len("\xef\xbb\xbfdata:")]byte
	n    int
}

// add takes the next bytes of the line.
func (l *line) add(text []byte) { l.n += copy(l.head[l.n:], text) }

// kind says what a line is that is whole. The stream's first line can begin with a byte order mark.
func (l *line) kind(first bool) kind {
	text := l.head[:l.n]
	if first {
		text = bytes.TrimPrefix(text, byteOrderMark)
	}
	switch {
	case len(text) == 0:
		return blank
	case text[0] == ':':
		return comment
	case bytes.HasPrefix(text, dataField), string(text) == "data":
		return data
	}
	return field
}

// lineEnds finds the ends of a chunk's lines: LF, CR or CRLF. It searches no byte twice.
type lineEnds struct {
	chunk []byte
	lf    int  // where the next LF is, or the chunk's end,
	known bool // once it was searched for
}

// after returns where the text of the line at a place ends, and where the next line begins: both are the
// chunk's end if the line does not end there.
func (e *lineEnds) after(at int) (end, next int) {
	if !e.known || e.lf < at {
		e.known = true
		e.lf = len(e.chunk)
		if i := bytes.IndexByte(e.chunk[at:], '\n'); i >= 0 {
			e.lf = at + i
		}
	}
	end = e.lf
	if i := bytes.IndexByte(e.chunk[at:e.lf], '\r'); i >= 0 {
		end = at + i
	}
	next = min(end+1, len(e.chunk))
	if end < e.lf && next == e.lf && next < len(e.chunk) {
		next++
	}
	return end, next
}
