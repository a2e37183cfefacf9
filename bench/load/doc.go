// Package load sends requests to one address, and takes the times of their answers.
//
// A closed loop ([Pool.Closed]) keeps every connection busy: it shows what a request costs and how many go
// through. An open loop ([Pool.Open]) sends at a fixed rate whatever becomes of the answers, and counts each
// from the moment at which it was due, so that a server that stalls does not stall its own measurement (no
// coordinated omission). Both read server-sent events as they come: when the first was there, and how long
// each took after the one before.
//
// The client is HTTP/1.1 by hand, since Go's would take more CPU than the proxies that are measured.
package load
