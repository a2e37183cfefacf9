package openai_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"tollgate/extproc/openai"
)

// flusher is what a server compresses a stream with.
type flusher interface {
	io.WriteCloser
	Flush() error
}

// codec is a way to compress, under the name that content-encoding has for it.
type codec struct {
	name, encoding string
	open           func(io.Writer) flusher
}

func codecs(t testing.TB) []codec {
	t.Helper()
	must := func(w flusher, err error) flusher {
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	return []codec{
		{"gzip", "gzip", func(w io.Writer) flusher { return gzip.NewWriter(w) }},
		{"x-gzip", " X-GZIP ", func(w io.Writer) flusher { return gzip.NewWriter(w) }},
		{"br", "br", func(w io.Writer) flusher { return brotli.NewWriter(w) }},
		{"zlib", "deflate", func(w io.Writer) flusher { return zlib.NewWriter(w) }},
		{"bare deflate", "deflate", func(w io.Writer) flusher { return must(flate.NewWriter(w, 6)) }},
		{"zstd", "zstd", func(w io.Writer) flusher { return must(zstd.NewWriter(w)) }},
	}
}

// compress writes parts and flushes after each, as a server that streams does.
func compress(t testing.TB, c codec, parts ...string) [][]byte {
	t.Helper()
	var out bytes.Buffer
	var pieces [][]byte
	w := c.open(&out)
	take := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
		pieces = append(pieces, bytes.Clone(out.Bytes()))
		out.Reset()
	}
	for _, part := range parts {
		_, err := io.WriteString(w, part)
		take(errors.Join(err, w.Flush()))
	}
	take(w.Close())
	return pieces
}

func newDecoder(t testing.TB, encoding string) *openai.Decoder {
	t.Helper()
	d, ok := openai.NewDecoder(encoding)
	if !ok || d == nil {
		t.Fatalf("no decoder of %q", encoding)
	}
	return d
}

// TestDecoderGivesEventsAsTheyCome wants each flushed part out as soon as its bytes are in.
func TestDecoderGivesEventsAsTheyCome(t *testing.T) {
	parts := []string{delta, strings.ReplaceAll(delta, "something", "else"), "data: [DONE]\n\n"}
	for _, c := range codecs(t) {
		d := newDecoder(t, c.encoding)
		var out bytes.Buffer
		keep := func(p []byte) { out.Write(p) }
		want := ""
		for i, piece := range compress(t, c, parts...) {
			// The last piece is what closing adds.
			if i < len(parts) {
				want += parts[i]
			}
			if err := d.Feed(piece, keep); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			if out.String() != want {
				t.Errorf("%s: %d bytes out after piece %d, want %d", c.name, out.Len(), i, len(want))
			}
		}
		if err := d.Close(keep); err != nil || out.String() != want {
			t.Errorf("%s: %v, %d bytes out", c.name, err, out.Len())
		}
	}
}

func TestDecoderTakesAnyPieces(t *testing.T) {
	text := strings.Repeat(delta, 50)
	for _, c := range codecs(t) {
		body := bytes.Join(compress(t, c, text), nil)
		for _, size := range []int{1, 7, len(body)} {
			d := newDecoder(t, c.encoding)
			var out bytes.Buffer
			keep := func(p []byte) { out.Write(p) }
			for rest := body; len(rest) > 0; rest = rest[min(size, len(rest)):] {
				if err := d.Feed(rest[:min(size, len(rest))], keep); err != nil {
					t.Fatalf("%s: %v", c.name, err)
				}
			}
			if err := d.Close(keep); err != nil || out.String() != text {
				t.Errorf("%s, in pieces of %d: %v, %d bytes of %d", c.name, size, err, out.Len(), len(text))
			}
		}
	}
}

func TestDecoderOfNothing(t *testing.T) {
	for _, encoding := range []string{"", "identity", "Identity"} {
		d, ok := openai.NewDecoder(encoding)
		if d != nil || !ok {
			t.Errorf("%q: %v, %v", encoding, d, ok)
		}
		var out []byte
		keep := func(p []byte) { out = append(out, p...) }
		if err := errors.Join(d.Feed([]byte("a"), keep), d.Close(keep)); err != nil || string(out) != "a" {
			t.Errorf("%q: %v, %q", encoding, err, out)
		}
	}
	for _, encoding := range []string{"compress", "gzip, br", "aes128gcm"} {
		if _, ok := openai.NewDecoder(encoding); ok {
			t.Errorf("%q is said to be known", encoding)
		}
	}
}

