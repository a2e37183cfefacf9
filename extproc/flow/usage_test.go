package flow

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// extra is the event that include_usage brings, as OpenAI sends it.
const extra = `data: {"id":"chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG","object":"chat.completion.chunk","created":1741570283,` +
	`"model":"gpt-4o-2024-08-06","service_tier":"default","system_fingerprint":"fp_44709d6fcb","choices":[],` +
	`"usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29}}` + "\n\n"

func TestExtra(t *testing.T) {
	for event, want := range map[string]bool{
		extra: true,
		"data:{\"usage\":{\"total_tokens\":1},\"choices\":[]}\r\n\r\n":                               true,
		"data: {\"choices\" : [ ]\t, \"usage\" : {} }\r\r":                                           true,
		"data: {\ndata: \"choices\": [\ndata: ], \"usage\":\ndata: {\"total_tokens\":1}\ndata:}\n\n": true,
		"data: {\"choices\":[],\r\ndata: \"usage\"\r\ndata::{}}\r\n\r\n":                             true,
		": c\nid: 7\nevent: x\ndata: {\"choices\":[],\"usage\":{}}\n: c\n\n":                         true,
		"\xef\xbb\xbfdata: {\"choices\":[],\"usage\":{}}":                                            true,
		"\ndata: {\"choices\":[],\"usage\":{},\"error\":null}\n\n":                                   true,
		"data: {\"choices\":[{}],\"choices\":[],\"usage\":null,\"usage\":{}}\n\n":                    true,
		"data: {\"choices\":[],\"usage\":{},\"x\":\"say \\\"usage\\\":null\"}\n\n":                   true,
		"data: {\"x_groq\":{\"usage\":null},\"choices\":[],\"usage\":{\"a\":1}}\n\n":                 true,
		delta:                               false,
		"data: [DONE]\n\n":                  false,
		": \"usage\":{} \"choices\":[]\n\n": false,
		"":                                  false,
		"event: {\"choices\":[],\"usage\":{}}\n\n":                                                            false,
		"data: {\"choices\":[],\"usage\":null}\n\n":                                                           false,
		"data: {\"choices\":[],\"usage\" :\tnull}\n\n":                                                        false,
		"data: {\"choices\":[],\"usage\":\ndata: null}\n\n":                                                   false,
		"data: {\"choices\":[],\"prompt_filter_results\":[{\"prompt_index\":0}]}\n\n":                         false,
		"data: {\"choices\":[],\"prompt_filter_results\":[{\"prompt_index\":0}],\"usage\":null}\n\n":          false,
		"data: {\"choices\":[{\"index\":0,\"delta\":{}}],\"usage\":{\"total_tokens\":1}}\n\n":                 false,
		"data: {\"choices\":[],\"choices\":[{}],\"usage\":{\"total_tokens\":1}}\n\n":                          false,
		"data: {\"choices\":null,\"usage\":{\"total_tokens\":1}}\n\n":                                         false,
		"data: {\"usage\":{\"total_tokens\":1}}\n\n":                                                          false,
		"data: {\"choices\":\"[]\",\"usage\":{}}\n\n":                                                         false,
		"data: {\"choices\":[],\"x_groq\":{\"usage\":{\"total_tokens\":1}}}\n\n":                              false,
		"data: {\"choices\":[],\"error\":{\"message\":\"no\"},\"usage\":{}}\n\n":                              false,
		"data: {\"choices\":[],\"usage\":{}\n\n":                                                              false,
		"data: {\"choices\":[],\"usage\":{}} {}\n\n":                                                          false,
		"data: [{\"choices\":[],\"usage\":{}}]\n\n":                                                           false,
		"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\\\"choices\\\":[],\\\"usage\\\":{}\"}}]}": false,
		"data: {\"choices\":[{\"delta\":{\"choices\":[],\"usage\":{}}}]}\n\n":                                 false,
		"data: " + strings.Repeat(`{"usage":`, 1<<20) + "\n\n":                                                false,
	} {
		if Extra([]byte(event)) != want {
			t.Errorf("%.200q: not %v", event, want)
		}
	}
}

