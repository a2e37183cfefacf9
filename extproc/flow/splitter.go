package flow

const (
	maxHeld    = 1 << 20  // bytes of one event that are held
	keepBuffer = 64 << 10 // what a splitter may hold on to between events
)

// Piece is some bytes of an answer.
type Piece struct {
	// Bytes are valid until the call that hands them over returns.
	Bytes []byte

	// Event tells that the piece is an event, or the end of one: it has data, as openai.Reader counts
	// events. Comments, blank lines and fields without data are none.
	Event bool

	// More tells that the bytes belong to the piece before, and go where it went: the rest of what is
	// too large to be held, or the LF of the CRLF that it ended with.
	More bool
}

// Splitter cuts a stream of server-sent events, fed to it in chunks of any size, into pieces: an event
// with the blank line that ends it, or what lies between events. All pieces together are the stream,
// byte for byte. Nothing that could go is held: neither comments before an event, nor an event whose
// last CR could be followed by an LF. What lies whole within a chunk is not copied.
//
// The zero value is ready for use.
type Splitter struct {
	// MaxHeld is how many bytes of an event are held until it is whole; 0 means 1 MiB. A larger event
	// passes in several pieces, unless it comes in one chunk.
	MaxHeld int

	buf   []byte // the piece in progress, as far as it came in earlier chunks
	line  line   // the beginning of the line in progress
	begun bool   // the first line is over: no byte order mark can come
	cr    bool   // the last byte was a CR: an LF that follows belongs to it

	// Of the piece in progress:
	fields bool // it has a line that is neither blank nor a comment
	data   bool // it has a data line
	cut    bool // it was too large: a part of it was passed on
}

// Feed takes the next chunk, and gives yield the pieces that are complete. An error of yield ends it and
// is returned as it is; the splitter is then of no more use.
func (s *Splitter) Feed(chunk []byte, yield func(Piece) error) error {
	chunk, err := s.lateLF(chunk, yield)
	if err != nil || len(chunk) == 0 {
		return err
	}
	s.cr = chunk[len(chunk)-1] == '\r'
	ends := lineEnds{chunk: chunk}
	start, at := 0, 0 // where the piece in progress begins, and the line in progress
	for {
		end, next := ends.after(at)
		s.line.add(chunk[at:end])
		if end == next {
			break
		}
		kind := s.endLine()
		if kind >= field && !s.fields {
			// What lies before the event's first field is no part of it.
			if err := s.pass(chunk[start:at], yield); err != nil {
				return err
			}
			start = at
			s.fields = true
		}
		s.data = s.data || kind == data
		at = next
		if kind == blank {
			if err := s.pass(chunk[start:at], yield); err != nil {
				return err
			}
			start = at
		}
	}
	if !s.fields {
		if err := s.pass(chunk[start:at], yield); err != nil {
			return err
		}
		start = at
	}
	return s.hold(chunk[start:], yield)
}

// Close ends the stream, and gives yield what is held, such as an event that lacks its blank line. The
// splitter is then ready for another stream.
func (s *Splitter) Close(yield func(Piece) error) error {
	isData := s.endLine() == data
	held := Piece{Bytes: s.buf, Event: s.data || isData, More: s.cut}
	*s = Splitter{MaxHeld: s.MaxHeld}
	if len(held.Bytes) == 0 {
		return nil
	}
	return yield(held)
}

// lateLF takes the LF off a chunk that belongs to the CR at the end of the chunk before.
func (s *Splitter) lateLF(chunk []byte, yield func(Piece) error) ([]byte, error) {
	if !s.cr || len(chunk) == 0 || chunk[0] != '\n' {
		return chunk, nil
	}
	s.cr = false
	if len(s.buf) > 0 {
		s.buf = append(s.buf, '\n')
		return chunk[1:], nil
	}
	return chunk[1:], yield(Piece{Bytes: chunk[:1], More: true})
}

// endLine takes the line in progress for whole, and says what it was.
func (s *Splitter) endLine() kind {
	kind := s.line.kind(!s.begun)
	s.line, s.begun = line{}, true
	return kind
}

// pass hands over the piece in progress, whose last bytes are rest.
func (s *Splitter) pass(rest []byte, yield func(Piece) error) error {
	if len(rest) == 0 {
		return nil
	}
	piece := Piece{Bytes: rest, Event: s.data, More: s.cut}
	if len(s.buf) > 0 {
		s.buf = append(s.buf, rest...)
		piece.Bytes = s.buf
	}
	s.fields, s.data, s.cut = false, false, false
	err := yield(piece)
	s.forget()
	return err
}

// hold keeps the beginning of a piece until the next chunk comes, or passes it on if it is too large.
func (s *Splitter) hold(rest []byte, yield func(Piece) error) error {
	limit := s.MaxHeld
	if limit <= 0 {
		limit = maxHeld
	}
	if !s.cut && len(s.buf)+len(rest) <= limit {
		s.buf = append(s.buf, rest...)
		return nil
	}
	for _, part := range [...][]byte{s.buf, rest} {
		if len(part) == 0 {
			continue
		}
		if err := yield(Piece{Bytes: part, More: s.cut}); err != nil {
			return err
		}
		s.cut = true
	}
	s.forget()
	return nil
}

func (s *Splitter) forget() {
	s.buf = s.buf[:0]
	if cap(s.buf) > keepBuffer {
		s.buf = nil
	}
}
