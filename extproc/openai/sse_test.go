package openai_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/extproc/openai"
)

// got is an event as a test keeps it.
type got struct{ Name, Data string }

// read feeds a reader pieces, and returns what it gave.
func read(r *openai.Reader, pieces ...[]byte) []got {
	var events []got
	keep := func(e *openai.Event) { events = append(events, got{e.Name, string(e.Data)}) }
	for _, piece := range pieces {
		// A copy that is wiped after: events must not outlive the piece that they lie in.
		own := bytes.Clone(piece)
		r.Feed(own, keep)
		clear(own)
	}
	r.Close(keep)
	return events
}

// reference is the standard's algorithm, over the whole stream at once.
func reference(stream []byte, limit int) (events []got, dropped int) {
	text := strings.TrimPrefix(string(stream), "\xef\xbb\xbf")
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	var name string
	var data []string
	size := 0
	end := func() {
		if size > limit {
			dropped++
		} else if data != nil {
			events = append(events, got{name, strings.Join(data, "\n")})
		}
		name, data, size = "", nil, 0
	}
	for line := range strings.SplitSeq(text, "\n") {
		size += len(line)
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "":
			end()
		case field == "data":
			data = append(data, value)
		case field == "event":
			name = value
		}
	}
	end()
	return events, dropped
}

func TestReader(t *testing.T) {
	for _, c := range []struct {
		name, stream string
		want         []got
	}{
		{"plain", "data: a\n\ndata: b\n\n", []got{{"", "a"}, {"", "b"}}},
		{"CRLF", "data: a\r\n\r\ndata: b\r\n\r\n", []got{{"", "a"}, {"", "b"}}},
		{"CR", "data: a\r\rdata: b\r\r", []got{{"", "a"}, {"", "b"}}},
		{"mixed", "data: a\r\ndata: b\n\rdata: c\r\r\n", []got{{"", "a\nb"}, {"", "c"}}},
		{"without space", "data:a\n\ndata:  b\n\n", []got{{"", "a"}, {"", " b"}}},
		{"several data lines", "data: a\ndata:\ndata\ndata: b\n\n", []got{{"", "a\n\n\nb"}}},
		{"empty data", "data:\n\ndata\n\n", []got{{"", ""}, {"", ""}}},
		{"no data, no event", "event: a\n\nid: 1\n\n\n\ndata: x\n\n", []got{{"", "x"}}},
		{"name", "event: a\ndata: x\n\ndata: y\n\ndata: z\nevent: b\nevent: c\n\n", []got{{"a", "x"}, {"", "y"}, {"c", "z"}}},
		{"others are left out", "id: 1\nretry: 5\nfoo: b\nDATA: no\n data: no\ndata : no\ndata: x\n\n", []got{{"", "x"}}},
		{"comments", ": ping\n\n:\n\n: data: no\ndata: x\n: y\ndata: z\n\n", []got{{"", "x\nz"}}},
		{"byte order mark", "\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: no\n\n", []got{{"", "a"}}},
		{"half a byte order mark", "\xef\xbbdata: no\n\ndata: a\n\n", []got{{"", "a"}}},
		{"no blank line at the end", "data: a\n\ndata: b\n", []got{{"", "a"}, {"", "b"}}},
		{"no line end at the end", "data: a\n\nevent: e\ndata: b", []got{{"", "a"}, {"e", "b"}}},
		{"cut in a field's name", "data: a\n\ndat", []got{{"", "a"}}},
		{"UTF-8 and NUL", "data: żółw 🐢\x00\xff\n\n", []got{{"", "żółw 🐢\x00\xff"}}},
		{"nothing", "", nil},
	} {
		whole := []byte(c.stream)
		if diff := cmp.Diff(c.want, read(&openai.Reader{}, whole)); diff != "" {
			t.Errorf("%s:\n%s", c.name, diff)
		}
		if want, _ := reference(whole, 1<<20); cmp.Diff(c.want, want) != "" {
			t.Errorf("%s: the reference says %v", c.name, want)
		}
		for at := range whole {
			if diff := cmp.Diff(c.want, read(&openai.Reader{}, whole[:at], whole[at:])); diff != "" {
				t.Errorf("%s, split at %d:\n%s", c.name, at, diff)
			}
		}
		var bytewise [][]byte
		for i := range whole {
			bytewise = append(bytewise, whole[i:i+1])
		}
		if diff := cmp.Diff(c.want, read(&openai.Reader{}, bytewise...)); diff != "" {
			t.Errorf("%s, byte by byte:\n%s", c.name, diff)
		}
	}
}

