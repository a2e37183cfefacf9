// Package envoytest runs a real Envoy, configured by this program's xDS, with an external processor
// that a test brings.
//
//	e := envoytest.Start(t, gate, "upstreams: …")
//	// ... call e.URL ...
//
// What it starts ends with the test; what Envoy said is shown if the test failed.
package envoytest

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"tollgate/config"
	"tollgate/envoy"
	"tollgate/test/mock/mocktest"
	"tollgate/xds"
)

// Envoy is a running Envoy.
type Envoy struct {
	URL    string         // for clients
	Config *config.Config // what it runs
}

// configurable is a processor that must know the configuration, as the gate does.
type configurable interface{ Configure(c *config.Config) }

// Start runs Envoy with a configuration that names no addresses, and waits until it answers.
func Start(tb testing.TB, processor extprocv3.ExternalProcessorServer, yaml string) *Envoy {
	tb.Helper()
	listen := mocktest.FreeAddress(tb)
	c, err := config.Parse("test.yaml", fmt.Appendf(nil, "listener: {address: %q}\n%s", listen, yaml), os.LookupEnv)
	if err != nil {
		tb.Fatal(err)
	}
	if gate, ok := processor.(configurable); ok {
		gate.Configure(c)
	}
	resources, err := xds.BuildParts(c, "", "")
	if err != nil {
		tb.Fatal(err)
	}
	control := xds.NewServer(zap.NewNop())
	if err := control.Publish(tb.Context(), resources); err != nil {
		tb.Fatal(err)
	}
	dir := shortDir(tb)
	socket := filepath.Join(dir, "gate.sock")
	serve(tb, socket, control, processor)
	run(tb, envoy.Bootstrap{Gate: "unix://" + socket, Admin: "unix://" + filepath.Join(dir, "envoy.sock")})
	await(tb, xds.ReadyURL(&c.Listener))
	return &Envoy{URL: "http://" + listen, Config: c}
}

// shortDir makes a directory whose path leaves room for the name of a Unix socket.
func shortDir(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "tgtest")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// serve answers Envoy's two questions.
func serve(tb testing.TB, socket string, control *xds.Server, processor extprocv3.ExternalProcessorServer) {
	tb.Helper()
	listener, err := (&net.ListenConfig{}).Listen(tb.Context(), "unix", socket)
	if err != nil {
		tb.Fatal(err)
	}
	server := grpc.NewServer()
	extprocv3.RegisterExternalProcessorServer(server, processor)
	control.Register(tb.Context(), server)
	go func() { _ = server.Serve(listener) }()
	tb.Cleanup(server.Stop)
}

// run starts Envoy, and ends it with the test.
func run(tb testing.TB, bootstrap envoy.Bootstrap) {
	tb.Helper()
	program, err := envoy.Find()
	if err != nil {
		tb.Fatal(err)
	}
	cmd, err := envoy.Process{Path: program, Workers: 1, Bootstrap: bootstrap}.Command()
	if err != nil {
		tb.Fatal(err)
	}
	keep(tb, cmd)
}

// keep starts an Envoy, and ends it with the test.
func keep(tb testing.TB, cmd *exec.Cmd) (pid int) {
	tb.Helper()
	var output strings.Builder
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if tb.Failed() {
			tb.Logf("Envoy said:\n%s", &output)
		}
	})
	return cmd.Process.Pid
}

// await asks until there is an answer.
func await(tb testing.TB, url string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 20*time.Second)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // it is this machine's
	defer client.CloseIdleConnections()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			tb.Fatal(err)
		}
		if response, err := client.Do(request); err == nil {
			_ = response.Body.Close()
			return
		}
		select {
		case <-ctx.Done():
			tb.Fatal("Envoy did not get ready")
		case <-again.C:
		}
	}
}
