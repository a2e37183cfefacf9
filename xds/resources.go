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
	clusters := map[*config.Route]destination{}
	for _, route := range c.Routes {
		to, err := r.destination(route, systemCA)
		if err != nil {
			return nil, err
		}
		clusters[route] = to
	}
	certificate := r.certificate(c.Listener.TLS)
	tracing, err := r.tracing(c.Traces, systemCA)
	if err != nil {
		return nil, err
	}
	r.Listeners = append(r.Listeners, listener(&c.Listener, certificate, tracing))
	r.Routes = append(r.Routes, routeConfiguration(c, clusters))
	if shared != "" && slices.ContainsFunc(c.Routes, sharesCalls) {
		r.Listeners = append(r.Listeners, sharedListener(&c.Listener, shared))
		r.Routes = append(r.Routes, sharedRoutes(c, clusters))
	}
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("building Envoy's configuration: %w", err)
	}
	return r, nil
}

// destination is where a route leads, by the names of clusters.
type destination struct {
	clusters

	own clusters // for requests with their client's own key, where these go apart
}

// clusters are those of one upstream for one purpose.
type clusters struct {
	http      string
	webSocket string // the same service by HTTP/1.1 only; equal to http where that is so already
}

// destination adds what a route leads to, and names it.
func (r *Resources) destination(route *config.Route, systemCA string) (destination, error) {
	authorities, err := r.authorities(route.Upstream, systemCA)
	if err != nil {
		return destination{}, err
	}
	if !route.Needs().Attempts {
		return destination{clusters: r.addClusters(route.Upstream, authorities, direct)}, nil
	}
	d := destination{clusters: r.addClusters(route.Upstream, authorities, keyed)}
	if route.Auth == config.AuthPassthrough {
		d.own = r.addClusters(route.Upstream, authorities, direct)
	}
	return d, nil
}

// addClusters adds what an upstream needs: its cluster, the one for WebSockets, their endpoints.
func (r *Resources) addClusters(u *config.Upstream, authorities string, use purpose) clusters {
	webSocket := r.addCluster(u, authorities, http1, use)
	if !u.TLS {
		return clusters{http: webSocket, webSocket: webSocket}
	}
	return clusters{http: r.addCluster(u, authorities, byALPN, use), webSocket: webSocket}
}

func (r *Resources) addCluster(u *config.Upstream, authorities string, speak protocol, use purpose) string {
	c := cluster(u, authorities, speak, use)
	for _, existing := range r.Clusters {
		if existing.GetName() == c.GetName() {
			return c.GetName()
		}
	}
	r.Clusters = append(r.Clusters, c)
	if c.GetType() == clusterv3.Cluster_EDS {
		r.Endpoints = append(r.Endpoints, endpoints(c.GetName(), u))
	}
	return c.GetName()
}
