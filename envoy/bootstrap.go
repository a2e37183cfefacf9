// Package envoy starts Envoy: the configuration that it begins with, and the process.
package envoy

import (
	"bytes"
	"cmp"
	_ "embed" // for the template
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"text/template"
	"time"

	"tollgate/config"
)

// GateAge is how old a connection to Tollgate on a Unix socket gets before Envoy opens its streams on a new one.
const GateAge = 5 * time.Second

//go:embed bootstrap.tmpl
var bootstrapTemplate string

// DefaultMaxHeapBytes is the memory at which an Envoy that has plenty begins to defend itself: 2 GiB.
const DefaultMaxHeapBytes = 2 << 30

// Bootstrap says how Envoy finds Tollgate, and its limits. The zero value is completed by defaults.
type Bootstrap struct {
	// Gate is where `tollgate serve` listens: unix:///PATH or HOST:PORT.
	// Default: unix:///run/tollgate/tollgate.sock.
	Gate string

	// Admin is where Envoy's administration listens: unix:///PATH (mode 0600) or IP:PORT.
	// Default: 127.0.0.1:9901.
	Admin string

	// NodeID is what Tollgate's logs call this Envoy. Default: envoy.
	NodeID string

	// Group is the group of Envoys that it belongs to, which says what part of the configuration it gets.
	// Default: none.
	Group string

	// TLS is how Envoy and Tollgate prove who they are to each other; nil: neither does.
	TLS *TLS

	// MaxHeapBytes is the memory at which Envoy begins to defend itself. Default: [DefaultMaxHeapBytes].
	MaxHeapBytes uint64

	// MaxConnections is how many clients may be connected. Default: 50,000.
	MaxConnections uint64
}

// cluster is a way to `tollgate serve`, with connections of its own.
type cluster struct {
	Name, Why                      string
	StreamWindow, ConnectionWindow int
	Buffer                         int // of a connection; 0: Envoy's default
}

// clusters are two, since Envoy 1.40 crashes (a segmentation fault) when a filter behind the router opens a stream
// on a connection that is full, or fills one: bodies on their way to the gate, copies for the tap. So attempts have
// a connection of their own, of which neither it nor a stream is ever called full: the gate holds no more than
// 256 MiB of bodies in all. TestFullConnections (test/e2e) fills them.
func clusters() []cluster {
	return []cluster{
		{
			Name: "tollgate", StreamWindow: 1 << 20, ConnectionWindow: 16 << 20,
			Why: "    # `tollgate serve`: the xDS server, and the gate that is asked about each request.",
		},
		{
			Name: "tollgate-attempts", StreamWindow: 128 << 20, ConnectionWindow: 1 << 30, Buffer: 1 << 30,
			Why: "    # The same for attempts at an upstream, by connections of their own that are never called full: Envoy 1.40\n" +
				"    # crashes where the filters that ask for them meet one that is.",
		},
	}
}

// YAML renders the bootstrap, with comments.
func (b Bootstrap) YAML() ([]byte, error) {
	gate, gateType, err := addressOf(cmp.Or(b.Gate, "unix:///run/tollgate/tollgate.sock"))
	if err != nil {
		return nil, fmt.Errorf("where tollgate listens: %w", err)
	}
	admin, adminType, err := addressOf(cmp.Or(b.Admin, "127.0.0.1:9901"))
	if err != nil {
		return nil, fmt.Errorf("where Envoy's administration listens: %w", err)
	}
	if adminType != "STATIC" {
		return nil, fmt.Errorf("where Envoy's administration listens: %q is a name: write IP:PORT", b.Admin)
	}
	secured, err := b.TLS.settings(cmp.Or(b.Gate, "unix://"))
	if err != nil {
		return nil, err
	}
	age := ""
	if strings.HasPrefix(gate, "pipe:") { // by TCP, as from afar, there is none who could have taken over
		age = fmt.Sprintf("%gs", GateAge.Seconds())
	}
	heap := cmp.Or(b.MaxHeapBytes, DefaultMaxHeapBytes)
	var out bytes.Buffer
	err = template.Must(template.New("bootstrap").Parse(bootstrapTemplate)).Execute(&out, map[string]any{
		"NodeID":         strconv.Quote(cmp.Or(b.NodeID, "envoy")),
		"Group":          strconv.Quote(cmp.Or(b.Group, config.NoGroup)),
		"TLS":            secured,
		"Clusters":       clusters(),
		"GateType":       gateType,
		"GateAddress":    gate,
		"GateAge":        age,
		"AdminAddress":   admin,
		"MaxHeapBytes":   heap,
		"ThreeHeaps":     3 * heap,
		"MaxConnections": cmp.Or(b.MaxConnections, 50_000),
	})
	if err != nil {
		return nil, fmt.Errorf("rendering the bootstrap: %w", err)
	}
	return out.Bytes(), nil
}

// addressOf gives Envoy's form of an address, and the type of cluster that can hold it: a name needs
// DNS.
func addressOf(written string) (yaml, clusterType string, err error) {
	if path, ok := strings.CutPrefix(written, "unix://"); ok {
		return fmt.Sprintf("pipe: {path: %q, mode: 0600}", path), "STATIC", nil
	}
	host, port, err := net.SplitHostPort(written)
	if err != nil {
		return "", "", fmt.Errorf("%q is neither unix:///PATH nor HOST:PORT", written)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || host == "" {
		return "", "", fmt.Errorf("%q is neither unix:///PATH nor HOST:PORT", written)
	}
	clusterType = "STRICT_DNS"
	if _, err := netip.ParseAddr(host); err == nil {
		clusterType = "STATIC"
	}
	return fmt.Sprintf("socket_address: {address: %q, port_value: %d}", host, number), clusterType, nil
}
