package limit

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// TestComeBack: whoever reads the message alone knows when there is room, never too early.
func TestComeBack(t *testing.T) {
	t.Parallel()
	for wait, want := range map[time.Duration]string{
		1:                                    "Come back in 1s.",
		time.Second:                          "Come back in 1s.",
		time.Second + 1:                      "Come back in 2s.",
		5*time.Hour + 59500*time.Millisecond: "Come back in 5h1m0s.",
		Never:                                "It has no room for any.",
	} {
		assert.Equal(t, want, comeBack(wait))
	}
}
