package mock

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
)

const (
	chunkSize       = 64 << 10
	usualSpeechSize = 4096
	longestField    = 1 << 20

	// pixel is a PNG of one pixel.
	pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)

func (c *call) images() {
	var request struct {
		Prompt         string `json:"prompt"`
		N              int    `json:"n"`
		ResponseFormat string `json:"response_format"`
	}
	if !c.read(&request) {
		return
	}
	data := make([]object, max(1, min(request.N, 10)))
	for i := range data {
		data[i] = object{"b64_json": pixel, "revised_prompt": request.Prompt}
		if request.ResponseFormat == "url" {
			data[i] = object{"url": fmt.Sprintf("https://images.invalid/%d.png", i), "revised_prompt": request.Prompt}
		}
	}
	c.sendJSON(0, object{"created": created, "data": data})
}

// speech answers with mock-size bytes of the pattern.
func (c *call) speech() {
	var request struct {
		Input string `json:"input"`
	}
	if c.read(&request) {
		c.sendPattern("audio/mpeg", usualSpeechSize)
	}
}

// sendPattern sends as many bytes as were ordered, else the usual number.
func (c *call) sendPattern(contentType string, size int64) {
	if c.orders.size >= 0 {
		size = c.orders.size
	}
	c.send(answer{
		status: c.orders.status, contentType: contentType, length: size, count: int((size + chunkSize - 1) / chunkSize),
		piece: func(i int) []byte {
			from := int64(i) * chunkSize
			return Pattern(from, min(chunkSize, size-from))
		},
	})
}

// Pattern is n bytes of the mock's binary content, from an offset on. No two blocks of 64 KiB near
// each other are alike, so that lost, doubled and swapped ones show.
func Pattern(offset, n int64) []byte {
	data := make([]byte, n)
	for i := range data {
		at := uint64(offset) + uint64(i) //nolint:gosec // offsets are not negative
		data[i] = byte(at*7 + at>>8*13 + at>>16*31)
	}
	return data
}

// upload is a file in a form.
type upload struct {
	name, digest string
	length       int64
	head         []byte // its beginning, as much as was asked for
}

// transcription tells what file was sent.
func (c *call) transcription() {
	fields, sent, err := c.readForm(0)
	if err != nil || sent == nil {
		c.badForm(err)
		return
	}
	said := fmt.Sprintf("%s: %d bytes, sha256 %s", sent.name, sent.length, sent.digest)
	if fields["response_format"] == "text" {
		body := []byte(said + "\n")
		c.send(answer{status: c.orders.status, contentType: "text/plain; charset=utf-8", length: int64(len(body)), count: 1, piece: one(body)})
		return
	}
	c.sendJSON(0, object{"text": said, "usage": object{"type": "duration", "seconds": 1}})
}

func (c *call) badForm(err error) {
	message := "You must send a multipart form with a file."
	if err != nil {
		message += " " + err.Error()
	}
	c.badRequest("file", message)
}

// readForm streams through a multipart body, and keeps its fields and the first bytes of its file.
func (c *call) readForm(keep int64) (map[string]string, *upload, error) {
	form, err := c.r.MultipartReader()
	if err != nil {
		return nil, nil, fmt.Errorf("reading the form: %w", err)
	}
	fields, sent := make(map[string]string), (*upload)(nil)
	for {
		next, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return fields, sent, nil
		}
		if err != nil {
			return nil, nil, fmt.Errorf("reading the form: %w", err)
		}
		if next.FormName() == "file" {
			sent, err = receive(next, keep)
		} else {
			var value []byte
			value, err = io.ReadAll(io.LimitReader(next, longestField))
			fields[next.FormName()] = string(value)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("reading %s: %w", next.FormName(), err)
		}
	}
}

// receive hashes a file and forgets it, but for its beginning.
func receive(from *multipart.Part, keep int64) (*upload, error) {
	sum := sha256.New()
	hashed := io.TeeReader(from, sum)
	head, err := io.ReadAll(io.LimitReader(hashed, keep))
	if err != nil {
		return nil, fmt.Errorf("receiving: %w", err)
	}
	rest, err := io.Copy(io.Discard, hashed)
	if err != nil {
		return nil, fmt.Errorf("receiving: %w", err)
	}
	return &upload{name: from.FileName(), digest: hex.EncodeToString(sum.Sum(nil)), length: int64(len(head)) + rest, head: head}, nil
}
