package extproc

import (
	"fmt"
	"testing"
)

// TestShares: whoever holds much leaves as much to all others, and what is given back can be taken again.
func TestShares(t *testing.T) {
	t.Parallel()
	const step = 1 << 20
	b := &budget{}
	takeAll := func(who string) (n int) {
		for b.take(who, step) {
			n += step
		}
		return n
	}
	first, free := takeAll("greedy"), maxHeld
	if first < maxHeld/2-step || first > maxHeld/2 {
		t.Errorf("the first client got %d of %d", first, maxHeld)
	}
	free -= first
	for i := range 5 {
		got := takeAll(fmt.Sprint("client ", i))
		if got == 0 || got > free/2 {
			t.Errorf("client %d got %d of the %d that were left", i, got, free)
		}
		free -= got
	}
	if rest := takeAll(""); rest != free {
		t.Errorf("nobody's bytes are bounded by %d, and %d were left", rest, free)
	}
	b.give("greedy", first)
	if !b.take("greedy", first/2) {
		t.Error("what was given back cannot be taken again")
	}
	b.give("greedy", first/2)
	if _, known := b.by["greedy"]; known {
		t.Error("a client that holds nothing is remembered")
	}
}
