package cache

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
)

// entryFormat is the first byte of an entry's encoding: to be changed with what follows it. Stores have it in
// their keys, too, so that a program never finds what another format holds.
const entryFormat = '1'

// compressFrom is how large a body must be that it is worth compressing, in bytes.
const compressFrom = 1 << 10

// Flags, in the second byte.
const (
	isStream = 1 << iota
	toldUsage
	compressed
)

// An encoded entry is its format, its flags, a checksum, when it was stored and when it expires (nanoseconds
// since 1970), and then fields of any length: the body is the last.
const (
	checksumAt = 2
	storedAt   = checksumAt + sha256.Size/2
	expiresAt  = storedAt + 8
	fieldsAt   = expiresAt + 8
)

var (
	errCorrupt  = errors.New("the bytes are not those of an entry with this key")
	errTooLarge = errors.New("the entry is larger than entries may be")
)

// encode writes an entry for a disk or for Redis.
func encode(key Key, entry *Entry) []byte {
	body, flags := entry.Body, byte(0)
	if entry.Stream {
		flags |= isStream
	}
	if entry.ToldUsage {
		flags |= toldUsage
	}
	if len(body) >= compressFrom {
		if smaller := compressor().EncodeAll(body, nil); len(smaller) < len(body) {
			body, flags = smaller, flags|compressed
		}
	}
	out := make([]byte, fieldsAt, fieldsAt+len(body)+len(entry.ContentType)+len(entry.Model)+64)
	out[0], out[1] = entryFormat, flags
	binary.BigEndian.PutUint64(out[storedAt:], uint64(entry.Stored.UnixNano()))
	binary.BigEndian.PutUint64(out[expiresAt:], uint64(entry.Expires.UnixNano()))
	for _, n := range []int64{
		int64(entry.Took),
		int64(entry.Usage.Prompt), int64(entry.Usage.Completion), int64(entry.Usage.Total),
		int64(entry.Usage.Cached), int64(entry.Usage.Reasoning),
		int64(len(entry.Body)),
	} {
		out = binary.AppendVarint(out, n)
	}
	for _, s := range []string{entry.ContentType, entry.Model} {
		out = binary.AppendUvarint(out, uint64(len(s)))
		out = append(out, s...)
	}
	out = append(out, body...)
	checksum := checksumOf(key, out)
	copy(out[checksumAt:], checksum[:])
	return out
}

// decode reads what encode wrote for this key, as long as its body is no larger than maxBody. The entry may
// hold on to data. It is errTooLarge where it is, any other
// error means that data is not such an entry.
func decode(key Key, data []byte, maxBody int) (*Entry, error) {
	if len(data) < fieldsAt || data[0] != entryFormat {
		return nil, errCorrupt
	}
	if checksum := checksumOf(key, data); !bytes.Equal(checksum[:], data[checksumAt:storedAt]) {
		return nil, errCorrupt
	}
	f := fields{rest: data[fieldsAt:]}
	entry := &Entry{
		Stream: data[1]&isStream != 0, ToldUsage: data[1]&toldUsage != 0,
		Stored: timeAt(data, storedAt), Expires: timeAt(data, expiresAt), Took: time.Duration(f.int()),
	}
	u := &entry.Usage
	for _, n := range []*int{&u.Prompt, &u.Completion, &u.Total, &u.Cached, &u.Reasoning} {
		*n = int(f.int())
	}
	size := f.int()
	entry.ContentType, entry.Model = f.text(), f.text()
	if f.failed || size < 0 {
		return nil, errCorrupt
	}
	if size > int64(maxBody) {
		return nil, errTooLarge
	}
	entry.Body = f.rest
	if data[1]&compressed != 0 {
		body, err := decompressor().DecodeAll(f.rest, make([]byte, 0, size))
		if err != nil {
			return nil, fmt.Errorf("decompressing an entry: %w", err)
		}
		entry.Body = body
	}
	if int64(len(entry.Body)) != size {
		return nil, errCorrupt
	}
	return entry, nil
}

func timeAt(data []byte, at int) time.Time {
	return time.Unix(0, int64(binary.BigEndian.Uint64(data[at:]))) //nolint:gosec // as encode wrote it
}

// checksumOf digests an encoded entry, and its key: an entry in another's place is a corrupt one.
func checksumOf(key Key, data []byte) (sum [sha256.Size / 2]byte) {
	h := sha256.New()
	h.Write(key[:])
	h.Write(data[:checksumAt])
	h.Write(data[storedAt:])
	var whole Key
	h.Sum(whole[:0])
	return [sha256.Size / 2]byte(whole[:])
}

// fields reads fields one after the other. Once one cannot be read, none can.
type fields struct {
	rest   []byte
	failed bool
}

func (f *fields) int() int64 {
	n, size := binary.Varint(f.rest)
	if size <= 0 {
		f.failed, f.rest = true, nil
		return 0
	}
	f.rest = f.rest[size:]
	return n
}

func (f *fields) text() string {
	length, size := binary.Uvarint(f.rest)
	if size <= 0 || length > uint64(len(f.rest)-size) { //nolint:gosec // it read no more than there is
		f.failed, f.rest = true, nil
		return ""
	}
	end := size + int(length) //nolint:gosec // no more than there is
	s := string(f.rest[size:end])
	f.rest = f.rest[end:]
	return s
}

// The library's encoders and decoders are for all to use at once, and costly to make.
var (
	compressor = sync.OnceValue(func() *zstd.Encoder {
		made, err := zstd.NewWriter(nil, zstd.WithWindowSize(1<<20), zstd.WithLowerEncoderMem(true))
		if err != nil {
			panic(err) // an option is wrong
		}
		return made
	})
	decompressor = sync.OnceValue(func() *zstd.Decoder {
		made, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(maxDecompressed))
		if err != nil {
			panic(err) // an option is wrong
		}
		return made
	})
)

// maxDecompressed bounds a body that is compressed; the configuration allows no larger ones.
const maxDecompressed = 64 << 20
