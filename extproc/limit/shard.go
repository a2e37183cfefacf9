package limit

import (
	"container/heap"
	"math/bits"
	"sync"
	"sync/atomic"
)

// A shardSet is some of the shards, a bit each.
type shardSet uint64

// each calls f with the members, in ascending order.
func (s shardSet) each(f func(int)) {
	for ; s != 0; s &= s - 1 {
		f(bits.TrailingZeros64(uint64(s)))
	}
}

// A counter is a tally that has a name.
type counter struct {
	tally
	id   ident
	sent bool // see Memory.Export
}

// A shard is a part of the counters. They are also in a heap, by a time before which they cannot be
// over. It is brought up to date only when that time comes, so a decision does not touch the heap.
type shard struct {
	mu      sync.Mutex
	index   map[ident]*counter
	queue   queue
	most    int
	peak    int // of the index, since it was made
	evicted *atomic.Uint64
	_       [64]byte // a cache line, lest neighbours' locks share it
}

func (s *shard) init(most int, evicted *atomic.Uint64) {
	s.index, s.most, s.evicted = map[ident]*counter{}, most, evicted
}

// load returns a counter's tally as of now, which is empty where there is none.
func (s *shard) load(now int64, id ident) tally {
	c := s.index[id]
	if c == nil {
		return tally{}
	}
	return advance(now, c.tally, &id)
}

// take charges a slot.
func (s *shard) take(now int64, of *slot) {
	c := s.open(now, of.ident)
	c.tally, c.sent = take(now, advance(now, c.tally, &of.ident), of), false
	s.expire(now, 2)
}

// open returns a counter, a new one if need be.
func (s *shard) open(now int64, id ident) *counter {
	if c := s.index[id]; c != nil {
		return c
	}
	if len(s.index) >= s.most {
		s.makeRoom(now)
	}
	c := &counter{id: id}
	s.index[id] = c
	s.peak = max(s.peak, len(s.index))
	heap.Push(&s.queue, due{now + id.window, c})
	return c
}

// makeRoom forgets one counter: one that is over, else the one that is over first.
func (s *shard) makeRoom(now int64) {
	found := false
	for !found {
		found = s.settleTop()
	}
	if top := s.queue[0]; top.at > now && top.counter.used > 0 {
		s.evicted.Add(1)
	}
	s.forget()
}

// settleTop reports whether the top of the queue is where it belongs, and puts it there if not.
func (s *shard) settleTop() bool {
	top := &s.queue[0]
	over := top.counter.ends(&top.counter.id)
	if top.counter.used == 0 || over <= top.at {
		return true
	}
	top.at = over
	heap.Fix(&s.queue, 0)
	return false
}

// expire forgets counters that are over, looking at a number of them at most.
func (s *shard) expire(now int64, looks int) {
	for ; looks > 0 && len(s.queue) > 0 && s.queue[0].at <= now; looks-- {
		if s.settleTop() {
			s.forget()
		}
	}
	s.shrink()
}

// forget takes out the top of the queue.
func (s *shard) forget() {
	top, _ := heap.Pop(&s.queue).(due)
	delete(s.index, top.counter.id)
}

// shrink makes index and queue anew once three quarters are gone: a map keeps its room otherwise.
func (s *shard) shrink() {
	if s.peak < 1024 || len(s.index) > s.peak/4 {
		return
	}
	index := make(map[ident]*counter, len(s.index))
	for id, c := range s.index {
		index[id] = c
	}
	s.index, s.peak = index, len(index)
	s.queue = append(make(queue, 0, len(s.queue)), s.queue...)
}

// due is a time before which a counter is not over.
type due struct {
	at      int64
	counter *counter
}

// queue is a heap for container/heap.
type queue []due

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].at < q[j].at }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }

func (q *queue) Push(x any) {
	d, _ := x.(due)
	*q = append(*q, d)
}

func (q *queue) Pop() any {
	last := len(*q) - 1
	d := (*q)[last]
	(*q)[last] = due{}
	*q = (*q)[:last]
	return d
}
