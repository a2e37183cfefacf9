package load

import (
	"time"

	"golang.org/x/sys/unix"
)

// sleep waits for less than a millisecond too long, other than Go's timers on a process that is idle.
func sleep(d time.Duration) {
	if d <= 0 {
		return
	}
	left := unix.NsecToTimespec(d.Nanoseconds())
	for unix.Nanosleep(&left, &left) == unix.EINTR {
	}
}