func TestReaderDropsWhatIsTooLarge(t *testing.T) {
	big := strings.Repeat("x", 1<<20)
	stream := []byte("data: a\n\ndata: " + big + "\ndata: " + big + "\nevent: late\n\ndata: b\n\ndata: " + big + big)
	for _, size := range []int{1000, 1 << 16, len(stream)} {
		r := &openai.Reader{MaxEvent: 1<<20 + 100}
		var pieces [][]byte
		for rest := stream; len(rest) > 0; rest = rest[min(size, len(rest)):] {
			pieces = append(pieces, rest[:min(size, len(rest))])
		}
		if diff := cmp.Diff([]got{{"", "a"}, {"", "b"}}, read(r, pieces...)); diff != "" || r.Dropped() != 2 {
			t.Errorf("in pieces of %d: %d dropped\n%s", size, r.Dropped(), diff)
		}
	}
	r := &openai.Reader{}
	if events := read(r, []byte("data: "+big+"\n\n")); len(events) != 1 || events[0].Data != big {
		t.Errorf("an event of 1 MiB is not read: %d dropped", r.Dropped())
	}
}

func TestReaderIsReadyForAnotherStream(t *testing.T) {
	r := &openai.Reader{}
	for range 2 {
		if diff := cmp.Diff([]got{{"e", "a"}}, read(r, []byte("\xef\xbb\xbfevent: e\r\ndata: a\r\n\r"))); diff != "" {
			t.Error(diff)
		}
	}
}

// FuzzReader splits a stream in three and byte by byte, and compares with the reference.
func FuzzReader(f *testing.F) {
	for _, seed := range []string{
		"data: a\n\ndata: b\r\n\r\n", "\xef\xbb\xbfevent: x\rdata:y\r\rdata", ": c\ndata: a\ndata: b\nid: 1\n\n",
		"data: {\"a\":\"ż\"}\r\n\r\n\r\ndata: [DONE]", "data\ndata\n\n", "\xef\xbbdata: a\n\n", "data: 0123456789012345678901234567890123456789\n\ndata: a\n\n",
	} {
		f.Add([]byte(seed), uint16(3), uint16(9))
	}
	f.Fuzz(func(t *testing.T, stream []byte, i, j uint16) {
		const limit = 40
		want, dropped := reference(stream, limit)
		a := min(int(i), len(stream))
		b := min(a+int(j), len(stream))
		bytewise := make([][]byte, len(stream))
		for i := range stream {
			bytewise[i] = stream[i : i+1]
		}
		for how, pieces := range map[string][][]byte{
			"whole": {stream}, "in three": {stream[:a], stream[a:b], stream[b:]}, "byte by byte": bytewise,
		} {
			r := &openai.Reader{MaxEvent: limit}
			if diff := cmp.Diff(want, read(r, pieces...)); diff != "" || r.Dropped() != dropped {
				t.Errorf("%s: %d dropped, want %d\n%s", how, r.Dropped(), dropped, diff)
			}
		}
	})
}

// delta is a chunk as OpenAI sends hundreds of.
const delta = `data: {"id":"chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG","object":"chat.completion.chunk","created":1741570283,` +
	`"model":"gpt-4o-2024-08-06","service_tier":"default","system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,` +
	`"delta":{"content":" something"},"logprobs":null,"finish_reason":null}],"usage":null}` + "\n\n"

// TestReaderDoesNotAllocate holds where events lie whole within pieces.
func TestReaderDoesNotAllocate(t *testing.T) {
	r, chunk := &openai.Reader{}, []byte(delta+"event: x\ndata: y\n\n")
	ignore := func(*openai.Event) {}
	r.Feed(chunk, ignore)
	if n := testing.AllocsPerRun(100, func() { r.Feed(chunk, ignore) }); n != 0 {
		t.Errorf("%v allocations a piece", n)
	}
}

func BenchmarkReader(b *testing.B) {
	for _, c := range []struct {
		name   string
		pieces []string
	}{
		{"whole", []string{delta}},
		{"named", []string{"event: content_block_delta\n" + delta}},
		{"split", []string{delta[:100], delta[100:]}},
		{"CRLF", []string{strings.ReplaceAll(delta, "\n", "\r\n")}},
		{"CR", []string{strings.ReplaceAll(delta, "\n", "\r")}},
		{"1MB", []string{"data: " + strings.Repeat("x", 1<<20) + "\n\n"}},
	} {
		b.Run(c.name, func(b *testing.B) {
			var pieces [][]byte
			size := 0
			for _, p := range c.pieces {
				pieces = append(pieces, []byte(p))
				size += len(p)
			}
			r, n := &openai.Reader{}, 0
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				for _, p := range pieces {
					r.Feed(p, func(*openai.Event) { n++ })
				}
			}
			if n != b.N {
				b.Fatalf("%d events of %d", n, b.N)
			}
		})
	}
}
