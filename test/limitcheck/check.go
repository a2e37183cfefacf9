package limitcheck

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// A counter is all that was taken, or may have been, of one counter.
type counter struct {
	name     string
	window   time.Duration
	strategy string
	count    uint64  // the largest that its rate had
	entries  []entry // by their earliest times
	opened   []opening
}

// Check says what is wrong with a history; nothing where it can be right.
func Check(calls []*Call) []string {
	counters := gather(calls)
	var problems []string
	say := func(c *Call, format string, args ...any) {
		problems = append(problems, fmt.Sprintf("%s, sent %v, answered %v: ", c.Name, c.Sent, c.Answered)+fmt.Sprintf(format, args...))
	}
	for _, c := range calls {
		switch c.Verdict {
		case Admitted:
			if over := overAdmitted(counters, c); over != "" {
				say(c, "over-admission: %s", over)
			}
			if wrong := misled(counters, c); wrong != "" && !c.Cut {
				say(c, "wrong headers: %s", wrong)
			}
		case Refused:
			if c.Must {
				say(c, "wrong refusal: it came when it had been told to, and nobody else did")
			} else if fits(counters, c) {
				say(c, "wrong refusal: it fitted into all of %s", names(c.Takes))
			}
		case Lost:
		}
	}
	for _, name := range slices.Sorted(keys(counters)) {
		if crowd := counters[name].crowded(); crowd != "" {
			problems = append(problems, "over-admission of "+name+": "+crowd)
		}
	}
	return problems
}

func keys(counters map[string]*counter) func(func(string) bool) {
	return func(yield func(string) bool) {
		for name := range counters {
			if !yield(name) {
				return
			}
		}
	}
}

func names(takes []Take) string {
	text := ""
	for _, t := range takes {
		text += fmt.Sprintf("[%s %d/%v %s] ", t.Counter, t.Rate.Count, t.Rate.Window, t.Strategy)
	}
	return text
}

// gather sorts what was taken by counters.
func gather(calls []*Call) map[string]*counter {
	counters := map[string]*counter{}
	for _, c := range calls {
		for i := range c.Takes {
			t := &c.Takes[i]
			if t.Shadow {
				continue
			}
			of := counters[t.Counter]
			if of == nil {
				of = &counter{name: t.Counter, window: t.Rate.Window, strategy: t.Strategy}
				counters[t.Counter] = of
			}
			of.count = max(of.count, t.Rate.Count)
			if c.Verdict != Refused {
				of.entries = append(of.entries, entries(c, t)...)
			}
		}
	}
	for _, c := range counters {
		slices.SortStableFunc(c.entries, func(a, b entry) int { return cmp.Compare(a.from, b.from) })
		if c.strategy == Fixed {
			c.opened = openings(c.entries, c.window)
		}
	}
	return counters
}

// least is what had surely been taken when a call was decided, without its own.
func (c *counter) least(call *Call) uint64 {
	switch c.strategy {
	case Moving:
		return c.leastMoving(call)
	case Fixed:
		return c.leastFixed(call)
	}
	return c.leastElastic(call)
}

// most is what may have been taken when a call was decided, without its own.
func (c *counter) most(call *Call) uint64 {
	switch c.strategy {
	case Moving:
		return c.mostMoving(call)
	case Fixed:
		return c.mostFixed(call)
	}
	return c.mostElastic(call)
}

// crowded says where too much was taken by calls of which no order is known.
func (c *counter) crowded() string {
	switch c.strategy {
	case Moving:
		return c.crowdedMoving()
	case Fixed:
		return c.crowdedFixed()
	}
	return c.crowdedElastic()
}

// crowd tells of a sum that is too large.
func (c *counter) crowd(sum uint64, from time.Duration) string {
	if sum <= c.count {
		return ""
	}
	return fmt.Sprintf("%d were taken in one window of %v from about %v, and %d is the count", sum, c.window, from, c.count)
}

// overAdmitted says of which counter a call took what was not there.
func overAdmitted(counters map[string]*counter, call *Call) string {
	for _, t := range call.Takes {
		if t.Shadow {
			continue
		}
		if taken := counters[t.Counter].least(call); taken+t.Reserved > t.Rate.Count {
			return fmt.Sprintf("%d more, when at least %d of %d were taken of %s", t.Reserved, taken, t.Rate.Count, t.Counter)
		}
	}
	return ""
}

// fits tells whether a call that was refused fitted into all counters, whenever it was decided.
func fits(counters map[string]*counter, call *Call) bool {
	for _, t := range call.Takes {
		if !t.Shadow && counters[t.Counter].most(call)+t.Reserved > t.Rate.Count {
			return false
		}
	}
	return true
}

// misled says which header of an admitted call's answer cannot be right.
func misled(counters map[string]*counter, call *Call) string {
	for tokens, said := range map[bool]*Left{false: call.Requests, true: call.Tokens} {
		least, most, any := uint64(0), uint64(0), false
		counts := map[uint64]bool{}
		for _, t := range call.Takes {
			if t.Shadow || t.Tokens != tokens {
				continue
			}
			c := counters[t.Counter]
			high := t.Rate.Count - min(t.Rate.Count, c.least(call)+t.Reserved)
			low := t.Rate.Count - min(t.Rate.Count, c.most(call)+t.Reserved)
			if !any {
				least, most, any = low, high, true
			}
			least, most = min(least, low), min(most, high)
			counts[t.Rate.Count] = true
		}
		switch {
		case any != (said != nil):
			return fmt.Sprintf("of tokens %v: there are limits: %v, there are headers: %v", tokens, any, said != nil)
		case any && (said.Remaining < least || said.Remaining > most):
			return fmt.Sprintf("of tokens %v: %d are said to be left, and it is between %d and %d", tokens, said.Remaining, least, most)
		case any && !counts[said.Limit]:
			return fmt.Sprintf("of tokens %v: the limit is said to be %d", tokens, said.Limit)
		}
	}
	return ""
}
