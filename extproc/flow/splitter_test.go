package flow

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"tollgate/extproc/openai"
)

// show is a piece as a table has it: E for an event, + for more.
func show(p Piece) string {
	mark := ""
	if p.Event {
		mark += "E"
	}
	if p.More {
		mark += "+"
	}
	return mark + " " + string(p.Bytes)
}

// cut feeds a splitter chunks, and shows the pieces.
func cut(t testing.TB, s *Splitter, chunks ...[]byte) []string {
	t.Helper()
	var pieces []string
	keep := func(p Piece) error {
		if len(p.Bytes) == 0 {
			t.Error("an empty piece")
		}
		pieces = append(pieces, show(p))
		return nil
	}
	for _, chunk := range chunks {
		// A copy that is wiped after: nothing may be held of a chunk but copies.
		own := bytes.Clone(chunk)
		require.NoError(t, s.Feed(own, keep))
		clear(own)
	}
	require.NoError(t, s.Close(keep))
	return pieces
}

// joined undoes cut.
func joined(pieces []string) (stream string, events int) {
	for _, p := range pieces {
		mark, text, _ := strings.Cut(p, " ")
		stream += text
		if strings.Contains(mark, "E") {
			events++
		}
	}
	return stream, events
}

// eventsOf is how many events openai.Reader sees.
func eventsOf(stream []byte) (events int) {
	var r openai.Reader
	count := func(*openai.Event) { events++ }
	r.Feed(stream, count)
	r.Close(count)
	return events
}

func bytewise(stream []byte) (chunks [][]byte) {
	for i := range stream {
		chunks = append(chunks, stream[i:i+1])
	}
	return chunks
}

func TestSplitter(t *testing.T) {
	for _, c := range []struct {
		name, stream string
		want         []string
	}{
		{"LF", "data: a\n\ndata: b\n\n", []string{"E data: a\n\n", "E data: b\n\n"}},
		{"CRLF", "data: a\r\n\r\ndata: b\r\n\r\n", []string{"E data: a\r\n\r\n", "E data: b\r\n\r\n"}},
		{"CR", "data: a\r\rdata: b\r\r", []string{"E data: a\r\r", "E data: b\r\r"}},
		{"mixed", "data: a\r\ndata: b\n\rdata: c\r\r\n", []string{"E data: a\r\ndata: b\n\r", "E data: c\r\r\n"}},
		{"LF, CR", "data: a\n\rdata: b\n\r\n", []string{"E data: a\n\r", "E data: b\n\r\n"}},
		{"no data", "event: a\nid: 1\n\ndata\n\n", []string{" event: a\nid: 1\n\n", "E data\n\n"}},
		{"not data", "database: a\n\nDATA: a\n\ndat", []string{" database: a\n\n", " DATA: a\n\n", " dat"}},
		{"comment alone", ": ping\n\ndata: a\n\n", []string{" : ping\n\n", "E data: a\n\n"}},
		{"comment before", ": a\n: b\ndata: a\n\n", []string{" : a\n: b\n", "E data: a\n\n"}},
		{"comment within", "data: a\n: c\n\n", []string{"E data: a\n: c\n\n"}},
		{"blank lines", "\n\r\n\rdata: a\n\n\n\n", []string{" \n", " \r\n", " \r", "E data: a\n\n", " \n", " \n"}},
		{"byte order mark", "\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n", []string{"E \xef\xbb\xbfdata: a\n\n", " \xef\xbb\xbfdata: b\n\n"}},
		{"no blank line at the end", "data: a\n\ndata: b\n", []string{"E data: a\n\n", "E data: b\n"}},
		{"no line end at the end", "data: a\n\nevent: x\ndata", []string{"E data: a\n\n", "E event: x\ndata"}},
		{"runes", "data: żółw 🐢\x00\xff\n\n", []string{"E data: żółw 🐢\x00\xff\n\n"}},
		{"nothing", "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			stream := []byte(c.stream)
			_, want := joined(c.want)
			require.Equal(t, want, eventsOf(stream), "the table is wrong")
			if diff := cmp.Diff(c.want, cut(t, &Splitter{}, stream)); diff != "" {
				t.Error(diff)
			}
			for at := range stream {
				checkSplit(t, c.stream, &Splitter{}, stream[:at], stream[at:])
			}
			checkSplit(t, c.stream, &Splitter{}, bytewise(stream)...)
		})
	}
}

