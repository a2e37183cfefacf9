package cache

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tollgate/extproc/openai"
)

// chat is a request for a chat of about size bytes, as the SDKs write it.
func chat(size int) string {
	return fmt.Sprintf(`{"messages":[{"role":"system","content":"You are a helpful assistant."},{"role":"user","content":"%s"}],`+
		`"model":"gpt-4o-mini","temperature":0.7,"max_tokens":1024,"stream":true,"stream_options":{"include_usage":true},`+
		`"tools":[{"type":"function","function":{"name":"weather","description":"The weather of a place","parameters":{"type":"object",`+
		`"properties":{"place":{"type":"string"},"unit":{"enum":["c","f"],"type":"string"}},"required":["place"]}}}]}`,
		strings.Repeat(`How is it in \"Zürich\"?\n`, size/26))
}

func BenchmarkKeyOf(b *testing.B) {
	for _, size := range []int{2 << 10, 100 << 10} {
		b.Run(fmt.Sprintf("%dKB", size>>10), func(b *testing.B) {
			body := chat(size - 500)
			request := parse(b, openai.Chat, body)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := KeyOf(request, "route", "/v1/chat/completions", "client", "ada"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkGetMemory(b *testing.B) {
	m := newMemory(b, 1<<26, 1<<20)
	require.NoError(b, m.Put(b.Context(), number(1), entryOf(m.now(), 2<<10)))
	b.ReportAllocs()
	for b.Loop() {
		if got, err := m.Get(b.Context(), number(1)); got == nil || err != nil {
			b.Fatal("it is not there")
		}
	}
}

func BenchmarkGetDisk(b *testing.B) {
	d, err := NewDisk(b.TempDir(), 256<<20, 1<<20, Watch{})
	require.NoError(b, err)
	defer func() { _ = d.Close() }()
	for n := range 1000 {
		require.NoError(b, d.Put(b.Context(), number(n), noiseOf(time.Now(), n)))
	}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if got, err := d.Get(b.Context(), number(n%1000)); got == nil || err != nil {
			b.Fatal("it is not there")
		}
	}
}

func BenchmarkPutDisk(b *testing.B) {
	d, err := NewDisk(b.TempDir(), 256<<20, 1<<20, Watch{})
	require.NoError(b, err)
	defer func() { _ = d.Close() }()
	entry := noiseOf(time.Now(), 1)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		require.NoError(b, d.Put(b.Context(), number(n), entry))
	}
}
