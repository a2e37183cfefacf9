//go:build !linux

package load

import (
	"errors"
	"time"
)

// stayOn cannot be had.
func stayOn(int) error {
	return errors.New("a thread stays on a processor as Linux has it: run this on Linux")
}

func work() time.Duration { return 0 }
