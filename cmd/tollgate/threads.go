package main

import (
	"os"
	"runtime"
)

// threads is on how many of them Go runs: few to serve, all to read a configuration.
//
// Envoy has the same cores, and takes as much for a request as the gate does, or more: half of them is what the gate can
// use. More of them do harm. Requests go through several goroutines, and each that becomes ready has Go wake an idle
// thread for it, which mostly finds it done.
type threads struct{ few, all int }

// threadsBeside is for a process that shares the machine with Envoy, or does not. Whoever sets GOMAXPROCS has decided
// otherwise.
func threadsBeside(envoy bool) threads {
	all := runtime.GOMAXPROCS(0)
	if !envoy || os.Getenv("GOMAXPROCS") != "" {
		return threads{few: all, all: all}
	}
	return threads{few: (all + 1) / 2, all: all}
}

// serve has requests served from now on.
func (t threads) serve() { t.set(t.few) }

// read has a configuration read, until done is called. Requests are served meanwhile, and do not wait for it.
func (t threads) read() (done func()) {
	t.set(t.all)
	return t.serve
}

// set changes the number, if it is another: that stops the program for a moment.
func (t threads) set(n int) {
	if runtime.GOMAXPROCS(0) != n {
		runtime.GOMAXPROCS(n)
	}
}
