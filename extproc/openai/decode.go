package openai

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

const (
	defaultMaxDecoded = 256 << 20
	freeDecoded       = 1 << 20 // decoded bytes that no ratio is asked of
	maxRatio          = 200     // decoded bytes an encoded one: streams of deltas reach some 50
	maxWindow         = 8 << 20 // what zstd may look back; RFC 8878 asks decoders for as much
)

// ErrBomb is the error of a body that decodes to more than a [Decoder] allows.
var ErrBomb = errors.New("the body decodes to more than is allowed")

// Decoder decodes a body as it comes. The libraries that it uses pull; it runs them as a coroutine
// that sleeps while there is nothing to read. A nil Decoder passes everything through.
//
// Close must be called, whatever happened before: it ends the coroutine.
type Decoder struct {
	// MaxDecoded is how many bytes may come out; 0 means 256 MiB. Beyond the first MiB no more than
	// 200 may come out for each that went in.
	MaxDecoded int64

	open func(io.Reader) (io.Reader, error)
	in   source
	out  func([]byte)
	made int64

	next func() (struct{}, bool)
	stop func()
	err  error
	done bool // the coroutine is over
}

// NewDecoder returns the decoder of a content-encoding: nil for none. It returns false for encodings
// that it does not know.
func NewDecoder(encoding string) (*Decoder, bool) {
	var open func(io.Reader) (io.Reader, error)
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "identity":
		return nil, true
	case "gzip", "x-gzip":
		open = func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }
	case "br":
		open = func(r io.Reader) (io.Reader, error) { return brotli.NewReader(r), nil }
	case "deflate":
		open = openDeflate
	case "zstd":
		open = openZstd
	default:
		return nil, false
	}
	return &Decoder{open: open}, true
}

// openDeflate reads zlib's format, as the standard has it, or bare deflate, as many servers send it.
func openDeflate(r io.Reader) (io.Reader, error) {
	buffered := bufio.NewReader(r)
	head, err := buffered.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("deflate: %w", err)
	}
	if len(head) == 2 && head[0]&0x0f == 8 && (int(head[0])<<8|int(head[1]))%31 == 0 {
		return zlib.NewReader(buffered) //nolint:wrapcheck // Decoder.run wraps it
	}
	return flate.NewReader(buffered), nil
}

// openZstd keeps to one goroutine, the coroutine's, and to little memory.
func openZstd(r io.Reader) (io.Reader, error) {
	return zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow)) //nolint:wrapcheck // Decoder.run wraps it
}

// Feed decodes the next piece. What comes out is given to yield, in pieces valid until it returns.
// After an error no more comes out, and the error is returned again.
func (d *Decoder) Feed(chunk []byte, yield func([]byte)) error {
	if d == nil {
		yield(chunk)
		return nil
	}
	if len(chunk) == 0 || d.done {
		return d.err
	}
	if d.next == nil {
		d.next, d.stop = iter.Pull(d.run)
	}
	d.in.chunk = chunk
	d.in.total += int64(len(chunk))
	return d.step(yield)
}

// Close ends the body: the error says if it was not whole.
func (d *Decoder) Close(yield func([]byte)) error {
	if d == nil {
		return nil
	}
	if d.next == nil {
		d.done = true
		return d.err
	}
	defer d.stop()
	if d.done {
		return d.err
	}
	d.in.ended = true
	return d.step(yield)
}

// step lets the coroutine run until it needs more to read.
func (d *Decoder) step(yield func([]byte)) error {
	d.out = yield
	if _, running := d.next(); !running {
		d.done = true
	}
	d.out, d.in.chunk = nil, nil
	return d.err
}

// run is the coroutine: it pulls decoded bytes, and sleeps in source.Read.
func (d *Decoder) run(sleep func(struct{}) bool) {
	d.in.sleep = func() bool { return sleep(struct{}{}) }
	reader, err := d.open(&d.in)
	if err == nil {
		_, err = io.Copy((*sink)(d), reader)
		if z, ok := reader.(*zstd.Decoder); ok {
			z.Close()
		}
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil && !errors.Is(err, ErrBomb) {
		err = fmt.Errorf("the body cannot be decoded: %w", err)
	}
	d.err = err
}

// sink is where the libraries write what they decoded, in the limits.
type sink Decoder

func (d *sink) Write(p []byte) (int, error) {
	limit := d.MaxDecoded
	if limit <= 0 {
		limit = defaultMaxDecoded
	}
	d.made += int64(len(p))
	if d.made > limit || d.made > freeDecoded+maxRatio*d.in.total {
		return 0, ErrBomb
	}
	if d.out != nil {
		d.out(p)
	}
	return len(p), nil
}

// source is what a library reads from: the piece at hand, and then sleep until there is another.
type source struct {
	chunk []byte
	total int64
	ended bool
	sleep func() bool // false: nobody wants to know any more
}

func (s *source) Read(p []byte) (int, error) {
	for len(s.chunk) == 0 {
		if s.ended || !s.sleep() {
			return 0, io.EOF
		}
	}
	n := copy(p, s.chunk)
	s.chunk = s.chunk[n:]
	return n, nil
}
