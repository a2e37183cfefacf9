package xds

import (
	"errors"
	"fmt"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"google.golang.org/protobuf/proto"
)

// check sees that the resources fit together: each valid by Envoy's own rules, and every cluster
// that a route names there. go-control-plane's Consistent() does not look at the latter.
func (r *Resources) check() error {
	var problems []error
	for _, list := range r.byType() {
		for _, resource := range list {
			if v, ok := resource.(interface{ ValidateAll() error }); ok {
				problems = append(problems, v.ValidateAll())
			}
		}
	}
	clusters := map[string]bool{}
	for _, c := range r.Clusters {
		clusters[c.GetName()] = true
		if c.GetType() == clusterv3.Cluster_EDS && !r.hasEndpoints(c.GetName()) {
			problems = append(problems, fmt.Errorf("cluster %s has no endpoints", c.GetName()))
		}
	}
	for _, configuration := range r.Routes {
		for _, host := range configuration.GetVirtualHosts() {
			for _, route := range host.GetRoutes() {
				if name := route.GetRoute().GetCluster(); name != "" && !clusters[name] {
					problems = append(problems, fmt.Errorf("route %s leads to cluster %s, which does not exist", route.GetName(), name))
				}
			}
		}
	}
	return errors.Join(problems...)
}

func (r *Resources) hasEndpoints(cluster string) bool {
	for _, e := range r.Endpoints {
		if e.GetClusterName() == cluster {
			return true
		}
	}
	return false
}

// byType gives the resources by their xDS type.
func (r *Resources) byType() map[types.ResponseType][]types.Resource {
	return map[types.ResponseType][]types.Resource{
		types.Listener: list(r.Listeners),
		types.Route:    list(r.Routes),
		types.Cluster:  list(r.Clusters),
		types.Endpoint: list(r.Endpoints),
		types.Secret:   list(r.Secrets),
	}
}

func list[T proto.Message](messages []T) []types.Resource {
	resources := make([]types.Resource, len(messages))
	for i, m := range messages {
		resources[i] = m
	}
	return resources
}
