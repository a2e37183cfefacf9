package convert_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/extproc/openai"
	"tollgate/extproc/openai/convert"
)

func lines(events ...string) [][]byte {
	var list [][]byte
	for _, e := range events {
		list = append(list, []byte("data: "+e+"\n\n"))
	}
	return list
}

func TestWithUsage(t *testing.T) {
	const (
		text  = `{"id":"x","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"a"}}]}`
		null  = `{"id":"x","choices":[{"index":0,"delta":{"content":"usage"}}],"usage":null}`
		usage = `{"id":"x","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"total_tokens":3}}`
		more  = `{"id":"x","choices":[],"usage":{"total_tokens":3},"citations":["u"]}`
		rest  = `{"id":"x","choices":[],"citations":["u"]}`
		both  = `{"id":"x","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"total_tokens":3}}`
		groq  = `{"id":"x","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"x_groq":{"usage":{"total_tokens":3}}}`
		made  = `{"id":"x","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"prompt_tokens_details":{"cached_tokens":1},"completion_tokens_details":{"reasoning_tokens":2}}}`
		done  = "[DONE]"
	)
	known := &openai.Usage{Prompt: 1, Completion: 2, Total: 3, Cached: 1, Reasoning: 2}
	for name, c := range map[string]struct {
		stream, want [][]byte
		asked        bool
		known        *openai.Usage
	}{
		"left out":                    {lines(text, null, usage, done), lines(text, null, done), false, known},
		"nothing to leave out":        {lines(text, done), lines(text, done), false, known},
		"it has more":                 {lines(text, more, done), lines(text, rest, done), false, nil},
		"beside a choice: to all":     {lines(text, both, done), lines(text, both, done), false, nil},
		"asked, and there":            {lines(text, null, usage, done), lines(text, null, usage, done), true, known},
		"asked, beside a choice":      {lines(text, both, done), lines(text, both, done), true, known},
		"asked, in Groq's place":      {lines(text, groq, done), lines(text, groq, done), true, known},
		"asked, and known":            {lines(text, done), lines(text, made, done), true, known},
		"asked, nothing but null":     {lines(text, `{"usage":null}`, done), lines(text, `{"usage":null}`, made, done), true, known},
		"asked, known, no end":        {lines(text), lines(text, made), true, known},
		"asked, and nobody knows":     {lines(text, done), lines(text, done), true, nil},
		"a word in what is no object": {lines(`"usage"`, done), lines(`"usage"`, done), false, nil},
	} {
		before := bytes.Join(c.stream, nil)
		got := convert.WithUsage(openai.Chat, c.stream, c.asked, c.known)
		if diff := cmp.Diff(string(bytes.Join(c.want, nil)), string(bytes.Join(got, nil))); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
		if !bytes.Equal(before, bytes.Join(c.stream, nil)) {
			t.Errorf("%s: the stored stream has changed", name)
		}
	}
	response := lines(`{"choices":[],"usage":{"total_tokens":3}}`)
	if got := convert.WithUsage(openai.Responses, response, false, nil); len(got) != 1 {
		t.Error("a response has lost an event")
	}
}

// TestWithUsageIsLikeAsking: a stream made without usage and then given it, and the other way round,
// says what the stream says that was asked for so.
func TestWithUsageIsLikeAsking(t *testing.T) {
	body := bodies(t)["chat-text"]
	asked, unasked := streamOf(t, openai.Chat, body, true), streamOf(t, openai.Chat, body, false)
	usage := assembled(openai.Chat, bytes.Join(asked, nil)).Usage
	given := convert.WithUsage(openai.Chat, unasked, true, usage)
	if diff := cmp.Diff(assembled(openai.Chat, bytes.Join(asked, nil)), assembled(openai.Chat, bytes.Join(given, nil))); diff != "" {
		t.Error(diff)
	}
	taken := convert.WithUsage(openai.Chat, asked, false, nil)
	if diff := cmp.Diff(assembled(openai.Chat, bytes.Join(unasked, nil)), assembled(openai.Chat, bytes.Join(taken, nil))); diff != "" {
		t.Error(diff)
	}
}

func TestSplit(t *testing.T) {
	for stream, want := range map[string][]string{
		"":                                    nil,
		"data: a\n\ndata: b\n\n":              {"data: a\n\n", "data: b\n\n"},
		"data: a\r\n\r\ndata: b\r\rdata: c":   {"data: a\r\n\r\n", "data: b\r\r", "data: c"},
		": comment\n\n\ndata: a\ndata: b\n\n": {": comment\n\n", "\ndata: a\ndata: b\n\n"},
	} {
		var got []string
		for _, piece := range convert.Split([]byte(stream)) {
			got = append(got, string(piece))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %q", stream, got)
		}
	}
}

// FuzzSplit: nothing is lost, and each piece has one event at most, the same as in the whole.
func FuzzSplit(f *testing.F) {
	for _, file := range files(f, "../testdata/*.sse") {
		f.Add([]byte(load(f, file)))
	}
	f.Add([]byte("\r\n\rdata: a\r\r\ndata\n\n"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		pieces := convert.Split(stream)
		if !bytes.Equal(bytes.Join(pieces, nil), stream) {
			t.Fatal("something is lost")
		}
		if bytes.HasPrefix(stream, []byte("\xef")) {
			return // a byte order mark may begin a stream, not an event
		}
		var whole, single []string
		read := func(into *[]string, chunk []byte) {
			var reader openai.Reader
			take := func(e *openai.Event) { *into = append(*into, e.Name+":"+string(e.Data)) }
			reader.Feed(chunk, take)
			reader.Close(take)
		}
		read(&whole, stream)
		for _, piece := range pieces {
			before := len(single)
			if bytes.HasPrefix(piece, []byte("\xef")) {
				return
			}
			read(&single, piece)
			if len(single) > before+1 {
				t.Errorf("%q is more than one event", piece)
			}
		}
		if !slices.Equal(whole, single) {
			t.Errorf("%q, whole %q", single, whole)
		}
	})
}
