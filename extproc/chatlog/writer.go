package chatlog

import (
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
	if f.torn {
		_, _ = f.Write([]byte("\n")) // so that the next line stands alone
	}
	n, err := f.Write(f.waiting)
	if err != nil {
		f.torn = n > 0
		w.log.lose(LostDisk, f.lines)
		w.fail(err)
		return
	}
	f.torn = false
	if w.failing {
		w.failing, w.pause = false, 0
		w.log.options.Failed(nil)
	}
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
