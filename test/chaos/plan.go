package chaos

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"tollgate/test/limitcheck"
)

// Where limits are counted and answers are kept.
const (
	InMemory = "memory"
	InRedis  = "redis"
	InLocal  = "local" // in Redis, and here alone while it is away
	OnDisk   = "disk"
)

// Plan is all that is to happen in a run.
type Plan struct {
	Seed   uint64
	Length time.Duration
	Limits string           // InMemory, InRedis, InLocal
	Cache  string           // InMemory, InRedis, OnDisk
	Spec   *limitcheck.Spec // the clients, and the routes that limit them
	Warm   []*Call          // before anything fails; their times are from a beginning of their own
	Calls  []*Call
	Events []*Event
}

// A planner makes a plan.
type planner struct {
	*rand.Rand

	*Plan

	named int
}

// NewPlan makes the plan of a seed. It depends on nothing else.
func NewPlan(seed uint64, length time.Duration, perSecond int) *Plan {
	p := planner{Rand: rand.New(rand.NewPCG(seed, 7)), Plan: &Plan{Seed: seed, Length: length}} //nolint:gosec // it is to be replayed
	p.Limits = []string{InMemory, InRedis, InLocal}[seed%3]
	p.Cache = pick(p.Rand, InMemory, InRedis, OnDisk)
	p.Spec = p.spec()
	p.Warm = p.calls(3*time.Second, perSecond)
	for _, c := range p.Warm {
		if c.Query == nil {
			c.Prompt = "at first, " + c.Prompt
		}
		c.Faults, c.Behaviour = nil, pick(p.Rand, Patient, Patient, Slow)
		if c.Client == "" && c.Query == nil {
			c.Client = regular(p.Rand)
		}
	}
	p.Calls = p.calls(length, perSecond)
	p.events()
	return p.Plan
}

// pick chooses one.
func pick[T any](random *rand.Rand, choices ...T) T { return choices[random.IntN(len(choices))] }

// spec is what limits there are. Those of package limitcheck for routes without any are left out: routes of
// ours shall have none.
func (p *planner) spec() *limitcheck.Spec {
	spec := limitcheck.Generate(p.Rand, false)
	spec.Limits = nil
	for i := range spec.Clients {
		spec.Clients[i].Limits = nil
		spec.Clients[i].Key = Key("fk-" + spec.Clients[i].Name)
	}
	spec.Routes = slices.DeleteFunc(spec.Routes, func(r limitcheck.Route) bool { return len(r.Limits) == 0 })
	return spec
}

// Key makes a key that is easily found wherever it should not be.
func Key(name string) string { return name + "-0123456789-sentinel" }

// calls makes as many calls as fit, at random times: some alone, some in crowds.
func (p *planner) calls(length time.Duration, perSecond int) []*Call {
	var calls []*Call
	for at := time.Duration(0); at < length; {
		crowd := 1
		if p.IntN(10) == 0 {
			crowd = 2 + p.IntN(12)
		}
		first := p.call(at)
		calls = append(calls, first)
		for range crowd - 1 {
			next := p.call(at)
			if p.IntN(2) == 0 {
				next = p.alike(first, next)
			}
			calls = append(calls, next)
		}
		at += time.Duration(p.ExpFloat64() * float64(crowd) * float64(time.Second) / float64(perSecond))
	}
	return calls
}

// alike makes a call that asks the same as another, and is a third one for the rest.
func (p *planner) alike(as, rest *Call) *Call {
	c := *as
	c.Name, c.HTTP2, c.Faults, c.LeaveAfter = rest.Name, rest.HTTP2, rest.Faults, rest.LeaveAfter
	if c.Query == nil && c.Behaviour != Stranger {
		c.Client = regular(p.Rand)
	}
	return &c
}

// regular is a client that sends requests.
func regular(random *rand.Rand) string { return pick(random, "alice", "bob", "carol") }

