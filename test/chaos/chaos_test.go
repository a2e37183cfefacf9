package chaos

import (
	"os"
	"reflect"
	"strconv"
	"testing"
	"time"
)

// TestChaos carries out plans, and judges what was seen: see the package's comment.
func TestChaos(t *testing.T) {
	first := setting("CHAOS_SEED", 82) // a full disk, both processes killed, a takeover, a bad edit; make chaos takes another each time
	length := time.Duration(setting("CHAOS_SECONDS", 8)) * time.Second
	for seed := first; seed < first+setting("CHAOS_ROUNDS", 1); seed++ {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) { run(t, NewPlan(seed, length, int(setting("CHAOS_RATE", 30)))) })
	}
}

// setting reads a number from the environment.
func setting(name string, otherwise uint64) uint64 {
	if n, err := strconv.ParseUint(os.Getenv(name), 10, 64); err == nil {
		return n
	}
	return otherwise
}

// run carries out a plan.
func run(t *testing.T, plan *Plan) {
	t.Logf("to replay: CHAOS_SEED=%d CHAOS_SECONDS=%d; limits are counted in %s, and answers kept in %s; %d calls, %d events",
		plan.Seed, plan.Length/time.Second, plan.Limits, plan.Cache, len(plan.Calls), len(plan.Events))
	w := newWorld(t, plan)
	prompts := w.learn()
	w.carryOut(plan.Warm, nil)
	before := w.footprint()
	w.carryOut(plan.Calls, plan.Events)
	w.inForce()
	after := w.footprint()
	after.compare(t, before)
	seen := w.judge(prompts)
	w.checkLog(seen)
	w.checkKeys(seen)
	w.gateway.stop()
	w.checkOutput(seen)
}

// judge reports what is wrong with what was seen.
func (w *world) judge(prompts map[string]uint64) *History {
	h := w.history()
	h.Prompts = prompts
	problems := h.Judge()
	for _, problem := range problems[:min(len(problems), 20)] {
		w.t.Error(problem)
	}
	count := map[string]int{}
	for _, o := range h.Outcomes {
		count[o.kindOfEnd()]++
	}
	w.t.Logf("%v: %d calls: %v; %d problems", w.now().Round(time.Millisecond), len(h.Outcomes), count, len(problems))
	return h
}

// kindOfEnd says in a word how a call ended.
func (o *Outcome) kindOfEnd() string {
	switch {
	case o.Left:
		return "left"
	case o.Status == 0:
		return "no answer"
	case !o.whole():
		return "cut"
	}
	return strconv.Itoa(o.Status)
}

// inForce waits until the last good edit is what the gateway runs, and no other.
func (w *world) inForce() {
	w.eventually("the last good edit is in force", func() bool {
		return w.status(w.url(Marker(w.edit)+"/v1/models"), "") == 200
	})
	for e := range w.edit {
		w.eventually("no other edit is", func() bool {
			return w.status(w.url(Marker(e)+"/v1/models"), "") == 404
		})
	}
}

// TestPlans: a plan is a function of its seed, and no two are the same.
func TestPlans(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		a, b := NewPlan(seed, 20*time.Second, 30), NewPlan(seed, 20*time.Second, 30)
		if !reflect.DeepEqual(a, b) {
			t.Errorf("the seed %d makes two plans", seed)
		}
		if reflect.DeepEqual(a.Calls, NewPlan(seed+1, 20*time.Second, 30).Calls) {
			t.Errorf("the seeds %d and %d make one plan", seed, seed+1)
		}
		if len(a.Calls) < 200 || len(a.Events) < 5 {
			t.Errorf("the seed %d plans %d calls and %d events: that tries nothing", seed, len(a.Calls), len(a.Events))
		}
	}
}
