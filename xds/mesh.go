package xds

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	proxyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/http_11_proxy/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"tollgate/config"
)

// MeshAuthorities is where the images of meshes' Envoys keep the certificate authorities against which
// upstreams are checked that name none of their own.
const MeshAuthorities = "/etc/ssl/certs/ca-certificates.crt"

// The names of the filters.
const (
	GateFilter = gateFilter
	LockFilter = lockFilter
	TapFilter  = tapFilter
)

// Mesh is what goes into an Envoy that another control plane configures: nothing in it refers to this
// program's xDS.
type Mesh struct {
	// Gate, Lock and Tap are what the three filters do. See Filters.
	Gate *extprocv3.ExternalProcessor
	Lock *rbacv3.RBAC
	Tap  *extprocv3.ExternalProcessor

	// Routes are those that lead to upstreams, in the order in which they are tried. Each turns on the
	// filters that it needs.
	Routes []*routev3.Route

	// Clusters are the upstreams.
	Clusters []*clusterv3.Cluster
}

// ForMesh makes the configuration for another control plane's Envoy, which asks the gate by the cluster
// [GateCluster]. Of the listener nothing is in it: that is the mesh's. It holds no key.
func ForMesh(c *config.Config) (*Mesh, error) {
	for _, route := range c.Routes {
		if len(route.Upstreams()) > 1 {
			return nil, fmt.Errorf("route %s leads to several upstreams, which a mesh cannot be told yet: make a route for each", route.Prefix)
		}
	}
	for _, u := range c.Upstreams {
		if u.Certificate != nil {
			return nil, fmt.Errorf("upstream %s is shown a certificate, whose key has no place in a mesh's objects: let the mesh show one of its own", u.Name)
		}
	}
	untraced := *c
	untraced.Traces = nil // Envoy's spans are the mesh's
	r := &Resources{}
	sites, err := newLeading(r, MeshAuthorities).sites(c, false)
	if err != nil {
		return nil, err
	}
	if err := r.build(&untraced, sites, MeshAuthorities, ""); err != nil {
		return nil, err
	}
	m := &Mesh{Gate: gate(), Lock: lock(), Tap: tap()}
	for _, configuration := range r.Routes {
		for _, host := range configuration.GetVirtualHosts() {
			for _, route := range host.GetRoutes() {
				if route.GetRoute() == nil {
					continue // what Envoy itself answers is the mesh's business
				}
				route.RequestHeadersToRemove = slices.Concat(route.GetRequestHeadersToRemove(), configuration.GetRequestHeadersToRemove())
				if err := nameToGate(route); err != nil {
					return nil, err
				}
				route.RequestBodyBufferLimit = nil // older Envoys do not know it, and a mesh's keep as much anyway
				route.TypedPerFilterConfig = turnedOn(route.GetTypedPerFilterConfig())
				m.Routes = append(m.Routes, route)
			}
		}
	}
	for _, c := range r.Clusters {
		if err := r.standAlone(c); err != nil {
			return nil, fmt.Errorf("cluster %s: %w", c.GetName(), err)
		}
		m.Clusters = append(m.Clusters, c)
	}
	return m, nil
}

// Filters are gate, lock and tap, in the order in which they stand before the router. They are off: other
// routes of that Envoy are none of ours. Routes turn them on.
func (m *Mesh) Filters() []*hcmv3.HttpFilter {
	filters := []*hcmv3.HttpFilter{
		httpFilter(gateFilter, m.Gate),
		httpFilter(lockFilter, m.Lock),
		httpFilter(tapFilter, where(hasCall(), tapFilter, m.Tap)),
	}
	for _, f := range filters {
		f.Disabled = true
	}
	return filters
}

// nameToGate has a route itself tell the gate its name: what the mesh calls it the gate does not know.
func nameToGate(route *routev3.Route) error {
	said, own := route.GetTypedPerFilterConfig()[gateFilter], &extprocv3.ExtProcPerRoute{}
	if said.MessageIs(&routev3.FilterConfig{}) {
		return nil // there is no gate
	}
	if said != nil {
		if err := said.UnmarshalTo(own); err != nil {
			return fmt.Errorf("reading a route of our own: %w", err)
		}
	}
	overrides := own.GetOverrides()
	if overrides == nil {
		overrides = &extprocv3.ExtProcOverrides{}
	}
	overrides.GrpcInitialMetadata = named(route.GetName())
	route.TypedPerFilterConfig[gateFilter] = override(overrides)
	return nil
}

// turnedOn says for filters that are off by default what a route says of those that are on.
func turnedOn(said map[string]*anypb.Any) map[string]*anypb.Any {
	filters := map[string]*anypb.Any{}
	for _, name := range []string{gateFilter, lockFilter, tapFilter} {
		filters[name] = anyOf(&routev3.FilterConfig{Config: &anypb.Any{}})
	}
	maps.Copy(filters, said)
	maps.DeleteFunc(filters, func(name string, said *anypb.Any) bool {
		return proto.Equal(said, off()) || strings.HasPrefix(name, bodyFilter) // a mesh bounds bodies by itself
	})
	return filters
}

// standAlone puts into a cluster what came beside it by xDS: its endpoints, and the authorities.
func (r *Resources) standAlone(c *clusterv3.Cluster) error {
	if c.GetType() == clusterv3.Cluster_EDS {
		for _, e := range r.Endpoints {
			if e.GetClusterName() == c.GetName() {
				c.LoadAssignment = e
			}
		}
		c.EdsClusterConfig = nil
		c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC}
	}
	if c.GetTransportSocket() == nil {
		return nil
	}
	return r.inlineAuthorities(c.GetTransportSocket())
}

// inlineAuthorities replaces the reference to a secret by what the secret holds: certificate authorities
// are none.
func (r *Resources) inlineAuthorities(socket *corev3.TransportSocket) error {
	message, err := socket.GetTypedConfig().UnmarshalNew()
	if err != nil {
		return fmt.Errorf("reading a transport socket of our own: %w", err)
	}
	switch settings := message.(type) {
	case *proxyv3.Http11ProxyUpstreamTransport:
		if err := r.inlineAuthorities(settings.GetTransportSocket()); err != nil {
			return err
		}
	case *tlsv3.UpstreamTlsContext:
		combined := settings.GetCommonTlsContext().GetCombinedValidationContext()
		validation := combined.GetDefaultValidationContext()
		validation.TrustedCa = r.trusted(combined.GetValidationContextSdsSecretConfig().GetName())
		settings.CommonTlsContext.ValidationContextType = &tlsv3.CommonTlsContext_ValidationContext{ValidationContext: validation}
	}
	socket.ConfigType = &corev3.TransportSocket_TypedConfig{TypedConfig: anyOf(message)}
	return nil
}

// trusted is the bundle that a secret holds. ForMesh gave Build a path in the place of the system's.
func (r *Resources) trusted(secret string) *corev3.DataSource {
	for _, s := range r.Secrets {
		if bundle := s.GetValidationContext().GetTrustedCa(); s.GetName() == secret && bundle.GetInlineString() != MeshAuthorities {
			return bundle
		}
	}
	return &corev3.DataSource{Specifier: &corev3.DataSource_Filename{Filename: MeshAuthorities}}
}
