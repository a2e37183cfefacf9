package chatlog

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

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

// rotating opens a file that is begun anew when it is full.
func (o *Options) rotating(path string) io.WriteCloser {
	return &rotating{path: path, most: o.fileSize(), backups: lumberjack.Logger{
		Filename:   path,
		MaxSize:    int(o.fileSize()/megabyte) + 1, // rotating comes first
		MaxBackups: o.MaxFiles,
		LocalTime:  true,
	}}
}

// rotating writes at the end of a file, wherever that is: another process may write to it as well, while it takes
// over from this one. Who writes holds the file's lock (where the file system has none, it goes without).
// lumberjack does what is to be done with full files: it is small, and keeps to one file a logger, which is all that
// is needed here. But it opens a file that it begins for writing from its start on.
type rotating struct {
	path    string
	most    int64
	backups lumberjack.Logger

	file *os.File // nil: it is to be opened
}

// Write writes one batch of lines into one file.
func (r *rotating) Write(lines []byte) (int, error) {
	if err := r.lock(int64(len(lines))); err != nil {
		return 0, fmt.Errorf("opening the chat log: %w", err)
	}
	n, err := r.file.Write(lines)
	_ = syscall.Flock(int(r.file.Fd()), syscall.LOCK_UN)
	if err != nil {
		return n, fmt.Errorf("writing the chat log: %w", err)
	}
	return n, nil
}

// lock holds a file that has room for more. A full one is set aside, unless another process has done so.
func (r *rotating) lock(more int64) error {
	if r.file == nil {
		return r.open()
	}
	_ = syscall.Flock(int(r.file.Fd()), syscall.LOCK_EX)
	mine, err := r.file.Stat()
	if err != nil {
		return errors.Join(err, r.Close())
	}
	if mine.Size() == 0 || mine.Size()+more <= r.most {
		return nil
	}
	if there, err := os.Stat(r.path); err == nil && os.SameFile(mine, there) {
		if err := errors.Join(r.backups.Rotate(), r.backups.Close()); err != nil {
			return errors.Join(err, r.Close())
		}
	}
	_ = r.Close()
	return r.open()
}

// open opens and locks the file, in a folder for its owner only.
func (r *rotating) open() error {
	if err := os.MkdirAll(filepath.Dir(r.path), 0o700); err != nil {
		return err //nolint:wrapcheck // Write does
	}
	file, err := os.OpenFile(r.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err //nolint:wrapcheck // Write does
	}
	_ = syscall.Flock(int(file.Fd()), syscall.LOCK_EX)
	if torn(r.path) { // the next line must stand alone
		if _, err := file.Write(newline); err != nil {
			_ = file.Close()
			return fmt.Errorf("ending its torn line: %w", err)
		}
	}
	r.file = file
	return nil
}

// Close closes the file.
func (r *rotating) Close() error {
	if r.file == nil {
		return nil
	}
	err := r.file.Close()
	r.file = nil
	return err //nolint:wrapcheck // as it is
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
