package e2e

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// TestLimitsCheck replays random schedules against running gateways with random limits, and judges them
// by what their clients and the upstream saw: package limitcheck says when that is wrong.
//
// $LIMITCHECK_SEED replays what a failure names; $LIMITCHECK_ROUNDS is how many schedules each test runs,
// and $LIMITCHECK_SECONDS how long each is.
func TestLimitsCheck(t *testing.T) {
	t.Parallel()
	for name, trial := range map[string]trial{
		"memory": {gateways: 1, events: []event{edited, envoyKilled, recounted}},
		"dotenv": {gateways: 1, dotenv: true, events: []event{edited, rested}},
		"redis":  {gateways: 1, redis: true, events: []event{gateKilled, paused, flushed}},
		"local":  {gateways: 1, redis: true, local: true, events: []event{paused, edited, paused}},
		"four":   {gateways: 4, redis: true, events: []event{edited, gateKilled, flushed}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := setting("LIMITCHECK_SEED", rand.Uint64N(1_000_000))
			for seed := first; seed < first+setting("LIMITCHECK_ROUNDS", 1); seed++ {
				t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) { trial.run(t, seed) })
			}
		})
	}
}

// setting reads a number from the environment.
func setting(name string, otherwise uint64) uint64 {
	if n, err := strconv.ParseUint(os.Getenv(name), 10, 64); err == nil {
		return n
	}
	return otherwise
}

// A trial is a kind of schedule.
type trial struct {
	gateways             int
	redis, local, dotenv bool
	events               []event // each happens once, between requests or among them
}

// An event is what happens to the gateways beside requests.
type event func(*schedule)

func (trial trial) run(t *testing.T, seed uint64) {
	s := newSchedule(t, trial, seed)
	long := time.Duration(setting("LIMITCHECK_SECONDS", 5)) * time.Second
	for i, happens := range trial.events {
		s.requestsFor(long * time.Duration(i+1) / time.Duration(len(trial.events)+1))
		happens(s)
	}
	s.requestsFor(long)
	s.judge()
}

// requestsFor sends requests until a time of the schedule: some at once, some one after the other.
func (s *schedule) requestsFor(until time.Duration) {
	for s.now() < until && !s.t.Failed() {
		switch s.random.IntN(6) {
		case 0, 1:
			s.burst(2 + s.random.IntN(12))
		case 2, 3:
			s.series(1 + s.random.IntN(8))
		case 4:
			s.insist()
		case 5:
			rested(s)
		}
	}
}
