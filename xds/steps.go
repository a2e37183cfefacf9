package xds

import (
	"slices"

	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"google.golang.org/protobuf/proto"
)

// Version names the content: equal resources have equal versions.
func (r *Resources) Version() string { return hashOf(r.messages()...) }

// messages are all resources, in an order that is always the same.
func (r *Resources) messages() []proto.Message {
	var all []proto.Message
	for kind := range types.UnknownType {
		for _, resource := range r.byType()[kind] {
			all = append(all, resource)
		}
	}
	return all
}

// versions are those of single resources: by type URL, then by name.
type versions map[string]map[string]string

// beforeRoutes is what can be acknowledged before listeners and routes lead to it.
func (r *Resources) beforeRoutes() *Resources {
	early := r.without(&Resources{})
	early.Secrets = slices.DeleteFunc(early.Secrets, func(s *tlsv3.Secret) bool {
		return s.GetName() == listenerCertificate || s.GetName() == clientAuthorities // listeners ask for them
	})
	return early
}

// union is the resources with the clusters, endpoints and secrets of others that they do not have.
func (r *Resources) union(other *Resources) *Resources {
	all := &Resources{Listeners: r.Listeners, Routes: r.Routes}
	all.addAll(r)
	all.addAll(other)
	return all
}

// addAll adds clusters, endpoints and secrets that are not there yet.
func (r *Resources) addAll(other *Resources) {
	if other == nil {
		return
	}
	r.Clusters = merge(r.Clusters, other.Clusters)
	r.Endpoints = merge(r.Endpoints, other.Endpoints)
	r.Secrets = merge(r.Secrets, other.Secrets)
}

// without is the clusters, endpoints and secrets that the other does not have.
func (r *Resources) without(other *Resources) *Resources {
	return &Resources{
		Clusters:  subtract(r.Clusters, other.Clusters),
		Endpoints: subtract(r.Endpoints, other.Endpoints),
		Secrets:   subtract(r.Secrets, other.Secrets),
	}
}

// resolvesMoreThan tells whether there is a cluster by DNS that the other does not have.
func (r *Resources) resolvesMoreThan(other *Resources) bool {
	for _, c := range subtract(r.Clusters, other.Clusters) {
		if c.GetClusterType().GetName() == byDNS().ClusterType.GetName() {
			return true
		}
	}
	return false
}

func merge[T types.Resource](a, b []T) []T {
	return append(append([]T(nil), a...), subtract(b, a)...)
}

// subtract gives those of a whose names b does not have. Names are made of content, so equal names are equal
// resources; of secrets that are renewed under one name, a has the version that counts.
func subtract[T types.Resource](a, b []T) []T {
	names := make(map[string]bool, len(b))
	for _, resource := range b {
		names[cache.GetResourceName(resource)] = true
	}
	var rest []T
	for _, resource := range a {
		if !names[cache.GetResourceName(resource)] {
			rest = append(rest, resource)
		}
	}
	return rest
}
