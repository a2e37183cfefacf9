package e2e

import (
	"os/exec"
	"path/filepath"
	"testing"

	"tollgate/envoy"
	"tollgate/test/mock/mocktest"
)

// control is a `tollgate serve` whose Envoys a test starts by itself.
type control struct {
	*gateway

	listen string // where Envoys connect
}

// serve runs `tollgate serve` on a port, with a configuration that names no addresses. Nothing is ready yet.
func serve(t *testing.T, yaml string, args ...string) *control {
	t.Helper()
	c := &control{gateway: newGateway(t), listen: mocktest.FreeAddress(t)}
	c.write(t, "tollgate.yaml", c.addresses+yaml)
	c.args = append([]string{"serve", "--config", "tollgate.yaml", "--listen", c.listen}, args...)
	c.spawn(t)
	return c
}

// envoy runs an Envoy with what `tollgate bootstrap` prints, until the test ends, and collects what it says.
func (c *control) envoy(t *testing.T, args ...string) (said *output) {
	t.Helper()
	dir := t.TempDir()
	args = append([]string{"bootstrap", "--gate", c.listen, "--admin", "unix://" + filepath.Join(dir, "a.sock"), "--out", dir}, args...)
	if out, err := exec.CommandContext(t.Context(), program(t), args...).CombinedOutput(); err != nil {
		t.Fatalf("tollgate bootstrap: %v\n%s", err, out)
	}
	path, err := envoy.Find()
	if err != nil {
		t.Fatal(err)
	}
	said = new(output)
	cmd := exec.Command(path, "-c", filepath.Join(dir, envoy.BootstrapFile), "--concurrency", "1", "--disable-hot-restart",
		"-l", "warning", "--component-log-level", "config:debug") // else it is silent about a server that is away for less than 15 s
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting Envoy: %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("Envoy said:\n%s", said)
		}
	})
	return said
}
