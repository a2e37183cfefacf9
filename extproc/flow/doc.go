// Package flow is what is done to a streamed answer on its way to the client: its pace is kept, and the
// event is taken out that its client did not ask for. Every other byte stays as the upstream sent it.
//
//   - [Splitter] cuts an answer's bytes into events, and changes none.
//   - [Pacer] says when the next event may go.
//   - [AskUsage] asks the upstream for the tokens of an answer, and [UsageFilter] takes out the event
//     that tells them.
//   - [DropMember] takes a member out of a request that no upstream knows.
//
// It knows neither Envoy nor any policy. What is not understood passes as it is.
package flow