// filtered is what a client gets of a stream.
func filtered(t testing.TB, chunks ...[]byte) (passed string, taken int) {
	t.Helper()
	s, f := &Splitter{}, &UsageFilter{}
	take := func(p Piece) error {
		if f.Takes(p) {
			taken += len(p.Bytes)
			return nil
		}
		passed += string(p.Bytes)
		return nil
	}
	for _, chunk := range chunks {
		require.NoError(t, s.Feed(chunk, take))
	}
	require.NoError(t, s.Close(take))
	return passed, taken
}

// TestUsageFilter: however a stream is cut, the extra event is missing and nothing else.
func TestUsageFilter(t *testing.T) {
	keep := ": ping\n" + delta
	for _, end := range []string{"\n", "\r\n", "\r"} {
		before, gone, after := strings.ReplaceAll(keep, "\n", end), strings.ReplaceAll(extra, "\n", end), "data: [DONE]"+end+end
		stream := []byte(before + gone + after)
		for at := range stream {
			passed, taken := filtered(t, stream[:at], stream[at:])
			require.Equal(t, before+after, passed, "cut at %d", at)
			require.Equal(t, len(gone), taken)
		}
		passed, _ := filtered(t, bytewise(stream)...)
		require.Equal(t, before+after, passed)
		passed, _ = filtered(t, stream[:len(stream)-len(after)-2*len(end)])
		require.Equal(t, before, passed, "cut short")
	}
	var none *UsageFilter
	require.False(t, none.Takes(Piece{Bytes: []byte(extra), Event: true}))
}

// TestUsageFilterOnRecordedStreams takes out what says usage and has no choices, and nothing else.
func TestUsageFilterOnRecordedStreams(t *testing.T) {
	files, err := filepath.Glob("../openai/testdata/*.sse")
	require.NoError(t, err)
	took := 0
	for _, file := range files {
		stream, err := os.ReadFile(file)
		require.NoError(t, err)
		var want string
		for event := range strings.SplitAfterSeq(string(stream), "\n\n") {
			var chunk struct {
				Choices *[]any
				Usage   any
			}
			data := strings.TrimPrefix(event, "data: ")
			if json.Unmarshal([]byte(data), &chunk) == nil && chunk.Usage != nil && chunk.Choices != nil && len(*chunk.Choices) == 0 {
				took++
				continue
			}
			want += event
		}
		passed, _ := filtered(t, stream)
		require.Equal(t, want, passed, file)
	}
	require.GreaterOrEqual(t, took, 4, "the recorded streams hold none")
}

// TestUsageFilterFollowsLargeEvents: what is too large to be looked at passes, all of it.
func TestUsageFilterFollowsLargeEvents(t *testing.T) {
	f := &UsageFilter{}
	require.False(t, f.Takes(Piece{Bytes: []byte(strings.TrimSpace(extra) + "\n")}), "taken, though more of it can come")
	require.False(t, f.Takes(Piece{Bytes: []byte(extra), Event: true, More: true}))
	require.True(t, f.Takes(Piece{Bytes: []byte(extra), Event: true}))
	require.True(t, f.Takes(Piece{Bytes: []byte("\n"), More: true}))
	require.False(t, f.Takes(Piece{Bytes: []byte("\n")}))
}

func BenchmarkExtra(b *testing.B) {
	for name, event := range map[string]string{
		"usage null": delta,
		"no usage":   strings.Replace(delta, `,"usage":null`, "", 1),
		"continuous": strings.Replace(delta, `"usage":null`, `"usage":{"total_tokens":7}`, 1),
		"extra":      extra,
		"1 MB":       "data: " + strings.Repeat("x", 1<<20) + "\n\n",
	} {
		b.Run(name, func(b *testing.B) {
			raw := []byte(event)
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				_ = Extra(raw)
			}
		})
	}
}