// checkSplit wants all of the stream, in order, and its events.
func checkSplit(t testing.TB, stream string, s *Splitter, chunks ...[]byte) {
	t.Helper()
	got, events := joined(cut(t, s, chunks...))
	if got != stream {
		t.Errorf("%q became %q, fed as %q", stream, got, chunks)
	}
	if want := eventsOf([]byte(stream)); events != want {
		t.Errorf("%q has %d events, not %d, fed as %q", stream, want, events, chunks)
	}
}

// TestSplitterHoldsNothingThatCanGo: what a chunk completes is there before the next one comes.
func TestSplitterHoldsNothingThatCanGo(t *testing.T) {
	for _, c := range []struct {
		name   string
		chunks []string
		want   [][]string // after each chunk
	}{
		{"CRLF cut at the end", []string{"data: a\r\n\r", "\ndata: b\n\n"}, [][]string{{"E data: a\r\n\r"}, {"+ \n", "E data: b\n\n"}}},
		{"CR, then another event", []string{"data: a\r\r", "data: b\r\r"}, [][]string{{"E data: a\r\r"}, {"E data: b\r\r"}}},
		{"CR, then nothing, then LF", []string{"data: a\r\r", "", "\n"}, [][]string{{"E data: a\r\r"}, nil, {"+ \n"}}},
		{"CRLF cut in the middle", []string{"data: a\r", "\n\r\n"}, [][]string{nil, {"E data: a\r\n\r\n"}}},
		{"comment without blank line", []string{": ping\n", "\n"}, [][]string{{" : ping\n"}, {" \n"}}},
		{"comment and half a field", []string{": ping\nda", "ta: a\n\n"}, [][]string{{" : ping\n"}, {"E data: a\n\n"}}},
		{"comment cut", []string{": pi", "ng\n", ": ping\ndata: a\n\n"}, [][]string{nil, {" : ping\n"}, {" : ping\n", "E data: a\n\n"}}},
		{"comment cut after CR", []string{": ping\r", "\n\r\n"}, [][]string{{" : ping\r"}, {"+ \n", " \r\n"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &Splitter{}
			for i, chunk := range c.chunks {
				var got []string
				require.NoError(t, s.Feed([]byte(chunk), func(p Piece) error {
					got = append(got, show(p))
					return nil
				}))
				require.Equal(t, c.want[i], got, "chunk %d", i)
			}
		})
	}
}

// TestSplitterHoldsNoMoreThanItMay feeds large events in small chunks.
func TestSplitterHoldsNoMoreThanItMay(t *testing.T) {
	long := strings.Repeat("x", 100)
	stream := "data: a\n\ndata: " + long + "\ndata: " + long + "\r\n\r\n: " + long + "\n\nevent: " + long + "\n\ndata: b\n\ndata: " + long + "\r\r"
	for _, size := range []int{1, 3, 7, 20, 1000} {
		s, held := &Splitter{MaxHeld: 20}, 0
		var pieces []string
		take := func(p Piece) error { pieces = append(pieces, show(p)); return nil }
		for rest := []byte(stream); len(rest) > 0; rest = rest[min(size, len(rest)):] {
			require.NoError(t, s.Feed(rest[:min(size, len(rest))], take))
			held = max(held, len(s.buf))
		}
		require.NoError(t, s.Close(take))
		got, events := joined(pieces)
		require.Equal(t, stream, got)
		require.LessOrEqual(t, held, 20)
		require.Equal(t, 4, events)
		require.Contains(t, pieces, "E data: a\n\n")
		require.Contains(t, pieces, "E data: b\n\n", "what comes after a large event")
		parts := slices.DeleteFunc(pieces, func(p string) bool { return !strings.Contains(p, "+") })
		require.Equal(t, size < 1000, len(parts) > 0, "parts of large events are not marked")
	}
	s := &Splitter{}
	ignore := func(Piece) error { return nil }
	require.NoError(t, s.Feed([]byte("data: "+strings.Repeat(long, 9000)), ignore))
	require.Greater(t, len(s.buf), 900_000)
	require.NoError(t, s.Feed([]byte("\n\n"), ignore))
	require.LessOrEqual(t, cap(s.buf), keepBuffer, "a large buffer is kept")
}

func TestSplitterStopsAtAnError(t *testing.T) {
	stop, n := errors.New("the client left"), 0
	err := new(Splitter).Feed([]byte("data: a\n\ndata: b\n\ndata: c\n\n"), func(Piece) error {
		if n++; n == 2 {
			return stop
		}
		return nil
	})
	require.Equal(t, stop, err)
	require.Equal(t, 2, n)
}

func TestSplitterIsReadyForAnotherStream(t *testing.T) {
	s := &Splitter{}
	for range 2 {
		require.Equal(t, []string{"E \xef\xbb\xbfdata: a\r\r", " id: 1\r"}, cut(t, s, []byte("\xef\xbb\xbfdata: a\r\rid: 1\r")))
	}
}

// FuzzSplitter wants every byte in its place and every event, however the stream is cut.
func FuzzSplitter(f *testing.F) {
	for _, seed := range []string{
		"data: a\n\ndata: b\r\n\r\n", "\xef\xbb\xbfevent: x\rdata:y\r\rdata", ": c\ndata: a\ndata: b\nid: 1\n\n",
		"data: {\"a\":\"ż\"}\r\n\r\n\r\ndata: [DONE]", "data\ndata\n\n", "\xef\xbbdata: a\n\n", "\r\n: c\r\n\r\ndata: 01234567890\r\n\r\n",
	} {
		f.Add([]byte(seed), uint16(3), uint16(9), uint8(5))
	}
	f.Fuzz(func(t *testing.T, stream []byte, i, j uint16, most uint8) {
		a := min(int(i), len(stream))
		b := min(a+int(j), len(stream))
		// Of a large event that is cut short too little is held to count it.
		ended := append(bytes.Clone(stream), "\n\n"...)
		for _, chunks := range [][][]byte{{stream}, {stream[:a], stream[a:b], stream[b:]}, bytewise(stream)} {
			checkSplit(t, string(stream), &Splitter{}, chunks...)
			checkSplit(t, string(ended), &Splitter{MaxHeld: int(most) + 1}, append(chunks, []byte("\n\n"))...)
		}
	})
}

// delta is an event as OpenAI sends hundreds of, where it was asked for usage.
const delta = `data: {"id":"chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG","object":"chat.completion.chunk","created":1741570283,` +
	`"model":"gpt-4o-2024-08-06","service_tier":"default","system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,` +
	`"delta":{"content":" something"},"logprobs":null,"finish_reason":null}],"usage":null}` + "\n\n"

func TestSplitterDoesNotAllocate(t *testing.T) {
	s := &Splitter{}
	ignore := func(Piece) error { return nil }
	for name, chunks := range map[string][][]byte{
		"whole": {[]byte(delta)}, "several": {[]byte(delta + ": c\n\n" + delta)}, "split": {[]byte(delta[:100]), []byte(delta[100:])},
	} {
		feed := func() {
			for _, c := range chunks {
				_ = s.Feed(c, ignore)
			}
		}
		feed()
		if n := testing.AllocsPerRun(100, feed); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkSplitter(b *testing.B) {
	for _, c := range []struct {
		name   string
		chunks []string
	}{
		{"whole", []string{delta}},
		{"split", []string{delta[:100], delta[100:]}},
		{"CRLF", []string{strings.ReplaceAll(delta, "\n", "\r\n")}},
		{"CR", []string{strings.ReplaceAll(delta, "\n", "\r")}},
		{"50 a chunk", []string{strings.Repeat(delta, 50)}},
		{"blank lines, 64 KiB of CR", []string{strings.Repeat("\r", 64<<10)}},
	} {
		b.Run(c.name, func(b *testing.B) {
			s, n, size := &Splitter{}, 0, 0
			var chunks [][]byte
			for _, chunk := range c.chunks {
				chunks = append(chunks, []byte(chunk))
				size += len(chunk)
			}
			count := func(p Piece) error { n += len(p.Bytes); return nil }
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				for _, chunk := range chunks {
					_ = s.Feed(chunk, count)
				}
			}
			if n == 0 {
				b.Error("nothing came out")
			}
		})
	}
}
