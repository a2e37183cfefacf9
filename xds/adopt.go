package xds

import (
	"encoding/json"
	"fmt"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// InForce returns what all Envoys run, with what only older routes use.
func (s *Server) InForce() Parts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current.union(s.retiring)
}

// Adopt makes what Envoys run by another server what is in force here, in the place of the first Publish.
// Envoys that connect find nothing changed; the next Publish is a change like any other.
func (s *Server) Adopt(running Parts) {
	s.shelf.set(running, false)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current, s.version = running, running.Version()
}

// Marshal writes the parts, with their secrets, for another process.
func (p Parts) Marshal() ([]byte, error) {
	parts := make(map[string][]byte, len(p))
	for group, resources := range p {
		written, err := resources.marshal()
		if err != nil {
			return nil, fmt.Errorf("writing Envoy's configuration: %w", err)
		}
		parts[group] = written
	}
	return json.Marshal(parts) //nolint:wrapcheck // this cannot fail
}

// UnmarshalParts reads what Marshal wrote.
func UnmarshalParts(written []byte) (Parts, error) {
	var parts map[string][]byte
	if err := json.Unmarshal(written, &parts); err != nil {
		return nil, fmt.Errorf("reading Envoy's configuration: %w", err)
	}
	p := make(Parts, len(parts))
	for group, written := range parts {
		resources, err := unmarshal(written)
		if err != nil {
			return nil, fmt.Errorf("reading Envoy's configuration: %w", err)
		}
		p[group] = resources
	}
	return p, nil
}

func (r *Resources) marshal() ([]byte, error) {
	var all discoveryv3.DiscoveryResponse
	for _, resource := range r.messages() {
		packed, err := anypb.New(resource)
		if err != nil {
			return nil, err //nolint:wrapcheck // Marshal does
		}
		all.Resources = append(all.Resources, packed)
	}
	return proto.Marshal(&all) //nolint:wrapcheck // Marshal does
}

func unmarshal(written []byte) (*Resources, error) {
	var all discoveryv3.DiscoveryResponse
	if err := proto.Unmarshal(written, &all); err != nil {
		return nil, err //nolint:wrapcheck // UnmarshalParts does
	}
	r := &Resources{}
	for _, packed := range all.GetResources() {
		resource, err := packed.UnmarshalNew()
		if err != nil {
			return nil, err //nolint:wrapcheck // UnmarshalParts does
		}
		switch resource := resource.(type) {
		case *listenerv3.Listener:
			r.Listeners = append(r.Listeners, resource)
		case *routev3.RouteConfiguration:
			r.Routes = append(r.Routes, resource)
		case *clusterv3.Cluster:
			r.Clusters = append(r.Clusters, resource)
		case *endpointv3.ClusterLoadAssignment:
			r.Endpoints = append(r.Endpoints, resource)
		case *tlsv3.Secret:
			r.Secrets = append(r.Secrets, resource)
		default:
			return nil, fmt.Errorf("it holds a %s", packed.GetTypeUrl())
		}
	}
	return r, nil
}
