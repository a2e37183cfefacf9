package extproc

import (
	"strconv"
	"strings"
	"sync"
	"time"

	"tollgate/config"
	"tollgate/extproc/auth"
	"tollgate/extproc/flow"
)

// choice is a choice of a route, with its targets' keys and whose turn it is.
type choice struct {
	*config.Choice

	keys []*auth.Keys // of each target

	mu    sync.Mutex
	turns []int // of each target: what it is owed, in weights
}

func newChoice(c *config.Choice, rings map[*config.Upstream]*auth.Keys) *choice {
	made := &choice{Choice: c, turns: make([]int, len(c.Targets))}
	for _, t := range c.Targets {
		made.keys = append(made.keys, rings[t.Upstream])
	}
	return made
}

// begin says at which target a request begins: by their weights, among those that have a key that does not
// rest, or need none. Where none of these has a weight, it is the first of them.
func (c *choice) begin(now time.Time) int {
	if len(c.Targets) == 1 {
		return 0
	}
	if t, ok := c.draw(func(t int) bool { return c.Targets[t].Weight > 0 && c.ready(t, now) }); ok {
		return t
	}
	for t := range c.Targets {
		if c.ready(t, now) {
			return t
		}
	}
	t, _ := c.draw(func(t int) bool { return c.Targets[t].Weight > 0 })
	return t
}

// ready tells whether a target would not be asked in vain because of its keys.
func (c *choice) ready(target int, now time.Time) bool {
	return len(c.Targets[target].Keys) == 0 || c.keys[target].Ready(now)
}

// anyReady tells whether one of the targets would not be asked in vain.
func (c *choice) anyReady(now time.Time) bool {
	for t := range c.Targets {
		if c.ready(t, now) {
			return true
		}
	}
	return false
}

// draw gives the eligible their turns, as often as their weights say and as evenly as that can be done:
// each is owed its weight, and who is owed most has its turn and pays for all. It is not done where none
// is eligible.
func (c *choice) draw(eligible func(target int) bool) (target int, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	best, sum := -1, 0
	for t := range c.Targets {
		if !eligible(t) {
			continue
		}
		weight := int(c.Targets[t].Weight)
		sum += weight
		c.turns[t] += weight
		if best < 0 || c.turns[t] > c.turns[best] {
			best = t
		}
	}
	if best < 0 {
		return 0, false
	}
	c.turns[best] -= sum
	return best, true
}

// target finds a target by its upstream's name; negative: there is none.
func (c *choice) target(name string) int {
	for t := range c.Targets {
		if c.Targets[t].Name == name {
			return t
		}
	}
	return -1
}

// ledBy finds the choice of a lead, which may be none: the last.
func (r *route) ledBy(lead string) *choice {
	number, _, _ := strings.Cut(lead, ".")
	if i, err := strconv.Atoi(number); err == nil && i >= 0 && i < len(r.choices) {
		return r.choices[i]
	}
	return r.choices[len(r.choices)-1]
}

// choose decides, once, where a request goes and with which key, and says what Envoy and later attempts
// must know of that.
func (v *visit) choose() {
	if v.upstream != nil {
		return
	}
	now := time.Now()
	number := v.choiceNumber()
	c := v.route.choices[number]
	t := c.begin(now)
	v.upstream = c.Targets[t].Upstream
	if t > 0 || number < len(v.route.choices)-1 {
		v.say(config.LeadKey, config.LeadID(number, t))
		v.reroute = true
	}
	if c.Several() { // each attempt gets its key on its way
		v.attempts = true
		v.decision.Give(v.request, "", auth.Key{}, false)
		v.say(config.IntoKey, v.decision.Place)
		return
	}
	v.rename()
	v.attempts = len(v.upstream.Keys) > 1
	if v.decision.Place == "" { // it goes with the client's own key, for which there is no other
		if v.attempts {
			v.say(config.OwnKey, "1")
			v.reroute = true
		}
		return
	}
	key, ok := c.keys[t].Next(now)
	v.decision.Give(v.request, v.upstream.KeyHeader, key, ok)
	if v.attempts {
		v.say(config.KeyKey, v.decision.Key)
		v.say(config.IntoKey, v.decision.Place)
	}
}

// choiceNumber is that of the choice which the request's client and model lead to.
func (v *visit) choiceNumber() int {
	return v.route.ChoiceOf(v.decision.Client, auth.ModelOf(v.request, v.asked))
}

// rename has the body ask for the model by the name that it has at the upstream.
func (v *visit) rename() {
	if len(v.upstream.Rename) == 0 {
		return
	}
	changed, ok := flow.Rename(v.body.bytes, v.upstream.ModelName)
	if !ok {
		return
	}
	v.body.replace(changed)
	if v.request.Get("content-length") != "" {
		v.set("content-length", strconv.Itoa(len(changed)))
	}
}
