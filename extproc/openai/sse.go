package openai

import "bytes"

const (
	defaultMaxEvent = 8 << 20
	keepBuffer      = 64 << 10 // what a reader may hold on to between events
	maxNames        = 64       // different event names that a reader remembers, and
	maxName         = 64       // how long they may be
)

// Reader splits a stream of server-sent events, pushed to it in pieces of any size, into events, as
// the HTML standard says, and more forgiving at the end (see [Reader.Close]). The zero value is ready
// for use. An event that lies whole within a piece is not copied.
type Reader struct {
	// MaxEvent is how many bytes the lines of an event may have, comments among them. A larger event
	// is left out, and counted. 0 means 8 MiB.
	MaxEvent int

	event   Event             // handed out again and again
	names   map[string]string // event names seen: a stream has few, and repeats them
	dropped int

	buf   []byte // [:kept] data of the event in progress, then the beginning of a line without its end
	kept  int    // how much of buf is data
	whole []byte // the event's only data line so far, where it lies in a piece or in buf; before it is kept
	data  bool   // a data line was seen
	size  int    // bytes in the lines of this event
	line  int    // bytes in the line in progress
	over  bool   // the event is too large: wait for its end
	cr    bool   // the last byte was a CR: an LF that follows belongs to it
	bom   int    // bytes of a byte order mark seen; past its length when the stream has begun
}

// Dropped is how many events were too large to be kept.
func (r *Reader) Dropped() int { return r.dropped }

// Feed reads the next piece of the stream. Each event that it completes is given to yield; it and its
// data are valid until yield returns.
func (r *Reader) Feed(chunk []byte, yield func(*Event)) {
	if r.bom <= len(byteOrderMark) {
		chunk = r.begin(chunk)
	}
	var ends lineEnds
	for len(chunk) > 0 {
		if r.cr && chunk[0] == '\n' {
			r.cr = false
			chunk = ends.advance(chunk, 1)
			continue
		}
		r.cr = false
		end := ends.next(chunk)
		if end < 0 {
			r.hold(chunk)
			break
		}
		r.cr = chunk[end] == '\r'
		r.endLine(chunk[:end], yield)
		chunk = ends.advance(chunk, end+1)
	}
	r.keep()
}

// Close ends the stream. An event in progress is given to yield if it has data: some upstreams leave
// out the last blank line, or the last line's end. The reader is then ready for another stream.
func (r *Reader) Close(yield func(*Event)) {
	if r.line > 0 {
		r.endLine(nil, yield)
	}
	r.endEvent(yield)
	*r = Reader{MaxEvent: r.MaxEvent, names: r.names, dropped: r.dropped}
}

// begin takes a byte order mark off the beginning of the stream, which may come in three pieces.
func (r *Reader) begin(chunk []byte) []byte {
	for r.bom < len(byteOrderMark) && len(chunk) > 0 {
		if chunk[0] != byteOrderMark[r.bom] {
			r.hold(byteOrderMark[:r.bom])
			break
		}
		r.bom++
		chunk = chunk[1:]
	}
	if len(chunk) > 0 || r.bom == len(byteOrderMark) {
		r.bom = len(byteOrderMark) + 1
	}
	return chunk
}

// grow counts bytes of a line, and tells whether the event is still small enough to be read.
func (r *Reader) grow(n int) bool {
	limit := r.MaxEvent
	if limit <= 0 {
		limit = defaultMaxEvent
	}
	r.line += n
	r.size += n
	if r.over || r.size <= limit {
		return !r.over
	}
	r.over = true
	r.dropped++
	r.buf, r.kept, r.whole = nil, 0, nil
	return false
}

// hold keeps the beginning of a line until the rest of it comes.
func (r *Reader) hold(part []byte) {
	if r.grow(len(part)) {
		r.keep()
		r.buf = append(r.buf, part...)
	}
}

