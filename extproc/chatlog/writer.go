package chatlog

import (
	"bytes"
	"io"
	"time"
)

const (
	// batch is up to how many bytes are written at once.
	batch = 64 << 10

	// A disk that fails is tried again after firstRetry, then twice that, up to lastRetry. What comes
	// in between is dropped: it would only fill memory.
	firstRetry = 100 * time.Millisecond
	lastRetry  = 5 * time.Second
)

var newline = []byte("\n")

// writer is the one goroutine that touches files.
type writer struct {
	log   *Log
	files map[string]*file

	failing bool
	pause   time.Duration
	again   time.Time // not to be tried before
}

// file is an open file and what waits to be written to it.
type file struct {
	io.WriteCloser

	waiting []byte
	lines   int
	torn    bool // the last line was not written to its end
}

func newWriter(l *Log) *writer { return &writer{log: l, files: map[string]*file{}} }

// run writes until the queue is closed and empty.
func (w *writer) run() {
	defer close(w.log.drained)
	for e := range w.log.queue {
		w.add(e)
		for more := true; more; { // whatever waits already goes out in the same batch
			select {
			case e, more = <-w.log.queue:
				if more {
					w.add(e)
				}
			default:
				more = false
			}
		}
		w.flush()
	}
	for _, f := range w.files {
		_ = f.Close() // everything was written; there is nobody left to tell
	}
}

func (w *writer) add(e entry) {
	if int64(len(e.line)) > w.log.options.fileSize() {
		w.log.queued.Add(-int64(len(e.line)))
		w.log.lose(LostLong, 1)
		return
	}
	f := w.files[e.path]
	if f == nil {
		f = &file{WriteCloser: w.log.options.open(e.path)}
		w.files[e.path] = f
	}
	f.waiting = append(f.waiting, e.line...)
	f.lines++
	if len(f.waiting) >= batch {
		w.write(f)
	}
}

func (w *writer) flush() {
	for _, f := range w.files {
		if f.lines > 0 {
			w.write(f)
		}
	}
}

// write puts out what waits for a file, or drops it where that fails.
func (w *writer) write(f *file) {
	defer func() {
		w.log.queued.Add(-int64(len(f.waiting)))
		f.waiting, f.lines = f.waiting[:0], 0
	}()
	if w.failing && time.Now().Before(w.again) {
		w.log.lose(LostDisk, f.lines)
		return
	}
	n, err := f.put()
	if err != nil {
		rest := f.waiting[min(n+1, len(f.waiting)):] // a line that lacks its end only is there
		w.log.lose(LostDisk, bytes.Count(rest, newline))
		w.fail(err)
		return
	}
	if w.failing {
		w.failing, w.pause = false, 0
		w.log.options.Failed(nil)
	}
}

// put writes what waits, and says how much of it is there. Where the last line is torn, it ends that one first: the
// next one must stand alone.
func (f *file) put() (int, error) {
	if f.torn {
		if _, err := f.Write(newline); err != nil {
			return 0, err //nolint:wrapcheck // as it is
		}
		f.torn = false
	}
	n, err := f.Write(f.waiting)
	f.torn = n > 0 && f.waiting[n-1] != '\n'
	return n, err //nolint:wrapcheck // as it is
}

// fail notes when to try again, and says so the first time.
func (w *writer) fail(err error) {
	if !w.failing {
		w.failing = true
		w.log.options.Failed(err)
	}
	w.pause = min(max(2*w.pause, firstRetry), lastRetry)
	w.again = time.Now().Add(w.pause)
}
