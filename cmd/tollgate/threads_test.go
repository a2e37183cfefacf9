package main

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestThreads: half of the cores serve beside Envoy, all read and do what comes after that, and all do both where Envoy
// is elsewhere or the operator says how many there are.
func TestThreads(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, test := range []struct {
		cores, few int
		envoy      bool
		operator   string
	}{
		{1, 1, true, ""}, {2, 1, true, ""}, {3, 2, true, ""}, {8, 4, true, ""}, {8, 8, false, ""}, {8, 8, true, "8"},
	} {
		t.Setenv("GOMAXPROCS", test.operator)
		runtime.GOMAXPROCS(test.cores)
		synctest.Test(t, func(t *testing.T) {
			threads := threadsBeside(test.envoy)
			threads.serve()
			require.Equal(t, test.few, runtime.GOMAXPROCS(0), "%+v", test)
			for range 2 { // of which the second begins when all threads are there yet
				done := threads.read()
				require.Equal(t, test.cores, runtime.GOMAXPROCS(0), "%+v", test)
				done()
				<-time.After(afterReading - time.Millisecond)
				require.Equal(t, test.cores, runtime.GOMAXPROCS(0), "%+v", test)
			}
			<-time.After(time.Millisecond)
			synctest.Wait()
			require.Equal(t, test.few, runtime.GOMAXPROCS(0), "%+v", test)
		})
	}
}
