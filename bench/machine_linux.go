package main

import (
	"fmt"
	"runtime"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"tollgate/bench/report"
)

// cpuTime is what a process has used so far, all of its threads together, those that have ended too. It is the
// clock behind the ticks of /proc/PID/stat, which are 10 ms: too coarse for a second's load.
func cpuTime(pid int) (time.Duration, error) {
	const wholeProcess = 2 // CPUCLOCK_SCHED of Linux's posix-timers.h, from which clock_getcpuclockid makes ids
	var used unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|wholeProcess), &used); err != nil { //nolint:gosec // Linux's pids have 22 bits
		return 0, fmt.Errorf("reading the CPU time of process %d: %w", pid, err)
	}
	return time.Duration(used.Nano()), nil
}

// machine is where this runs; what cannot be known is left empty.
func machine() report.Machine {
	m := report.Machine{Cores: runtime.NumCPU(), LoadBefore: loadAverage()}
	if fs, err := procfs.NewDefaultFS(); err == nil {
		if cpus, err := fs.CPUInfo(); err == nil && len(cpus) > 0 {
			m.CPU = cpus[0].ModelName
		}
	}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		m.Kernel = unix.ByteSliceToString(name.Release[:])
	}
	return m
}

// loadAverage is that of the last minute.
func loadAverage() float64 {
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return 0
	}
	load, err := fs.LoadAvg()
	if err != nil {
		return 0
	}
	return load.Load1
}
