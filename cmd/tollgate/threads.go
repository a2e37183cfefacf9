package main

import (
	"os"
	"runtime"
	"sync"
	"time"
)

// threads is on how many of them Go runs: few to serve, all to read a configuration.
//
// Envoy has the same cores, and takes as much for a request as the gate does, or more: half of them is what the gate can
// use. More of them do harm. Requests go through several goroutines, and each that becomes ready has Go wake an idle
// thread for it, which mostly finds it done.
type threads struct {
	few, all int

	mu      sync.Mutex
	reading int // what is read, or was a moment ago
}

// afterReading is how long all threads stay: what has been read is brought into force, its text is written and the
// garbage collected, and who serves would wait for that.
const afterReading = 2 * time.Second

// threadsBeside is for a process that shares the machine with Envoy, or does not. Whoever sets GOMAXPROCS has decided
// otherwise.
func threadsBeside(envoy bool) *threads {
	all := runtime.GOMAXPROCS(0)
	if !envoy || os.Getenv("GOMAXPROCS") != "" {
		return &threads{few: all, all: all}
	}
	return &threads{few: (all + 1) / 2, all: all}
}

// serve has requests served from now on.
func (t *threads) serve() { t.change(0) }

// read has a configuration read, until done is called, and some time after that. Requests are served meanwhile, and do
// not wait for it.
func (t *threads) read() (done func()) {
	t.change(1)
	return func() { time.AfterFunc(afterReading, func() { t.change(-1) }) }
}

// change sets the number, if it is another: that stops the program for a moment, and waits for the end of a collection.
func (t *threads) change(reading int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reading += reading
	n := t.few
	if t.reading > 0 {
		n = t.all
	}
	if t.few != t.all && runtime.GOMAXPROCS(0) != n {
		runtime.GOMAXPROCS(n)
	}
}
