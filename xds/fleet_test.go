package xds_test

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"tollgate/config"
	"tollgate/xds"
)

// parts builds a configuration.
func parts(tb testing.TB, yaml string) xds.Parts {
	tb.Helper()
	c, err := config.Parse("tollgate.yaml", []byte(yaml), os.LookupEnv)
	if err != nil {
		tb.Fatal(err)
	}
	built, err := xds.BuildParts(c, "", "")
	if err != nil {
		tb.Fatal(err)
	}
	return built
}

const (
	twoGroups = `
groups: [{name: edge, listener: {address: "0.0.0.0:8443"}}, {name: core}]
upstreams: [{name: eu, url: "http://192.0.2.1"}, {name: us, url: "http://192.0.2.2"}]
routes: [{prefix: /, upstream: eu, groups: [edge]}, {prefix: /, upstream: us, groups: [core]}]
`
	noGroups = `
upstreams: [{name: eu, url: "http://192.0.2.1"}]
routes: [{prefix: /, upstream: eu}]
`
	coreAlone = `
groups: [{name: core}]
upstreams: [{name: us, url: "http://192.0.2.2"}]
routes: [{prefix: /, upstream: us}]
`
)

// clusters are the upstreams that an Envoy knows, without their hashes.
func (s *simulated) clusters() string {
	var names []string
	for _, name := range s.names(resource.ClusterType) {
		name, _, _ = strings.Cut(name, "@")
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

// routes is the version of the routes that an Envoy has.
func (s *simulated) routes() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.has[resource.RouteType][xds.RouteName]
}

func await(t *testing.T, what string, so func() bool) {
	t.Helper()
	again, deadline := time.NewTicker(5*time.Millisecond), time.After(30*time.Second)
	defer again.Stop()
	for !so() {
		select {
		case <-again.C:
		case <-deadline:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// TestGroups: each Envoy gets its group's part and nothing else, also when groups come and go while it stays
// connected. One of no group that there is gets no listener, and the log says so.
func TestGroups(t *testing.T) {
	t.Parallel()
	core, said := observer.New(zapcore.WarnLevel)
	control := xds.NewServer(zap.New(core))
	address := serveXDS(t, control)
	if err := control.Publish(t.Context(), parts(t, twoGroups)); err != nil {
		t.Fatal(err)
	}
	edge, inner, stray := &simulated{}, &simulated{}, &simulated{}
	simulate(t, address, "e", "edge", edge)
	simulate(t, address, "c", "core", inner)
	simulate(t, address, "s", config.NoGroup, stray)
	hold := func(step, ofEdge, ofInner, ofStray string) {
		t.Helper()
		for name, envoy := range map[string]struct {
			*simulated
			want string
		}{"edge": {edge, ofEdge}, "core": {inner, ofInner}, "stray": {stray, ofStray}} {
			await(t, fmt.Sprintf("%s: %s has %q, not %q", step, name, envoy.want, envoy.clusters()), func() bool {
				// What is leaving stays for a while: a listener tells whether anything leads there.
				listens := len(envoy.names(resource.ListenerType)) > 0
				return listens == (envoy.want != "") && strings.Contains(envoy.clusters(), envoy.want)
			})
		}
	}
	hold("at first", "eu", "us", "")
	if edge.clusters() != "eu" || inner.clusters() != "us" || stray.clusters() != "" {
		t.Errorf("they have %q, %q and %q: more than their parts", edge.clusters(), inner.clusters(), stray.clusters())
	}
	await(t, "the log tells of the stray", func() bool { return said.FilterMessageSnippet("not this Envoy's").Len() > 0 })
	if got := said.FilterMessageSnippet("not this Envoy's").All(); len(got) != 1 || got[0].ContextMap()["node"] != "s" {
		t.Errorf("the log says %v, want a word on the stray alone", got)
	}
	for i, step := range []struct{ yaml, edge, inner, stray string }{
		{noGroups, "eu", "eu", "eu"}, {coreAlone, "", "us", ""}, {twoGroups, "eu", "us", ""},
	} {
		if err := control.Publish(t.Context(), parts(t, step.yaml)); err != nil {
			t.Fatal(err)
		}
		hold(fmt.Sprint("step ", i), step.edge, step.inner, step.stray)
	}
}

// TestReady: an Envoy that has nothing to run is not one that runs the configuration.
func TestReady(t *testing.T) {
	t.Parallel()
	control, address := newControl(t)
	if err := control.Publish(t.Context(), parts(t, twoGroups)); err != nil {
		t.Fatal(err)
	}
	stray := &simulated{}
	simulate(t, address, "s", "nowhere", stray)
	await(t, "the stray is connected", func() bool { return control.Envoys() == 1 })
	if _, ready := control.Ready(); ready {
		t.Error("it is ready, and no Envoy has a listener")
	}
	simulate(t, address, "e", "edge", &simulated{})
	await(t, "it is ready", func() bool { _, ready := control.Ready(); return ready })
}

// TestOneOfManyRejects: everything goes back, on all Envoys.
func TestOneOfManyRejects(t *testing.T) {
	t.Parallel()
	control, address := newControl(t)
	if err := control.Publish(t.Context(), parts(t, noGroups)); err != nil {
		t.Fatal(err)
	}
	good, bad := &simulated{}, &simulated{}
	simulate(t, address, "good", "", good)
	simulate(t, address, "bad", "", bad)
	await(t, "both run it", func() bool { return good.clusters() == "eu" && bad.clusters() == "eu" })
	await(t, "both have routes", func() bool { return good.routes() != "" && bad.routes() != "" })
	routes := good.routes()
	bad.refuse(resource.RouteType)
	err := control.Publish(t.Context(), parts(t, strings.ReplaceAll(noGroups, "eu", "us")))
	var rejected *xds.Rejected
	if !errors.As(err, &rejected) || rejected.Node != "bad" || !strings.Contains(err.Error(), "not to my taste") {
		t.Fatalf("got %v", err)
	}
	defer func() {
		t.Logf("routes: %s at first, and now %s on the good one, %s on the bad one", routes, good.routes(), bad.routes())
	}()
	await(t, "the good one goes back", func() bool { return good.routes() == routes })
}

// TestRejectedAtFirst: what an Envoy has rejected comes again with the next change, even if that is one of something
// else: it may have been the machine that would not have it.
func TestRejectedAtFirst(t *testing.T) {
	t.Parallel()
	control, address := newControl(t)
	if err := control.Publish(t.Context(), parts(t, many(2, 0))); err != nil {
		t.Fatal(err)
	}
	envoy := &simulated{}
	envoy.refuse(resource.ListenerType)
	simulate(t, address, "e", "", envoy)
	await(t, "it has all but the listener", func() bool {
		return envoy.refusals() == 1 && envoy.routes() != "" && len(envoy.names(resource.EndpointType)) == 2
	})
	envoy.refuse("")
	if err := control.Publish(t.Context(), parts(t, many(2, 1))); err != nil { // which waits for it
		t.Fatal(err)
	}
	if got := envoy.names(resource.ListenerType); len(got) != 1 {
		t.Errorf("it has the listeners %q", got)
	}
	if _, ready := control.Ready(); !ready {
		t.Error("it is not ready")
	}
}

// TestAsksAgain: an Envoy that asks once more for what it was given gets it, since it may have dropped it.
func TestAsksAgain(t *testing.T) {
	t.Parallel()
	control, address := newControl(t)
	if err := control.Publish(t.Context(), parts(t, many(2, 0))); err != nil {
		t.Fatal(err)
	}
	envoy := &simulated{}
	simulate(t, address, "e", "", envoy)
	await(t, "it has routes", func() bool { return envoy.routes() != "" })
	envoy.drop(resource.RouteType)
	envoy.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: resource.RouteType, ResourceNamesSubscribe: []string{xds.RouteName}})
	await(t, "it has them again", func() bool { return envoy.routes() != "" })
}

// TestComesBack: an Envoy that comes back with what it has gets nothing of it again.
func TestComesBack(t *testing.T) {
	t.Parallel()
	control, address := newControl(t)
	if err := control.Publish(t.Context(), parts(t, many(200, 0))); err != nil {
		t.Fatal(err)
	}
	envoy := &simulated{}
	leave := simulate(t, address, "e", "", envoy)
	await(t, "it has everything", func() bool {
		return len(envoy.names(resource.EndpointType)) == 200 && len(envoy.names(resource.RouteType))+len(envoy.names(resource.ListenerType)) == 2
	})
	first := envoy.received.Load()
	leave()
	again := &simulated{has: envoy.has}
	simulate(t, address, "e", "", again)
	await(t, "it is greeted", func() bool { _, ready := control.Ready(); return ready && again.received.Load() > 0 })
	if got := again.received.Load(); got > 500 {
		t.Errorf("it got %d bytes again, and %d at first", got, first)
	}
}

// many is a configuration of n upstreams and routes; an edition changes one of them.
func many(n, edition int) string {
	var b strings.Builder
	b.WriteString("clients: [{name: alice, keys: [fk-1]}]\nupstreams:\n")
	for i := range n {
		fmt.Fprintf(&b, "  - {name: up-%d, url: \"http://192.0.2.1:%d\", keys: [sk-%d]}\n", i, 1000+i, i)
	}
	b.WriteString("routes:\n")
	for i := range n {
		to := i
		if i == 0 {
			to = edition % n
		}
		fmt.Fprintf(&b, "  - {prefix: /r%d, upstream: up-%d}\n", i, to)
	}
	return b.String()
}

// BenchmarkFleet brings one edit (a route leads elsewhere) to 1,000 Envoys, each on a connection of its own:
// the time until the last has acknowledged both steps, CPU of server and simulated Envoys together, and bytes.
func BenchmarkFleet(b *testing.B) {
	for _, size := range []struct{ envoys, routes int }{{100, 20}, {1000, 20}, {1000, 200}} {
		b.Run(fmt.Sprintf("envoys=%d/routes=%d", size.envoys, size.routes), func(b *testing.B) {
			control, address := newControl(b)
			editions := []xds.Parts{parts(b, many(size.routes, 1)), parts(b, many(size.routes, 2))}
			if err := control.Publish(b.Context(), editions[0]); err != nil {
				b.Fatal(err)
			}
			received := new(atomic.Int64)
			begin := time.Now()
			for i := range size.envoys {
				simulate(b, address, fmt.Sprint("envoy-", i), "", &simulated{received: received})
			}
			if err := control.Publish(b.Context(), editions[1]); err != nil { // which waits for all
				b.Fatal(err)
			}
			b.Logf("%d Envoys were connected and had everything after %s, with %d bytes each",
				control.Envoys(), time.Since(begin).Round(time.Millisecond), received.Load()/int64(size.envoys))
			runtime.GC()
			received.Store(0)
			edits := 0
			for b.Loop() {
				if err := control.Publish(b.Context(), editions[edits%2]); err != nil {
					b.Fatal(err)
				}
				edits++
			}
			b.ReportMetric(float64(received.Load())/float64(edits*size.envoys), "B/envoy")
		})
	}
}
