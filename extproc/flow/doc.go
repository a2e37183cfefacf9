// Package flow is what is done to a streamed answer on its way to the client: its pace is kept. Every
// byte stays as the upstream sent it.
//
//   - [Splitter] cuts an answer's bytes into events, and changes none.
//   - [Pacer] says when the next event may go.
//
// It knows neither Envoy nor any policy. What is not understood passes as it is.
package flow
