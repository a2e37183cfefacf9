package main

import (
	"bytes"
	"math"
	"os"
	"strconv"
	"syscall"

	"tollgate/envoy"
)

// plentyConnections is how many Envoy takes on a machine that has plenty.
const plentyConnections = 50_000

// withinMeans bounds Envoy by what this machine, or this container, gives, so that it refuses before the system
// does: the system would end it, or let clients wait in vain.
func withinMeans(b envoy.Bootstrap) envoy.Bootstrap {
	if b.MaxHeapBytes == 0 {
		b.MaxHeapBytes = min(envoy.DefaultMaxHeapBytes, memory()/2) // the rest is for `tollgate serve`, and what is no heap
	}
	if b.MaxConnections == 0 {
		// Most connections of clients want one to an upstream.
		b.MaxConnections = min(plentyConnections, openFiles()*9/16)
	}
	return b
}

// openFiles lets this process, and those that it starts, open as many files as it may, and gives their number.
// By itself Go raises the limit for this process alone.
func openFiles() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 1024
	}
	limit.Cur = limit.Max
	_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit) // else it stays as it is
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 1024
	}
	return limit.Cur
}

// memory is how much this process may have, in bytes: the container's share of the machine, or all of it.
func memory() uint64 {
	least := uint64(math.MaxUint64)
	for _, path := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		if n, err := strconv.ParseUint(string(bytes.TrimSpace(text)), 10, 64); err == nil && n > 0 { // "max" is no number
			least = min(least, n)
		}
	}
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return least
	}
	return min(least, total(text))
}

// total finds the whole memory in the text of /proc/meminfo.
func total(meminfo []byte) uint64 {
	_, after, _ := bytes.Cut(meminfo, []byte("MemTotal:"))
	fields := bytes.Fields(after)
	if len(fields) == 0 {
		return math.MaxUint64
	}
	kib, err := strconv.ParseUint(string(fields[0]), 10, 54)
	if err != nil {
		return math.MaxUint64
	}
	return kib << 10
}
