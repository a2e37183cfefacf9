package xds

import (
	"fmt"
	"slices"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"tollgate/config"
)

// Resources is all of Envoy's configuration that xDS carries.
type Resources struct {
	Listeners []*listenerv3.Listener
	Routes    []*routev3.RouteConfiguration
	Clusters  []*clusterv3.Cluster
	Endpoints []*endpointv3.ClusterLoadAssignment
	Secrets   []*tlsv3.Secret
}

// Build makes Envoy's configuration. systemCA is the PEM bundle for upstreams that name no
// authorities of their own (see [SystemCA]); it may be empty where no upstream needs it. shared is the
// path of a Unix socket, on Envoy's machine, for calls that several requests share; empty: there are none.
func Build(c *config.Config, systemCA, shared string) (*Resources, error) {
	r := &Resources{}
	sites, err := newLeading(r, systemCA).sites(c, true)
	if err != nil {
		return nil, err
	}
	if err := r.build(c, sites, systemCA, shared); err != nil {
		return nil, err
	}
	r.plant(sites)
	return r, nil
}

// build adds what leads to the sites, with all of Envoy's routes in lists.
func (r *Resources) build(c *config.Config, sites []*site, systemCA, shared string) error {
	tracing, err := r.tracing(c.Traces, systemCA)
	if err != nil {
		return err
	}
	secured := r.serverTLS(c.Listener.TLS)
	r.Listeners = append(r.Listeners, listener(c, secured, tracing))
	if c.Listener.HTTP3 {
		r.Listeners = append(r.Listeners, http3Listener(c, secured, tracing))
	}
	r.Routes = append(r.Routes, routeConfiguration(c, sites))
	if shared != "" && slices.ContainsFunc(c.Routes, sharesCalls) {
		r.Listeners = append(r.Listeners, sharedListener(&c.Listener, shared))
		r.Routes = append(r.Routes, sharedRoutes(sites))
	}
	if err := r.check(); err != nil {
		return fmt.Errorf("building Envoy's configuration: %w", err)
	}
	return nil
}

func (r *Resources) addCluster(u *config.Upstream, by trust, speak protocol, use purpose) string {
	c := cluster(u, by, speak, use)
	for _, existing := range r.Clusters {
		if existing.GetName() == c.GetName() {
			return c.GetName()
		}
	}
	r.Clusters = append(r.Clusters, c)
	if c.GetType() == clusterv3.Cluster_EDS {
		r.Endpoints = append(r.Endpoints, endpoints(c.GetName(), u, use))
	}
	return c.GetName()
}
