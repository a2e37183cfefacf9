//go:build !linux

package load

import (
	"errors"
	"time"
)

// allowed cannot be had.
func allowed() ([]int, error) {
	return nil, errors.New("a thread stays on a processor as Linux has it: run this on Linux")
}

func stayOn(int) error { return nil }

func work() time.Duration { return 0 }