// keep copies a data line that lies in a piece, which is about to end, to the buffer.
func (r *Reader) keep() {
	if r.whole == nil {
		return
	}
	// It may lie in the buffer itself, behind its beginning.
	rest := len(r.whole)
	r.buf = append(r.buf[:0], r.whole...)
	r.kept, r.whole = rest, nil
}

// endLine takes a line, or what it has beyond what is held of it.
func (r *Reader) endLine(rest []byte, yield func(*Event)) {
	held := r.line > 0
	fits := r.grow(len(rest))
	empty := r.line == 0
	r.line = 0
	if empty {
		r.endEvent(yield)
		return
	}
	if !fits {
		return
	}
	line := rest
	if held {
		r.buf = append(r.buf, rest...)
		line = r.buf[r.kept:]
	}
	r.field(line)
	if r.whole == nil {
		r.buf = r.buf[:r.kept]
	}
}

// field takes one line that is not empty. What is neither data nor event, such as a comment, an id
// or retry, is of no use here.
func (r *Reader) field(line []byte) {
	name, value, _ := bytes.Cut(line, []byte{':'})
	if len(value) > 0 && value[0] == ' ' {
		value = value[1:]
	}
	switch string(name) {
	case "data":
		r.addData(value)
	case "event":
		r.event.Name = r.intern(value)
	}
}

// addData takes the value of a data line. The first one is left where it is; with a second they must
// come together in the buffer.
func (r *Reader) addData(value []byte) {
	if !r.data {
		r.data = true
		r.whole = value
		if value == nil {
			r.whole = []byte{}
		}
		return
	}
	r.keep()
	// The value may lie in the buffer, with the field's name before it: the LF fits in its place.
	held := len(r.buf) > r.kept
	if held && len(value) > 0 {
		r.buf[r.kept] = '\n'
		n := copy(r.buf[r.kept+1:], value)
		r.kept += 1 + n
		r.buf = r.buf[:r.kept]
		return
	}
	r.buf = append(append(r.buf[:r.kept], '\n'), value...)
	r.kept = len(r.buf)
}

// endEvent hands the event in progress out, if it has data, and makes ready for the next.
func (r *Reader) endEvent(yield func(*Event)) {
	if r.data && !r.over {
		r.event.Data = r.whole
		if r.whole == nil {
			r.event.Data = r.buf[:r.kept]
		}
		yield(&r.event)
	}
	r.event = Event{}
	r.data, r.over = false, false
	r.size, r.line, r.kept, r.whole = 0, 0, 0, nil
	r.buf = r.buf[:0]
	if cap(r.buf) > keepBuffer {
		r.buf = nil
	}
}

// intern returns the name as a string, the same one each time.
func (r *Reader) intern(name []byte) string {
	if known, ok := r.names[string(name)]; ok {
		return known
	}
	s := string(name)
	if len(s) > maxName || len(r.names) >= maxNames {
		return s
	}
	if r.names == nil {
		r.names = map[string]string{}
	}
	r.names[s] = s
	return s
}

// lineEnds finds the ends of the lines of a piece. It remembers where the next LF and the next CR
// are, so that neither is searched for twice: a piece whose lines all end in CR costs no more.
type lineEnds struct{ lf, cr place }

// place is where a byte is next: beyond the end if there is none. The zero place is not yet known.
type place struct {
	at    int
	known bool
}

// next returns where the line at the beginning of the piece ends, or -1.
func (e *lineEnds) next(chunk []byte) int {
	end := min(e.lf.find(chunk, '\n'), e.cr.find(chunk, '\r'))
	if end >= len(chunk) {
		return -1
	}
	return end
}

// advance takes n bytes off the piece.
func (e *lineEnds) advance(chunk []byte, n int) []byte {
	e.lf.advance(n)
	e.cr.advance(n)
	return chunk[n:]
}

func (p *place) find(chunk []byte, b byte) int {
	if !p.known {
		p.known = true
		if p.at = bytes.IndexByte(chunk, b); p.at < 0 {
			p.at = len(chunk)
		}
	}
	return p.at
}

func (p *place) advance(n int) {
	p.at -= n
	p.known = p.known && p.at >= 0
}
