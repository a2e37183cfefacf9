package envoy

import (
	"bytes"
	"io"
	"regexp"
	"sync"
)

// longestLine is from how many bytes on a line goes out in pieces.
const longestLine = 64 << 10

// Redactor passes lines on without the keys in them: values of headers that hold one by their names, bearer
// tokens, and what begins as keys do. Envoy prints requests' headers when it crashes, and when someone turns its
// log up.
type Redactor struct {
	out      io.Writer
	patterns []*regexp.Regexp // what their first group matches stays

	mu   sync.Mutex
	line []byte // that has not ended
}

// NewRedactor passes lines on to out.
func NewRedactor(out io.Writer) *Redactor {
	return &Redactor{out: out, patterns: []*regexp.Regexp{
		regexp.MustCompile(`(\b(?:sk|fk|rk|pk)-)[\w.-]{4,}`),
		// 'authorization', 'Bearer …' as Envoy prints a header; authorization: … as others do; in JSON too.
		regexp.MustCompile(`(?i)([\w-]*(?:authorization|api-?key|apikey|secret|cookie|websocket-protocol|x-[\w-]*token)[\w-]*\\?['"]?\s*[:=,]\s*\\?['"]?)[^'"\\\s][^'"\\\r\n]*`),
		regexp.MustCompile(`(?i)(\b(?:bearer|basic) )[^\s'"\\,]+`),
		regexp.MustCompile(`(openai-insecure-api-key\.)[^\s'"\\,]+`),
	}}
}

// Write takes a part of what is said.
func (r *Redactor) Write(said []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.line = append(r.line, said...)
	end := bytes.LastIndexByte(r.line, '\n') + 1
	if end == 0 && len(r.line) > longestLine {
		end = len(r.line)
	}
	if end == 0 {
		return len(said), nil
	}
	whole := r.line[:end]
	for _, pattern := range r.patterns {
		whole = pattern.ReplaceAll(whole, []byte("${1}[redacted]"))
	}
	_, err := r.out.Write(whole)
	r.line = append(r.line[:0], r.line[end:]...)
	return len(said), err
}

// Close passes on what has no end.
func (r *Redactor) Close() error {
	_, err := r.Write([]byte("\n"))
	return err
}