// TestDecoderSaysWhatIsWrong wants what could be read of a body that is cut or broken, and an error.
func TestDecoderSaysWhatIsWrong(t *testing.T) {
	for _, c := range codecs(t) {
		pieces := compress(t, c, delta, delta)
		d := newDecoder(t, c.encoding)
		var out bytes.Buffer
		keep := func(p []byte) { out.Write(p) }
		fed := d.Feed(pieces[0], keep)
		if err := d.Close(keep); fed != nil || !errors.Is(err, io.ErrUnexpectedEOF) || out.String() != delta {
			t.Errorf("%s, cut short: %v, %v, %d bytes", c.name, fed, err, out.Len())
		}
		d = newDecoder(t, c.encoding)
		var first error
		for range 3 {
			first = d.Feed(bytes.Repeat([]byte{0xff}, 1000), keep)
		}
		if err := d.Close(keep); first == nil || err == nil || err.Error() != first.Error() {
			t.Errorf("%s, broken: %v, then %v", c.name, first, err)
		}
	}
}

func TestDecoderStopsBombs(t *testing.T) {
	zeros := strings.Repeat("\x00", 64<<20)
	for _, c := range codecs(t) {
		body := bytes.Join(compress(t, c, zeros), nil)
		for limit, most := range map[int64]int64{0: 1<<20 + 200*int64(len(body)), 1 << 16: 1 << 16} {
			d := newDecoder(t, c.encoding)
			d.MaxDecoded = limit
			var out int64
			count := func(p []byte) { out += int64(len(p)) }
			err := d.Feed(body, count)
			if !errors.Is(err, openai.ErrBomb) || out > most {
				t.Errorf("%s of %d bytes: %v after %d bytes", c.name, len(body), err, out)
			}
			if err := d.Close(count); !errors.Is(err, openai.ErrBomb) {
				t.Errorf("%s: Close: %v", c.name, err)
			}
		}
	}
}

// TestDecoderLeavesNothingRunning counts goroutines after every way that a decoder can end.
func TestDecoderLeavesNothingRunning(t *testing.T) {
	ignore := func([]byte) {}
	before := runtime.NumGoroutine()
	for _, c := range codecs(t) {
		pieces := compress(t, c, delta, delta)
		whole := bytes.Join(pieces, nil)
		for _, fed := range [][][]byte{
			nil, {nil}, {pieces[0][:1]}, {pieces[0]}, pieces, {whole, whole}, {[]byte("broken, and no header at all")}, {whole, []byte("more")},
		} {
			d := newDecoder(t, c.encoding)
			for _, piece := range fed {
				_ = d.Feed(piece, ignore)
			}
			_ = d.Close(ignore)
			_ = d.Close(ignore)
			_ = d.Feed(whole, ignore)
			if now := runtime.NumGoroutine(); now > before {
				t.Fatalf("%s, %d pieces: %d goroutines, before %d", c.name, len(fed), now, before)
			}
		}
	}
}

// TestDecoderPassesPanicsOn: what yield does is the caller's, and the coroutine is over after it.
func TestDecoderPassesPanicsOn(t *testing.T) {
	before := runtime.NumGoroutine()
	d := newDecoder(t, "gzip")
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was lost")
			}
		}()
		_ = d.Feed(bytes.Join(compress(t, codecs(t)[0], delta), nil), func([]byte) { panic("mine") })
	}()
	_ = d.Close(func([]byte) {})
	if now := runtime.NumGoroutine(); now > before {
		t.Errorf("%d goroutines, before %d", now, before)
	}
}

// FuzzDecoder wants no panic, and the same from pieces as from the whole.
func FuzzDecoder(f *testing.F) {
	for i, c := range codecs(f) {
		f.Add(uint8(i), bytes.Join(compress(f, c, delta, "data: x\n\n"), nil), uint16(5))
	}
	f.Fuzz(func(t *testing.T, which uint8, body []byte, at uint16) {
		encodings := []string{"gzip", "br", "deflate", "zstd"}
		decode := func(pieces ...[]byte) (string, bool) {
			d := newDecoder(t, encodings[int(which)%len(encodings)])
			d.MaxDecoded = 1 << 20
			var out bytes.Buffer
			keep := func(p []byte) { out.Write(p) }
			for _, piece := range pieces {
				_ = d.Feed(piece, keep)
			}
			err := d.Close(keep)
			return out.String(), err == nil
		}
		i := min(int(at), len(body))
		whole, fine := decode(body)
		split, fineToo := decode(body[:i], body[i:])
		if fine != fineToo || fine && whole != split {
			t.Errorf("whole: %d bytes, %v; split at %d: %d bytes, %v", len(whole), fine, i, len(split), fineToo)
		}
	})
}

// BenchmarkDecoder feeds a stream of 100 events, each flushed.
func BenchmarkDecoder(b *testing.B) {
	parts := make([]string, 100)
	for i := range parts {
		parts[i] = delta
	}
	for _, c := range codecs(b) {
		b.Run(c.name, func(b *testing.B) {
			pieces := compress(b, c, parts...)
			b.ReportAllocs()
			for b.Loop() {
				d := newDecoder(b, c.encoding)
				n := 0
				count := func(p []byte) { n += len(p) }
				for _, piece := range pieces {
					_ = d.Feed(piece, count)
				}
				if err := d.Close(count); err != nil || n != 100*len(delta) {
					b.Fatal(err, n)
				}
			}
		})
	}
}
