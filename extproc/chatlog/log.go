package chatlog

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"tollgate/extproc/exchange"
	"tollgate/extproc/openai"
)

// maxQueued is how many bytes of lines may wait for the writer.
const maxQueued = 64 << 20

// Options says what is recorded, and where.
type Options struct {
	Dir          string
	MaxFileBytes int64          // at which a file is begun anew; rounded up to whole megabytes, at least 9
	MaxFiles     int            // full ones that are kept of each; 0: all
	Location     *time.Location // of datetime
	Redact       []*regexp.Regexp
	Drop         []string  // fields that are left out
	Sample       float64   // the share of calls that is recorded, 0 to 1
	Print        io.Writer // where chats are shown to people; nil: nowhere

	// Lost hears of lines that were dropped, and why. It must not block. Nil: nobody does.
	Lost func(reason string, lines int)

	// Failed hears when writing begins to fail, and with nil when it works again. Nil: nobody does.
	Failed func(err error)

	// Told hears each line as it is recorded, by the request's end or the answer's, and keeps it if it will. It must
	// not block. Nil: nobody does.
	Told func(call *exchange.Call, answer bool, line []byte)

	// open opens the file at a path, for tests. Nil: files that rotate.
	open func(path string) io.WriteCloser
}

// Why lines are lost, in the words of Options.Lost.
const (
	LostQueue = "queue" // they came faster than they could be written
	LostDisk  = "disk"  // writing failed
	LostLong  = "long"  // a line is longer than a whole file may be
)

// Log writes records. Safe for use by many goroutines.
type Log struct {
	options Options
	drop    map[string]bool
	asked   []member // that are recorded

	queue  chan entry
	queued atomic.Int64 // bytes
	lost   atomic.Uint64

	mu      sync.RWMutex // guards closing against writing
	closed  bool
	drained chan struct{}
}

// entry is a line on its way to a file.
type entry struct {
	path string
	line []byte
}

// New returns a log that writes until Close.
func New(options Options) *Log {
	if options.Lost == nil {
		options.Lost = func(string, int) {}
	}
	if options.Told == nil {
		options.Told = func(*exchange.Call, bool, []byte) {}
	}
	if options.Failed == nil {
		options.Failed = func(error) {}
	}
	if options.open == nil {
		options.open = options.rotating
	}
	l := &Log{
		options: options,
		drop:    map[string]bool{},
		asked:   asked(),
		queue:   make(chan entry, 1<<16),
		drained: make(chan struct{}),
	}
	for _, field := range options.Drop {
		l.drop[field] = true
	}
	go newWriter(l).run()
	return l
}

// Begin starts the record of a call; nil where none is kept: of an API that is not recorded, or of a
// call outside the sample.
func (l *Log) Begin(call *exchange.Call) *Record {
	api := openai.APIOf(call.Path)
	if api == openai.Other || !l.sampled(call.ID) {
		return nil
	}
	return &Record{log: l, call: call, path: l.options.path(call.Route, api), began: call.Began.In(l.options.Location)}
}

// sampled decides by the id, so that both lines of a call are kept or left together.
func (l *Log) sampled(id string) bool {
	if l.options.Sample >= 1 {
		return true
	}
	digest := fnv.New32a()
	_, _ = digest.Write([]byte(id)) // cannot fail
	return float64(digest.Sum32())/math.MaxUint32 < l.options.Sample
}

// write queues a line, or drops it where the queue is full.
func (l *Log) write(path string, line []byte) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed || l.queued.Add(int64(len(line))) > maxQueued {
		l.refuse(len(line))
		return
	}
	select {
	case l.queue <- entry{path, line}:
	default:
		l.refuse(len(line))
	}
}

func (l *Log) refuse(size int) {
	if !l.closed {
		l.queued.Add(-int64(size))
	}
	l.lose(LostQueue, 1)
}

func (l *Log) lose(reason string, lines int) {
	l.lost.Add(uint64(lines)) //nolint:gosec // never negative
	l.options.Lost(reason, lines)
}

// Lost is how many lines were dropped so far.
func (l *Log) Lost() uint64 { return l.lost.Load() }

// Close writes what was accepted and closes the files. Its error says that ctx ended before that.
func (l *Log) Close(ctx context.Context) error {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		close(l.queue)
	}
	l.mu.Unlock()
	select {
	case <-l.drained:
		return nil
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("writing the chat log's last %d lines", len(l.queue)), ctx.Err())
	}
}
