package chatlog

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"gopkg.in/natefinch/lumberjack.v2"

	"tollgate/extproc/openai"
)

const (
	megabyte = 1 << 20

	// minFileSize is far more than can be written in a millisecond: lumberjack names full files after
	// the millisecond, and would put a second one over the first.
	minFileSize = 9 * megabyte
)

// kind names the folder and the file of an API, as OpenAI-Forward does for those that it knows.
func kind(api openai.API) string {
	switch api {
	case openai.Completions:
		return "completion"
	case openai.Transcriptions:
		return "whisper"
	case openai.Embeddings:
		return "embedding"
	default:
		return string(api)
	}
}

// path is the file for a route and an API.
func (o *Options) path(route string, api openai.API) string {
	return filepath.Join(o.Dir, Prefix(route), kind(api), kind(api)+".log")
}

// Prefix is a route's prefix as a folder's name: / is openai, /a/b is a_b.
func Prefix(route string) string {
	name := strings.Trim(strings.ReplaceAll(route, "/", "_"), "_")
	if name == "" {
		return "openai"
	}
	return name
}

// fileSize is at which size a file is begun anew: whole megabytes, and not too few.
func (o *Options) fileSize() int64 {
	return max(minFileSize, (o.MaxFileBytes+megabyte-1)/megabyte*megabyte)
}

// rotating opens a file that is begun anew when it is full. lumberjack does that: it is small, and
// keeps to one file a logger, which is all that is needed here.
func (o *Options) rotating(path string) io.WriteCloser {
	return &private{path: path, Logger: lumberjack.Logger{
		Filename:   path,
		MaxSize:    int(o.fileSize() / megabyte),
		MaxBackups: o.MaxFiles,
		LocalTime:  true,
	}}
}

// private makes the folder for its owner only, which lumberjack would make for all.
type private struct {
	lumberjack.Logger

	path string
	made bool
}

// Write writes one batch of lines into one file: lumberjack rotates between writes.
func (p *private) Write(lines []byte) (int, error) {
	if !p.made {
		if err := os.MkdirAll(filepath.Dir(p.path), 0o700); err != nil {
			return 0, fmt.Errorf("making the chat log's folder: %w", err)
		}
		if torn(p.path) { // the next line must stand alone
			if _, err := p.Logger.Write(newline); err != nil {
				return 0, fmt.Errorf("ending the chat log's torn line: %w", err)
			}
		}
		p.made = true
	}
	n, err := p.Logger.Write(lines)
	if errors.Is(err, os.ErrNotExist) {
		p.made = false // someone took the folder away: make it again next time
	}
	if err != nil {
		return n, fmt.Errorf("writing the chat log: %w", err)
	}
	return n, nil
}

// torn tells whether a file does not end with a line: the process that wrote it died, or its disk was full.
func torn(path string) bool {
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer func() { _ = file.Close() }()
	last := make([]byte, 1)
	if _, err := file.Seek(-1, io.SeekEnd); err != nil {
		return false // it is empty
	}
	_, err = io.ReadFull(file, last)
	return err == nil && last[0] != '\n'
}
