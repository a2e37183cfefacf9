// Package xds turns a configuration into Envoy's, and hands it to every Envoy that asks.
//
// [Build] is pure: a *config.Config in, Envoy's [Resources] out. Each builder is named after the
// Envoy resource that it makes, begins with a literal of what is always so, and then says what
// differs. resources.go is the table of contents; filters.go holds the filter chain, in order, with
// the reason for each element.
//
// [Server] speaks the xDS protocol (delta, aggregated) by go-control-plane. [Server.Publish] brings
// a change to all connected Envoys so that no request falls between two configurations:
//
//  1. new clusters, endpoints and secrets are added beside the old ones;
//  2. when all Envoys have acknowledged them, listeners and routes move over;
//  3. what only the old routes used is taken away later, when no request can be on its way to it.
//
// An Envoy that rejects a step (a NACK) ends the change: everything goes back to what was in force,
// and the error says what Envoy said.
//
// Names. A cluster is called NAME@HASH, where HASH is that of its whole content: a changed upstream
// is a new cluster, with its own connections, and never an update of one in use. So are secrets. A
// route carries its config.Route.ID to the gate.
package xds
