//go:build !linux

package main

import (
	"errors"
	"runtime"
	"time"

	"tollgate/bench/report"
)

// cpuTime cannot be had.
func cpuTime(int) (time.Duration, error) {
	return 0, errors.New("the CPU time of other processes is read as Linux tells it: run this on Linux")
}

func machine() report.Machine { return report.Machine{Cores: runtime.NumCPU()} }

func loadAverage() float64 { return 0 }
