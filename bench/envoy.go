package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/resource_monitors/downstream_connections/v3" // what the bootstrap names
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/resource_monitors/fixed_heap/v3"             // what the bootstrap names
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"tollgate/config"
	"tollgate/envoy"
	"tollgate/xds"
)

// mode is what an external processor sees of a request, as the gate and as the tap.
type mode struct {
	gate     bool // the request's headers
	body     bool // and its body
	response bool // and the answer
	tap      bool // copies of the answer and, where the gate has not the body, of the request
}

// staticEnvoy is Envoy's whole configuration, as Tollgate makes it for one route without any rule, less its
// own filters; in their place there are plain processors in the given mode.
func staticEnvoy(c *config.Config, socket, admin string, m mode) ([]byte, error) {
	resources, err := xds.Build(c, "", "")
	if err != nil {
		return nil, fmt.Errorf("building Envoy's configuration: %w", err)
	}
	listener := resources.Listeners[0]
	if err := inline(listener, resources.Routes[0], m); err != nil {
		return nil, err
	}
	bootstrap, err := bootstrapOf(envoy.Bootstrap{Gate: "unix://" + socket, Admin: "unix://" + admin})
	if err != nil {
		return nil, fmt.Errorf("making Envoy's bootstrap: %w", err)
	}
	bootstrap.DynamicResources = nil
	bootstrap.StaticResources.Listeners = []*listenerv3.Listener{listener}
	bootstrap.StaticResources.Clusters = append(bootstrap.GetStaticResources().GetClusters(), static(resources)...)
	out, err := protojson.Marshal(bootstrap)
	if err != nil {
		return nil, fmt.Errorf("writing Envoy's configuration: %w", err)
	}
	return out, nil
}

// bootstrapOf is Envoy's bootstrap as a message. It is read as Envoy reads it: YAML 1.1, then JSON.
func bootstrapOf(b envoy.Bootstrap) (*bootstrapv3.Bootstrap, error) {
	text, err := b.YAML()
	if err != nil {
		return nil, err //nolint:wrapcheck // staticEnvoy says what it is about
	}
	var tree any
	if err := yaml.Unmarshal(text, &tree); err != nil {
		return nil, fmt.Errorf("reading YAML: %w", err)
	}
	tidy, err := json.Marshal(tree)
	if err != nil {
		return nil, fmt.Errorf("writing JSON: %w", err)
	}
	message := &bootstrapv3.Bootstrap{}
	if err := protojson.Unmarshal(tidy, message); err != nil {
		return nil, fmt.Errorf("reading JSON: %w", err)
	}
	return message, nil
}

// inline puts the routes and the filters into the listener.
func inline(listener *listenerv3.Listener, routes *routev3.RouteConfiguration, m mode) error {
	for _, host := range routes.GetVirtualHosts() {
		for _, route := range host.GetRoutes() {
			maps.DeleteFunc(route.GetTypedPerFilterConfig(), func(filter string, _ *anypb.Any) bool { return ours(filter) })
		}
	}
	filter := listener.GetFilterChains()[0].GetFilters()[0]
	manager := &hcmv3.HttpConnectionManager{}
	if err := filter.GetTypedConfig().UnmarshalTo(manager); err != nil {
		return fmt.Errorf("reading Envoy's listener: %w", err)
	}
	manager.RouteSpecifier = &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: routes}
	var filters []*hcmv3.HttpFilter
	for _, f := range manager.GetHttpFilters() {
		if !ours(f.GetName()) {
			filters = append(filters, f)
		}
	}
	if len(filters) == len(manager.GetHttpFilters()) {
		return errors.New("bug: the listener has none of Tollgate's filters to take out")
	}
	between, err := m.processors()
	if err != nil {
		return err
	}
	for _, upgrade := range manager.GetUpgradeConfigs() {
		upgrade.Filters = nil // those of the listener
	}
	router := filters[len(filters)-1]
	manager.HttpFilters = append(append(filters[:len(filters)-1], between...), router)
	packed, err := anypb.New(manager)
	if err != nil {
		return fmt.Errorf("writing Envoy's listener: %w", err)
	}
	filter.ConfigType = &listenerv3.Filter_TypedConfig{TypedConfig: packed}
	return nil
}

func ours(filter string) bool { return strings.HasPrefix(filter, "tollgate.") }

// static gives clusters the endpoints that they would ask for.
func static(r *xds.Resources) []*clusterv3.Cluster {
	endpoints := map[string]*endpointv3.ClusterLoadAssignment{}
	for _, e := range r.Endpoints {
		endpoints[e.GetClusterName()] = e
	}
	for _, c := range r.Clusters {
		if c.GetType() == clusterv3.Cluster_EDS {
			c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC}
			c.EdsClusterConfig, c.LoadAssignment = nil, endpoints[c.GetName()]
		}
	}
	return r.Clusters
}

// processors are the filters of a mode, as plain as they can be.
func (m mode) processors() ([]*hcmv3.HttpFilter, error) {
	gate := processor(&extprocv3.ProcessingMode{
		RequestHeaderMode: extprocv3.ProcessingMode_SEND, ResponseHeaderMode: extprocv3.ProcessingMode_SKIP,
	})
	gate.AllowContentLengthHeader = true
	if m.body {
		gate.ProcessingMode.RequestBodyMode = extprocv3.ProcessingMode_FULL_DUPLEX_STREAMED
		gate.ProcessingMode.RequestTrailerMode = extprocv3.ProcessingMode_SEND
	}
	if m.response {
		gate.ProcessingMode.ResponseHeaderMode = extprocv3.ProcessingMode_SEND
		gate.ProcessingMode.ResponseBodyMode = extprocv3.ProcessingMode_FULL_DUPLEX_STREAMED
		gate.ProcessingMode.ResponseTrailerMode = extprocv3.ProcessingMode_SEND
	}
	tap := processor(&extprocv3.ProcessingMode{
		RequestHeaderMode: extprocv3.ProcessingMode_SEND, ResponseHeaderMode: extprocv3.ProcessingMode_SEND,
		ResponseBodyMode: extprocv3.ProcessingMode_STREAMED,
	})
	tap.ObservabilityMode, tap.FailureModeAllow = true, true
	if !m.body {
		tap.ProcessingMode.RequestBodyMode = extprocv3.ProcessingMode_STREAMED
	}
	var filters []*hcmv3.HttpFilter
	for _, f := range []struct {
		name   string
		wanted bool
		is     *extprocv3.ExternalProcessor
	}{{"floor.gate", m.gate, gate}, {"floor.tap", m.tap, tap}} {
		if !f.wanted {
			continue
		}
		packed, err := anypb.New(f.is)
		if err != nil {
			return nil, fmt.Errorf("writing the filter %s: %w", f.name, err)
		}
		filters = append(filters, &hcmv3.HttpFilter{Name: f.name, ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: packed}})
	}
	return filters, nil
}

func processor(m *extprocv3.ProcessingMode) *extprocv3.ExternalProcessor {
	return &extprocv3.ExternalProcessor{
		GrpcService: &corev3.GrpcService{
			TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{ClusterName: xds.GateCluster, SkipEnvoyHeaders: true}},
		},
		ProcessingMode: m,
		MessageTimeout: durationpb.New(startWithin),
	}
}
