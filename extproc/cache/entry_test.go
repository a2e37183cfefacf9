package cache

import (
	"bytes"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tollgate/extproc/openai"
)

// fullEntry has something in each of its fields.
func fullEntry(size int) *Entry {
	stored := time.Date(2026, 1, 2, 12, 0, 0, 123456789, time.UTC)
	return &Entry{
		Stored: stored, Expires: stored.Add(time.Hour), Stream: true, ToldUsage: true,
		ContentType: "text/event-stream; charset=utf-8", Model: "gpt-4o-mini-2024-07-18",
		Body:  []byte(strings.Repeat("data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n", size/40+1)[:size]),
		Usage: openai.Usage{Prompt: 1, Completion: 2, Total: 3, Cached: 4, Reasoning: 5}, Took: 1234567 * time.Microsecond,
	}
}

// requireSame compares entries; a time's zone does not matter.
func requireSame(t testing.TB, want, got *Entry) {
	t.Helper()
	require.NotNil(t, got)
	require.True(t, want.Stored.Equal(got.Stored), "%v, not %v", got.Stored, want.Stored)
	require.True(t, want.Expires.Equal(got.Expires), "%v, not %v", got.Expires, want.Expires)
	a, b := *want, *got
	a.Stored, a.Expires, b.Stored, b.Expires = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	require.True(t, bytes.Equal(a.Body, b.Body), "the bodies differ")
	a.Body, b.Body = nil, nil
	require.Equal(t, a, b)
}

func TestEncode(t *testing.T) {
	t.Parallel()
	noise := make([]byte, 5000)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	for name, entry := range map[string]*Entry{
		"small": fullEntry(10), "no body": fullEntry(0), "below": fullEntry(compressFrom - 1), "at": fullEntry(compressFrom), "large": fullEntry(1 << 20),
		"little": {Stored: time.Unix(0, 0), Expires: time.Unix(0, 1), Body: []byte("x")},
		"noise":  {Stored: time.Unix(1, 0), Expires: time.Unix(2, 0), Body: noise, Usage: openai.Usage{Total: math.MaxInt32}},
	} {
		encoded := encode(number(1), entry)
		got, err := decode(number(1), encoded, len(entry.Body))
		require.NoError(t, err, name)
		requireSame(t, entry, got)
		require.LessOrEqual(t, len(encoded), len(entry.Body)+200, name)

		_, err = decode(number(2), encoded, 1<<20)
		require.ErrorIs(t, err, errCorrupt, "%s: of another key", name)
		if len(entry.Body) > 0 {
			_, err = decode(number(1), encoded, len(entry.Body)-1)
			require.ErrorIs(t, err, errTooLarge, name)
		}
	}
	require.Less(t, len(encode(number(1), fullEntry(1<<20))), 1<<12, "streams are full of repetitions")
}

// TestDecodeCorrupt: an entry with any byte changed, missing or added is none.
func TestDecodeCorrupt(t *testing.T) {
	t.Parallel()
	for _, size := range []int{10, 2000} {
		encoded := encode(number(1), fullEntry(size))
		for i := range encoded {
			for _, flip := range []byte{0x01, 0x80, 0xff} {
				broken := bytes.Clone(encoded)
				broken[i] ^= flip
				_, err := decode(number(1), broken, 1<<20)
				require.Error(t, err, "byte %d", i)
			}
			_, err := decode(number(1), encoded[:i], 1<<20)
			require.Error(t, err, "the first %d bytes", i)
			_, err = decode(number(1), append(bytes.Clone(encoded[:i]), encoded[i+1:]...), 1<<20)
			require.Error(t, err, "without byte %d", i)
		}
		_, err := decode(number(1), append(bytes.Clone(encoded), 0), 1<<20)
		require.Error(t, err)
	}
}

// FuzzDecode: whatever is under the right checksum, decoding ends, and takes no more memory than it may.
func FuzzDecode(f *testing.F) {
	for _, size := range []int{0, 10, 2000} {
		encoded := encode(number(1), fullEntry(size))
		f.Add(encoded[1], encoded[storedAt:], true)
	}
	f.Fuzz(func(t *testing.T, flags byte, rest []byte, sealed bool) {
		data := append([]byte{entryFormat, flags}, make([]byte, storedAt-checksumAt)...)
		data = append(data, rest...)
		if sealed && len(data) >= fieldsAt {
			checksum := checksumOf(number(1), data)
			copy(data[checksumAt:], checksum[:])
		}
		const most = 1 << 16
		entry, err := decode(number(1), data, most)
		if err != nil {
			return
		}
		require.True(t, sealed)
		require.LessOrEqual(t, len(entry.Body), most)
		again, err := decode(number(1), encode(number(1), entry), most)
		require.NoError(t, err)
		requireSame(t, entry, again)
	})
}
