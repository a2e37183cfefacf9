package mesh

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"tollgate/config"
	"tollgate/xds"
)

// EnvoyGateway says for which Gateway objects are made.
type EnvoyGateway struct {
	Namespace string
	Gateway   string // its name
	Listener  string // of the Gateway

	// Gate is where `tollgate serve` listens: unix:///PATH in the pods of the Gateway's Envoys, or HOST:PORT.
	Gate string
}

const (
	gatewayAPI      = "gateway.networking.k8s.io/v1"
	envoyGatewayAPI = "gateway.envoyproxy.io/v1alpha1"
	gatewayGroup    = "gateway.networking.k8s.io"
	envoyGroup      = "gateway.envoyproxy.io"
)

const envoyGatewayComment = `# Tollgate at a Gateway of Envoy Gateway's. Made by ` + "`tollgate export --for envoy-gateway`" + `: make it
# anew when routes or upstreams change. It holds no key. Envoy Gateway's own configuration must say
# extensionApis: {enableBackend: true, enableEnvoyPatchPolicy: true}; without it, every request is refused.
`

// Export prints the objects.
func (o EnvoyGateway) Export(c *config.Config) ([]byte, error) {
	if o.Gateway == "" || o.Listener == "" {
		return nil, errors.New("which Gateway, and which of its listeners? Name both, by --gateway and --listener")
	}
	mesh, err := xds.ForMesh(c)
	if err != nil {
		return nil, err //nolint:wrapcheck // it says what was being done
	}
	gate, err := o.gateBackend()
	if err != nil {
		return nil, err
	}
	objects := []fields{gate}
	for _, u := range c.Upstreams {
		backend, err := o.upstream(u)
		if err != nil {
			return nil, err
		}
		objects = append(objects, backend...)
	}
	routes, err := o.routes(c, mesh)
	if err != nil {
		return nil, err
	}
	patches, err := o.patches(mesh, routes)
	if err != nil {
		return nil, err
	}
	for _, r := range routes {
		objects = append(objects, r.objects()...)
	}
	return documents(envoyGatewayComment, append(objects, patches))
}

// gateBackend is `tollgate serve`.
func (o EnvoyGateway) gateBackend() (fields, error) {
	if path, ok := strings.CutPrefix(o.Gate, "unix://"); ok {
		return o.backend(gateName, fields{"unix": fields{"path": path}}), nil
	}
	host, written, err := net.SplitHostPort(o.Gate)
	port, badPort := strconv.ParseUint(written, 10, 16)
	if err != nil || badPort != nil || host == "" {
		return nil, fmt.Errorf("where tollgate listens: %q is neither unix:///PATH nor HOST:PORT", o.Gate)
	}
	return o.backend(gateName, endpoint(host, uint16(port))), nil
}

func (o EnvoyGateway) backend(name string, endpoint fields) fields {
	return object(envoyGatewayAPI, "Backend", o.Namespace, name, fields{"endpoints": []fields{endpoint}})
}

func endpoint(host string, port uint16) fields {
	if _, err := netip.ParseAddr(host); err == nil {
		return fields{"ip": fields{"address": host, "port": port}}
	}
	return fields{"fqdn": fields{"hostname": host, "port": port}}
}

// upstream is where an upstream is, and how its certificate is checked.
func (o EnvoyGateway) upstream(u *config.Upstream) ([]fields, error) {
	switch ip, err := netip.ParseAddr(u.Host); {
	case u.Proxy.IsValid():
		return nil, fmt.Errorf("upstream %q: Envoy Gateway's API knows no proxy on the way", u.Name)
	case err == nil && ip.IsLoopback():
		return nil, fmt.Errorf("upstream %q: Envoy Gateway refuses loopback addresses", u.Name)
	}
	backend := o.backend(upstreamName(u), endpoint(u.Host, u.Port))
	if !u.TLS {
		return []fields{backend}, nil
	}
	tls := fields{"sni": u.ServerName, "wellKnownCACertificates": "System"}
	backend["spec"].(fields)["tls"] = tls //nolint:forcetypeassert // see object
	if u.CA == "" {
		return []fields{backend}, nil
	}
	delete(tls, "wellKnownCACertificates")
	tls["caCertificateRefs"] = []fields{{"group": "", "kind": "ConfigMap", "name": upstreamName(u)}}
	authorities := object("v1", "ConfigMap", o.Namespace, upstreamName(u), nil)
	delete(authorities, "spec")
	authorities["data"] = fields{"ca.crt": u.CA}
	return []fields{authorities, backend}, nil
}

const gateName = "tollgate"

func upstreamName(u *config.Upstream) string { return "tollgate-upstream-" + label(u.Name) }

// label makes of a text what the name of a Kubernetes object may hold.
func label(text string) string {
	const longest = 60
	ok := func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			return c
		}
		return '-'
	}
	text = strings.Map(ok, strings.ToLower(text))
	return strings.Trim(text[:min(len(text), longest)], "-")
}
