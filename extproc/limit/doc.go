// Package limit counts what clients take, and says when it was too much.
//
// A [Charge] is one counter that one request wants to take from: "this client's tokens on this route,
// 100000/minute". A [Store] has three verbs, and each takes all the charges of a request at once:
//
//	Reserve   take, if every charge fits; else take nothing
//	Settle    give back what was not used, or take what was used beyond the reservation
//	Check     look without taking
//
// [Memory] holds the counters of one process, [Redis] those of any number of them, and [Fallback] goes
// on without Redis. Package config/rate reads the notation of rates: "60/minute;600/hour".
//
// # Invariants
//
// Of a rate of N per W, whatever the schedule, and where costs are sums of costs:
//
//   - [FixedWindow]: a window opens at the first admitted charge that finds none open, and is
//     [opened, opened+W). It never admits more than N. It is not aligned to the clock, so in a span of W
//     that lies across two windows up to 2N can be admitted.
//   - [ElasticWindow]: as above, but each admitted charge moves the end to its own time + W. A refused one
//     does not, so who is refused need only wait.
//   - [MovingWindow]: never more than N in any span [t, t+W). A charge that comes exactly W after another
//     no longer meets it.
//
// Refused charges are never counted: not those that did not fit, and not those that fitted but were
// refused with the rest of their request.
//
// # Exact and conservative
//
// The fixed windows are exact. A moving window keeps a (time, cost) entry for each admitted charge, and
// is exact, for costs of any size, as long as no more than 4096 charges were admitted within W. Beyond
// that, entries are merged that fall into one of 2048 equal parts of W; the merged entry has the time of
// its youngest. So a charge counts for at most W/2048 longer than it should (30 ms of a minute), and
// never for less: it can only refuse what would fit, never admit what does not. A counter never holds
// more than 4096 entries (64 KiB in memory).
//
// # Debt
//
// What a call takes is known when it is over. Settle takes what was used beyond the reservation even
// where it does not fit; the counter is then in debt, and refuses until enough has expired. So the calls
// that are admitted in one window use together no more than N and what those of them that were under way
// when the last was admitted use beyond their reservations (TestBoundOfDebt): N, where reservations hold.
// What is used beyond a reservation counts from when it is settled, in the window open by then, or in one
// that it opens itself; it does not extend an elastic window. The debt of a fixed window ends with it. What
// is given back is taken off the window, or the part of W, in which it was reserved, and off none where that
// is over: a late settlement must not make room for others.
//
// # Counters
//
// Charges that agree in Key, Window, Strategy and Shadow share a counter, so a counter survives a change of
// the count. Within one request such charges are one: the smallest count holds, and the largest cost
// is taken, once. A shadow charge never refuses. It is counted as if it were enforced: only if the
// request passes, and not where it would have been refused itself.
//
// # Time
//
// Counters are kept in microseconds. A counter's time never runs backwards: where the clock does, it
// stands still. Memory takes the monotonic clock; Redis takes the server's, so replicas need not agree.
//
// # Why not a library
//
// github.com/mennanov/limiters has windows and buckets over many stores. Its sliding window counts
// refused requests, and approximates; its fixed window is aligned to the clock; its Redis bucket needs a
// lock; it can neither look without taking, nor take several as one, nor go into debt.
package limit
