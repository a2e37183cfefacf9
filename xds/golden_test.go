package xds_test

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
	"golang.org/x/tools/txtar"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"tollgate/config"
	"tollgate/xds"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestBuild holds the resources that each testdata/*.txtar's tollgate.yaml makes against those that
// stand in the file, and asks the real Envoy whether it takes them.
func TestBuild(t *testing.T) {
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
			resources := build(t, archive)
			got := render(t, resources)
			if *update {
				rewrite(t, file, archive, got)
			} else {
				compare(t, archive, got)
			}
			travel(t, resources)
			validate(t, resources)
		})
	}
}

// travel wants the resources the same, to the version that Envoys know them by, after the way to another process.
func travel(t *testing.T, resources *xds.Resources) {
	t.Helper()
	parts := xds.Parts{xds.Others: resources, "edge": {}}
	written, err := parts.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	read, err := xds.UnmarshalParts(written)
	if err != nil || read.Version() != parts.Version() {
		t.Errorf("after they travelled, the resources are others: %v", err)
	}
}

// build resolves the archive's tollgate.yaml. The system's authorities are replaced by a short
// certificate, so that goldens are the same on every machine.
func build(t *testing.T, archive *txtar.Archive) *xds.Resources {
	t.Helper()
	authorities, err := os.ReadFile("testdata/authorities.pem")
	if err != nil {
		t.Fatal(err)
	}
	resources, err := xds.Build(parse(t, archive), string(authorities), "/run/tollgate/shared.sock")
	if err != nil {
		t.Fatal(err)
	}
	return resources
}

func parse(t *testing.T, archive *txtar.Archive) *config.Config {
	t.Helper()
	c, err := config.Parse("tollgate.yaml", content(t, archive, "tollgate.yaml"), os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func content(t *testing.T, archive *txtar.Archive, name string) []byte {
	t.Helper()
	for _, file := range archive.Files {
		if file.Name == name {
			return file.Data
		}
	}
	t.Fatalf("the archive has no %s", name)
	return nil
}

// render prints each kind of resource as YAML under a file name of its own, so that a review shows
// which kind changed.
func render(t *testing.T, r *xds.Resources) []txtar.File {
	t.Helper()
	return []txtar.File{
		{Name: "listeners", Data: toYAML(t, r.Listeners)},
		{Name: "routes", Data: toYAML(t, r.Routes)},
		{Name: "clusters", Data: toYAML(t, r.Clusters)},
		{Name: "endpoints", Data: toYAML(t, r.Endpoints)},
		{Name: "secrets", Data: toYAML(t, r.Secrets)},
	}
}

func toYAML[T proto.Message](t *testing.T, messages []T) []byte {
	t.Helper()
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	for _, m := range messages {
		asJSON, err := protojson.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var value any
		if err := yaml.Unmarshal(asJSON, &value); err != nil {
			t.Fatal(err)
		}
		if err := encoder.Encode(value); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

func rewrite(t *testing.T, file string, archive *txtar.Archive, got []txtar.File) {
	t.Helper()
	archive.Files = append([]txtar.File{{Name: "tollgate.yaml", Data: content(t, archive, "tollgate.yaml")}}, got...)
	if err := os.WriteFile(file, txtar.Format(archive), 0o600); err != nil {
		t.Fatal(err)
	}
}

func compare(t *testing.T, archive *txtar.Archive, got []txtar.File) {
	t.Helper()
	if len(archive.Files) != len(got)+1 {
		t.Errorf("the golden holds %d files, want %d: run make golden", len(archive.Files), len(got)+1)
	}
	for _, file := range got {
		if diff := cmp.Diff(string(content(t, archive, file.Name)), string(file.Data)); diff != "" {
			t.Errorf("%s differ (-golden +built); if that is right, run make golden:\n%s", file.Name, diff)
		}
	}
}

// validate has the real Envoy check the resources, as a static configuration.
func validate(t *testing.T, r *xds.Resources) {
	t.Helper()
	envoy := os.Getenv("ENVOY_PATH")
	if envoy == "" {
		t.Fatal("ENVOY_PATH is not set: run the tests by make test")
	}
	bootstrap, err := protojson.Marshal(static(t, r))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "envoy.json")
	if err := os.WriteFile(file, bootstrap, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), envoy, "--mode", "validate", "-l", "warning", "-c", file).CombinedOutput()
	if err != nil {
		t.Errorf("Envoy rejects it: %v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(strings.ToLower(line), "deprecated") {
			t.Errorf("Envoy warns: %s", line)
		}
	}
}

// static is a bootstrap that holds what xDS would bring.
func static(t *testing.T, r *xds.Resources) *bootstrapv3.Bootstrap {
	t.Helper()
	b := &bootstrapv3.Bootstrap{
		Node:            &corev3.Node{Id: "test", Cluster: "test"},
		StaticResources: &bootstrapv3.Bootstrap_StaticResources{Secrets: r.Secrets},
		DynamicResources: &bootstrapv3.Bootstrap_DynamicResources{AdsConfig: &corev3.ApiConfigSource{
			ApiType:             corev3.ApiConfigSource_DELTA_GRPC,
			TransportApiVersion: corev3.ApiVersion_V3,
			GrpcServices: []*corev3.GrpcService{{TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{
				EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{ClusterName: xds.GateCluster},
			}}},
		}},
	}
	b.StaticResources.Clusters = append(b.StaticResources.Clusters, &clusterv3.Cluster{Name: xds.GateCluster}, &clusterv3.Cluster{Name: xds.AttemptCluster})
	b.StaticResources.Clusters = append(b.StaticResources.Clusters, r.Clusters...)
	for _, l := range r.Listeners {
		b.StaticResources.Listeners = append(b.StaticResources.Listeners, withRoutes(t, l, r))
	}
	return b
}

// withRoutes puts the route configuration into a copy of the listener.
func withRoutes(t *testing.T, l *listenerv3.Listener, r *xds.Resources) *listenerv3.Listener {
	t.Helper()
	l = proto.Clone(l).(*listenerv3.Listener) //nolint:forcetypeassert // a clone has its original's type
	filters := l.GetFilterChains()[0].GetFilters()
	filter := filters[len(filters)-1]
	manager := &hcmv3.HttpConnectionManager{}
	if err := filter.GetTypedConfig().UnmarshalTo(manager); err != nil {
		t.Fatal(err)
	}
	manager.RouteSpecifier = &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: r.Routes[0]}
	packed, err := anypb.New(manager)
	if err != nil {
		t.Fatal(err)
	}
	filter.ConfigType = &listenerv3.Filter_TypedConfig{TypedConfig: packed}
	return l
}
