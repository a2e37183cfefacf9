package limit

import (
	"context"
	_ "embed" // the scripts
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed redis_state.lua
var stateScript string

//go:embed redis_judge.lua
var judgeScript string

//go:embed redis_settle.lua
var settleScript string

// DefaultTag is the hash tag of a Redis that is not told another.
const DefaultTag = "tollgate"

// A counter lives a little longer than its window, lest Redis and its script round differently.
const grace = time.Second

// Redis holds counters in a Redis server (5 or later), shared by all that name it. Each call is one
// round trip: a script that runs as a whole, by the server's clock. Counters expire with their windows.
//
// A Redis Cluster runs a script only where all keys are in one slot. The charges of a request are
// counted by client, by route and for all, so no part of them is common to all requests: one tag is. All
// counters of a gateway are therefore in the one slot of "{tag}", and it is one node that serves them;
// a cluster gives them a replica that takes over, not more speed. Gateways whose limits have nothing to do
// with each other can have tags of their own, and with them other slots.
//
// A call is never sent twice: where the connection breaks, it is not known whether the charges were
// taken, and to take them again could refuse what fits. Nor is it given up when the request's context
// ends: a reservation whose outcome nobody heard would never be settled. Timeouts bound it. A call that
// reaches the server when its timeout is over, because that was paused or far behind, does nothing
// there: else who was refused for want of an answer would have been counted.
type Redis struct {
	client        redis.UniversalClient
	prefix        string
	judge, settle script
	clock         func() time.Time
	grace         string
	timeout       time.Duration // after which nobody waits for an answer; not positive: never
	ahead         lead
}

// NewRedis makes a Redis. It connects when first used.
func NewRedis(o RedisOptions) (*Redis, error) {
	client, timeout, err := o.client()
	if err != nil {
		return nil, err
	}
	tag := o.Tag
	if tag == "" {
		tag = DefaultTag
	}
	r := &Redis{
		client:  client,
		prefix:  "{" + tag + "}:",
		judge:   newScript(stateScript + judgeScript),
		settle:  newScript(stateScript + settleScript),
		clock:   o.clock,
		grace:   strconv.FormatInt(grace.Milliseconds(), 10),
		timeout: timeout,
	}
	if o.clock != nil {
		// Expiry is by the server's time, which a test's clock has nothing to do with.
		r.grace = strconv.FormatInt(time.Hour.Milliseconds(), 10)
	}
	return r, nil
}

// Close ends all connections.
func (r *Redis) Close() error { return r.wrap(r.client.Close()) }

// Reserve implements [Store].
func (r *Redis) Reserve(ctx context.Context, charges []Charge) (Outcome, error) {
	return r.run(ctx, charges, true)
}

// Check implements [Store]. Without charges it asks whether Redis is there.
func (r *Redis) Check(ctx context.Context, charges []Charge) (Outcome, error) {
	return r.run(ctx, charges, false)
}

func (r *Redis) run(ctx context.Context, charges []Charge, taking bool) (Outcome, error) {
	p, err := newPlan(charges, nil)
	if err != nil {
		return Outcome{}, err
	}
	verb := "check"
	if taking {
		verb = "reserve"
	}
	keys := make([]string, 0, max(1, len(p.slots)))
	args := append(make([]any, 0, 5+4*len(p.slots)), r.time(), "", r.grace, parts, verb)
	for i := range p.slots {
		s := &p.slots[i]
		keys = append(keys, r.key(&s.ident))
		args = append(args, s.window, s.count, s.cost, s.shadow)
	}
	answer, err := r.call(ctx, r.judge, keys, args)
	if err != nil {
		return Outcome{}, err
	}
	if len(answer) != 1+readings*len(p.slots) {
		return Outcome{}, r.wrap(errors.New("the script's answer has a wrong length"))
	}
	for i := range p.slots {
		p.slots[i].read = readingOf(answer[1+readings*i:])
	}
	out := conclude(charges, p, answer[0], taking)
	out.Shared = true
	return out, nil
}

// readings is how many numbers the script returns of a counter.
const readings = 5

func readingOf(n []int64) reading {
	used := uint64(max(n[1], 0))
	return reading{fits: n[0] == 1, used: used, resetAt: n[2], resetTaken: n[3], retryAt: n[4]}
}

// Settle implements [Store].
func (r *Redis) Settle(ctx context.Context, adjustments []Adjustment) error {
	var keys []string
	args := []any{r.time(), "", r.grace, parts, uint64(mostUsed)}
	for i := range adjustments {
		a := &adjustments[i]
		if err := verify(&a.Charge); err != nil {
			return err
		}
		if a.Used == a.Charge.Cost {
			continue
		}
		id := identOf(&a.Charge)
		keys = append(keys, r.key(&id))
		more, less := a.difference()
		args = append(args, id.window, a.At.UnixMicro(), more, less)
	}
	if len(keys) == 0 {
		return nil
	}
	_, err := r.call(ctx, r.settle, keys, args)
	return err
}

// call runs a script, of which the second argument is for the time at which nobody waits for its answer
// any more. Where the answer says that it was too late, and somebody does wait for it, the clocks were
// judged wrong: then it runs without.
func (r *Redis) call(ctx context.Context, s script, keys []string, args []any) ([]int64, error) {
	if r.clock == nil && r.timeout > 0 {
		args[1] = r.ahead.deadline(r.timeout)
	}
	for {
		answer, err := s.run(ctx, r.client, keys, args).Int64Slice()
		switch {
		case err != nil:
			return nil, r.wrap(err)
		case len(answer) == 0:
			return nil, r.wrap(errors.New("the script has no answer"))
		case answer[0] >= 0:
			r.ahead.heard(answer[0])
			return answer, nil
		case args[1] == "":
			return nil, r.wrap(errors.New("the script says that it was too late, when nothing can be"))
		}
		args[1] = ""
	}
}

func (r *Redis) key(id *ident) string {
	var b strings.Builder
	b.Grow(len(r.prefix) + len(id.key) + 24)
	b.WriteString(r.prefix)
	b.WriteString(id.key)
	b.WriteByte(':')
	b.WriteString(strconv.FormatInt(id.window, 10))
	b.WriteByte(':')
	b.WriteByte(id.kind)
	return b.String()
}

// time returns what the script is to take for the time: nothing, and it asks the server.
func (r *Redis) time() string {
	if r.clock == nil {
		return ""
	}
	return strconv.FormatInt(r.clock().UnixMicro(), 10)
}

func (r *Redis) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: redis: %w", ErrUnavailable, err)
}
