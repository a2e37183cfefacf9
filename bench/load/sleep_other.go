//go:build !linux

package load

import "time"

// sleep waits, as exactly as Go's timers do.
func sleep(d time.Duration) { <-time.After(d) }
