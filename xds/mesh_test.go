package xds_test

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"golang.org/x/tools/txtar"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"tollgate/config"
	"tollgate/xds"
)

// TestForMesh: a foreign Envoy takes what every golden's configuration means there, and nothing of it
// waits for this program's xDS, which such an Envoy does not know.
func TestForMesh(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c := parse(t, archive)
			mesh, err := xds.ForMesh(c)
			if slices.ContainsFunc(c.Routes, func(r *config.Route) bool { return len(r.Upstreams()) > 1 }) {
				if err == nil {
					t.Error("a route to several upstreams is exported, which nothing in a mesh can choose from")
				}
				return
			}
			if slices.ContainsFunc(c.Upstreams, func(u *config.Upstream) bool { return u.Certificate != nil }) {
				if err == nil {
					t.Error("an upstream that is shown a certificate is exported, and its key cannot be")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(mesh.Routes) == 0 {
				t.Fatal("no route leads anywhere")
			}
			foreign := foreignEnvoy(t, mesh)
			if text := protojson.Format(static(t, foreign)); regexp.MustCompile(`"ads":`).MatchString(text) {
				t.Errorf("it waits for xDS:\n%s", text)
			}
			validate(t, foreign)
		})
	}
}

// foreignEnvoy is an Envoy of somebody else's with the mesh's part in it.
func foreignEnvoy(t *testing.T, mesh *xds.Mesh) *xds.Resources {
	t.Helper()
	manager := &hcmv3.HttpConnectionManager{
		StatPrefix: "foreign",
		HttpFilters: append(mesh.Filters(), &hcmv3.HttpFilter{
			Name:       "envoy.filters.http.router",
			ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: pack(t, &routerv3.Router{})},
		}),
	}
	return &xds.Resources{
		Listeners: []*listenerv3.Listener{{
			Name: "foreign",
			Address: &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
				Address: "127.0.0.1", PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: 8000},
			}}},
			FilterChains: []*listenerv3.FilterChain{{Filters: []*listenerv3.Filter{{
				Name:       "envoy.filters.network.http_connection_manager",
				ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: pack(t, manager)},
			}}}},
		}},
		Routes: []*routev3.RouteConfiguration{{
			Name:         "foreign",
			VirtualHosts: []*routev3.VirtualHost{{Name: "foreign", Domains: []string{"*"}, Routes: mesh.Routes}},
		}},
		Clusters: mesh.Clusters,
	}
}

func pack(t *testing.T, m proto.Message) *anypb.Any {
	t.Helper()
	packed, err := anypb.New(m)
	if err != nil {
		t.Fatal(err)
	}
	return packed
}
