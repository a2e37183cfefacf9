package mesh

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"tollgate/config"
	"tollgate/xds"
)

// Side is which of a workload's traffic goes by way of Tollgate.
type Side string

// The sides, each with Istio's name for it.
const (
	Gateway  Side = "gateway"  // what a gateway takes in
	Inbound  Side = "inbound"  // what others ask of a workload, at its sidecar
	Outbound Side = "outbound" // what a workload asks of others, at its sidecar
)

// Istio says which Envoys get Tollgate's filters, and where in them.
type Istio struct {
	Namespace string
	Workload  map[string]string // labels of its pods
	Side      Side

	// Port is that of the gateway's server, of the workload itself, or of the host.
	Port uint16

	// Host is what a workload calls, of what goes out: its port carries plain HTTP, and the upstream's TLS
	// begins in the sidecar.
	Host string

	// Gate is where `tollgate serve` listens: unix:///PATH in the workload's own pod, or HOST:PORT of a
	// service of the mesh, to which Istio speaks by mutual TLS.
	Gate string
}

const istioComment = `# Tollgate in the Envoy of an Istio workload. Made by ` + "`tollgate export --for istio`" + `: make it anew
# when routes or upstreams change. It holds no key.
`

// Export prints the objects.
func (o Istio) Export(c *config.Config) ([]byte, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	mesh, err := xds.ForMesh(c)
	if err != nil {
		return nil, err //nolint:wrapcheck // it says what was being done
	}
	patches, err := o.patches(mesh)
	if err != nil {
		return nil, err
	}
	objects := []fields{object("networking.istio.io/v1alpha3", "EnvoyFilter", o.Namespace, "tollgate", fields{
		"workloadSelector": fields{"labels": o.Workload},
		"configPatches":    patches,
	})}
	if o.Side == Outbound {
		objects = append(objects, object("networking.istio.io/v1", "ServiceEntry", o.Namespace, "tollgate", fields{
			"hosts":      []string{o.Host},
			"location":   "MESH_EXTERNAL",
			"resolution": "DNS",
			"ports":      []fields{{"name": "http", "number": o.Port, "protocol": "HTTP"}},
		}))
	}
	return documents(istioComment, objects)
}

func (o Istio) check() error {
	switch {
	case !slices.Contains([]Side{Gateway, Inbound, Outbound}, o.Side):
		return fmt.Errorf("there is no side %q: choose gateway, inbound or outbound by --side", o.Side)
	case len(o.Workload) == 0:
		return errors.New("which workload? Name its pods by --workload LABEL=VALUE: without, every Envoy of the namespace would be changed")
	case o.Port == 0:
		return errors.New("which port? Name by --port that of the gateway's server, of the workload, or of the host that is called")
	case (o.Host == "") == (o.Side == Outbound):
		return errors.New("a host is what a workload calls: name it by --host with --side outbound, and only there")
	}
	return nil
}

// patches are in the order in which Istio shall apply them.
func (o Istio) patches(mesh *xds.Mesh) ([]fields, error) {
	p := istioPatches{side: o}
	cluster, err := gateCluster(o.Gate)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(o.Gate, "unix://") {
		p.add("CLUSTER", "ADD", nil, cluster)
	} else if host, port, err := net.SplitHostPort(o.Gate); err == nil {
		p.service = fmt.Sprintf("outbound|%s||%s", port, host) // Istio's name for it
	}
	for _, c := range mesh.Clusters {
		p.addMessage("CLUSTER", "ADD", nil, c)
	}
	for _, f := range mesh.Filters() {
		p.addMessage("HTTP_FILTER", "INSERT_BEFORE", o.beforeRouter(), f)
	}
	// Each goes before all that are there: the last one first.
	for _, r := range slices.Backward(mesh.Routes) {
		p.addMessage("HTTP_ROUTE", "INSERT_FIRST", o.amongRoutes(), r)
	}
	return p.patches, p.err
}

func (o Istio) beforeRouter() fields {
	return fields{"listener": fields{
		"portNumber": o.Port,
		"filterChain": fields{"filter": fields{
			"name":      "envoy.filters.network.http_connection_manager",
			"subFilter": fields{"name": "envoy.filters.http.router"},
		}},
	}}
}

func (o Istio) amongRoutes() fields {
	match := fields{"portNumber": o.Port}
	if o.Host != "" {
		match["vhost"] = fields{"name": fmt.Sprintf("%s:%d", o.Host, o.Port)}
	}
	return fields{"routeConfiguration": match}
}

// istioPatches collects patches, and the first error.
type istioPatches struct {
	side    Istio
	service string // the cluster that leads to `tollgate serve` where that is a service of the mesh
	patches []fields
	err     error
}

func (p *istioPatches) addMessage(applyTo, operation string, match fields, m proto.Message) {
	value, err := plain(m)
	if err != nil && p.err == nil {
		p.err = err
	}
	p.add(applyTo, operation, match, value)
}

func (p *istioPatches) add(applyTo, operation string, match, value fields) {
	match = maps.Clone(match)
	if match == nil {
		match = fields{}
	}
	match["context"] = map[Side]string{Gateway: "GATEWAY", Inbound: "SIDECAR_INBOUND", Outbound: "SIDECAR_OUTBOUND"}[p.side.Side]
	if p.service != "" {
		rename(value, p.service)
	}
	p.patches = append(p.patches, fields{
		"applyTo": applyTo,
		"match":   match,
		"patch":   fields{"operation": operation, "value": value},
	})
}

// rename has gRPC go to a cluster of Istio's own making instead of the bootstrap's.
func rename(value any, cluster string) {
	switch value := value.(type) {
	case fields:
		if service, ok := value["envoy_grpc"].(fields); ok && service["cluster_name"] == xds.GateCluster {
			service["cluster_name"] = cluster
		}
		for _, v := range value {
			rename(v, cluster)
		}
	case []any:
		for _, v := range value {
			rename(v, cluster)
		}
	}
}
