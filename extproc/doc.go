// Package extproc is the gate: the Go side of Envoy's external processing filter, which decides of
// each request whether it may pass, and gives it the upstream's key.
//
// # One request's story
//
//  1. Envoy chooses a route. If the route needs the gate (config.Route.Needs), it opens a gRPC
//     stream here, naming the route in the stream's metadata, and sends the request's headers.
//  2. [Gate.Process] takes them (stream.go: head). If the route needs the body as well, Envoy sends it
//     (the first message's protocol_config says so), and the gate holds it: not a byte of it reaches
//     the upstream before the verdict.
//  3. The gate asks the policies, and answers once: the request passes, with its headers changed, or is
//     refused with an answer of the gate's own. With the answer travels the verdict as metadata,
//     without which Envoy's lock (package xds) stays shut. After it the body goes on as it came.
//  4. The stream is over. Envoy forwards every byte of the answer by itself.
//
// # What it promises
//
// It fails closed. Process returns nil only after a verdict was sent. Every other way out, an error,
// a panic, a route that it does not know, ends the stream with an error, and Envoy refuses the
// request; should it ever end without either, the lock refuses it.
//
// A request sees one configuration, from its first message to its verdict: the table is one
// immutable value behind one pointer. Routes that the newest configuration no longer has stay
// usable for a while, for requests that Envoy matched before it learned of the change.
package extproc