// call makes one call.
func (p *planner) call(at time.Duration) *Call {
	p.named++
	c := &Call{Name: fmt.Sprintf("call-%05d", p.named), At: at, HTTP2: p.IntN(3) == 0, Model: pick(p.Rand, limitcheck.Models...)}
	if p.IntN(4) == 0 {
		p.limited(c)
		return c
	}
	c.Client = regular(p.Rand)
	c.Route = pick(p.Rand, routes()...).Prefix
	c.Kind = pick(p.Rand, Chat, Chat, Stream, Stream, Stream, Completion, CompletionStream, Embedding)
	c.Events = 1 + p.IntN(40)
	c.Prompt = fmt.Sprintf("%s asks %d", c.Name, p.IntN(100))
	if kept := c.Route == "/shared" || c.Route == "/private"; kept && p.IntN(4) > 0 {
		c.Prompt = fmt.Sprintf("what all ask, in second %d", at/(2*time.Second)) // who asks the same may share the answer
		c.Model = limitcheck.Models[0]
	}
	switch p.IntN(20) {
	case 0:
		c.Size = 1 << (10 + p.IntN(11)) // beyond 1 MiB it is not sent again
	case 1:
		c.Events = 1000 + p.IntN(1000)
	case 2, 3, 4:
		c.Interval = time.Duration(1+p.IntN(40)) * time.Millisecond
	}
	c.Behaviour = p.behaviour()
	if c.Behaviour == Stranger {
		c.Client = ""
	}
	c.LeaveAfter = p.IntN(4000)
	c.Faults = p.faults()
	return c
}

// limited makes a call that is counted. Its prompt is one of which the gateway's estimate is known, and it
// asks for its usage.
func (p *planner) limited(c *Call) {
	c.Query = p.Spec.Query(p.Rand)
	c.Client, c.Route, c.Kind, c.Prompt = c.Query.Client, "", Echo, "one two three"
	c.Behaviour, c.Events = pick(p.Rand, Patient, Patient, Patient, Leaving), 1+p.IntN(200)
	c.LeaveAfter, c.Model = p.IntN(2000), c.Query.Model
	if c.Query.Chat {
		c.Kind = pick(p.Rand, Chat, Stream)
		if p.IntN(4) == 0 {
			c.Faults = p.faults()
		}
	}
}

func (p *planner) behaviour() string {
	switch p.IntN(24) {
	case 0, 1, 2:
		return Leaving
	case 3, 4:
		return Slow
	case 5:
		return Torn
	case 6:
		return Stranger
	}
	return Patient
}

// faults are none for most calls, and else those of the first attempts.
func (p *planner) faults() []Fault {
	if p.IntN(3) > 0 {
		return nil
	}
	faults := make([]Fault, 1+p.IntN(4)*p.IntN(2))
	for i := range faults {
		faults[i] = pick(p.Rand, allFaults()...)
	}
	return faults
}

// events makes what fails beside the upstreams' answers. The first comes soon, and each has time to be over.
func (p *planner) events() {
	last := p.Length - 3*time.Second
	for at := time.Second; at < last; at += 200*time.Millisecond + time.Duration(p.IntN(2000))*time.Millisecond {
		e := pick(p.Rand, p.eventKinds()...)
		p.Events = append(p.Events, &Event{
			At: at, Kind: e, N: len(p.Events), Upstream: pick(p.Rand, Upstreams()...),
			For: 100*time.Millisecond + time.Duration(p.IntN(2500))*time.Millisecond,
		})
	}
	for at := p.Length / 4; at < last; at += 10 * time.Second {
		p.Events = append(p.Events, &Event{At: at, Kind: ServeRenewed, N: len(p.Events)})
	}
	if p.Length >= 30*time.Second {
		p.Events = append(p.Events, &Event{At: p.Length / 2, Kind: AllKilled, N: len(p.Events)})
	}
	slices.SortStableFunc(p.Events, func(a, b *Event) int { return cmp.Compare(a.At, b.At) })
}

func (p *planner) eventKinds() []string {
	kinds := []string{
		ServeKilled, ServeStopped, EnvoyKilled, EnvoyStopped, UpstreamDown, UpstreamDown,
		DiskFull, Edited, Edited, Edited, BadEdit, BadEdit, BadEdit,
	}
	if p.Limits != InMemory || p.Cache == InRedis {
		kinds = append(kinds, RedisKilled, RedisStopped, RedisFlushed)
	}
	return kinds
}
