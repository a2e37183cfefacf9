package main

import "testing"

// TestPercent: a small heap may grow by 32 MB, a large one by as much as it is but for that, whatever the stacks are.
func TestPercent(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		h         heap
		now, want int
	}{
		"nothing was collected yet": {now: 100, want: 100},
		"tiny":                      {h: heap{live: 2 << 20}, now: 100, want: 400},
		"small":                     {h: heap{live: 8 << 20}, now: 100, want: 400},
		"half of it are stacks":     {h: heap{live: 32 << 20, stacks: 31 << 20, globals: 1 << 20}, now: 400, want: 50},
		"middling":                  {h: heap{live: 64 << 20}, now: 100, want: 50},
		"large":                     {h: heap{live: 10 << 30}, now: 50, want: 99},
		"nearly right":              {h: heap{live: 30 << 20}, now: 100, want: 100},
		"stacks alone":              {h: heap{live: 1, stacks: 64 << 30}, now: 100, want: 1},
	} {
		if got := test.h.percent(test.now); got != test.want {
			t.Errorf("%s: it may grow by %d%%, want %d%%", name, got, test.want)
		}
	}
}

// TestRest: memory is given back once the process has rested for a while and there is something worth it, and not
// again before there is more.
func TestRest(t *testing.T) {
	t.Parallel()
	const mb = 1 << 20
	garbage, free, clean := heap{live: 10 * mb, used: 13 * mb}, heap{live: 10 * mb, used: 10 * mb, free: 3 * mb}, heap{live: 10 * mb, used: 11 * mb}
	for name, test := range map[string]struct {
		h     heap
		looks []uint64 // how much each finds newly allocated
		want  int      // after which of them memory is given back; 0: never
	}{
		"garbage":                {h: garbage, looks: []uint64{mb, 0, 0, 0, 0, 0, 0, 0, 0}, want: 3},
		"freed and kept":         {h: free, looks: []uint64{mb, 0, 0, 0, 0, 0, 0, 0, 0}, want: 3},
		"hardly anything":        {h: garbage, looks: []uint64{mb, 100, 8 << 10, 200, 0, 0}, want: 3},
		"a request now and then": {h: garbage, looks: []uint64{mb, 0, 0, 20 << 10, 0, 0, 20 << 10}},
		"nothing worth it":       {h: clean, looks: []uint64{mb, 0, 0, 0, 0, 0, 0}},
		"little of a large heap": {h: heap{live: 1000 * mb, used: 1010 * mb}, looks: []uint64{mb, 0, 0, 0, 0, 0, 0}},
		"work":                   {h: garbage, looks: []uint64{mb, mb, mb, mb, mb, mb, mb}},
	} {
		r, h := rest{}, test.h
		for i, more := range test.looks {
			h.allocated += more
			over := r.over(h)
			if over {
				h.used, h.free = h.live, 0
			}
			if over != (test.want > 0 && test.want == i) {
				t.Errorf("%s: after look %d memory is given back: %t", name, i, over)
			}
		}
	}
}
