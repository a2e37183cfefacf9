// Package limitcheck judges whether a gateway kept its limits, by what its clients saw.
//
// It knows nothing of how limits are counted: what they mean is written down here a second time, after
// the schema's own words. [Generate] makes a random configuration, [Spec.Takes] says which counters a
// request takes from, and [Check] looks at the history of a run: when each request was sent and
// answered, and what became of it.
//
// A request was decided at some time between the two, and nobody knows when. So a history is wrong only
// where it is for every choice of those times:
//
//   - over-admission: a request was admitted although, whenever it was decided, more than the rate's
//     count had been taken of a counter;
//   - wrong refusal: a request was refused although, whenever it was decided, it fitted into all of its
//     counters;
//   - wrong headers: what the answer says is left cannot have been left.
//
// Windows that are long against an answer's time make few requests ambiguous, and requests that follow
// one another make none.
package limitcheck
