// Package mesh writes what Tollgate needs of an Envoy that another control plane configures, as objects of
// that control plane.
//
// [Istio] puts Tollgate's filters, routes and clusters, as package xds makes them, into a workload's own
// Envoy: all that Tollgate can do works there, but for what belongs to the listener. [EnvoyGateway] says
// the same in that project's API as far as it goes, and patches the rest.
//
// In neither is there a key: those stay with `tollgate serve`, which must run with the same
// configuration. A route carries its config.Route.ID, so a gate whose configuration is another one refuses
// its requests: it never sends a key to an upstream that it was not meant for.
package mesh
