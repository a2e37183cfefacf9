// Package chaos runs a whole gateway under load while everything around it fails, and judges what its clients,
// its upstreams and its operator saw.
//
// [NewPlan] makes, of a seed, all that is to happen: the configuration, who sends which request when and how it
// behaves, how each upstream misbehaves at each attempt, and which processes, stores, files and upstreams fail
// when. `make chaos` carries plans out against a real `tollgate run` with a real Envoy, a real Redis and
// upstreams of test/mock. A run promises:
//
//   - Every answer is whole or an honest error. Whole: a 200 that ends, and is byte for byte what the upstream
//     sent for this request, or for another whose answer it may share. Honest: an error in OpenAI's shape, or a
//     connection that is cut; what came before the cut is a beginning of what the upstream sent. It never is a
//     200 that ends in good order and is not all, another client's answer, or a kept one that was broken.
//   - A request to which nothing happened succeeds, and so does one whose upstream failed less often than it
//     may be tried again.
//   - Nobody notices that a newer `tollgate serve` takes over.
//   - No request is sent again but where an attempt failed before its answer.
//   - No limit is exceeded, nor does one refuse what fits: package limitcheck says so.
//   - No key is where it must not be: in an output, a file, a metric, Envoy's dumps, a client's answer, or at an
//     upstream that it is not meant for.
//   - The two lines of each call that its client saw end well are in the chat log. Those that are not are
//     counted in tollgate_chatlog_lost_total, or fell with a process that was killed.
//   - When all is over the gateway serves as at the beginning: with the last good configuration, no request in
//     flight, and as many goroutines, file descriptors and connections as after the warm-up.
//
// The suite always takes the same seed, make chaos another one each time, and prints it. CHAOS_SEED replays its
// plan: the schedule, that is. How requests and faults interleave
// within the processes is not replayed, so a failure may need several runs. CHAOS_SECONDS is how long the faults
// of a run last, CHAOS_ROUNDS how many runs there are, with seeds that follow one another.
package chaos
