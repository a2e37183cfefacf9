package e2e

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tollgate/envoy"
	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

// halves are `tollgate serve` beside an Envoy of its own, as in two containers.
type halves struct {
	*gateway // serve

	socket     string // where serve listens for Envoy
	envoyAdmin string // Envoy's administration
}

// launchHalves runs both, and waits until they are ready.
func launchHalves(t *testing.T, yaml string) *halves {
	t.Helper()
	h := newHalves(t)
	h.write(t, "tollgate.yaml", h.addresses+yaml)
	h.startEnvoy(t)
	h.start(t)
	return h
}

func newHalves(t *testing.T) *halves {
	t.Helper()
	dir, err := os.MkdirTemp("", "tghalf") // short: a socket's path has few bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	h := &halves{
		gateway:    newGateway(t),
		socket:     "unix://" + filepath.Join(dir, "gate.sock"),
		envoyAdmin: "unix://" + filepath.Join(dir, "envoy.sock"),
	}
	h.args = []string{"serve", "--listen", h.socket, "--local-envoy"}
	return h
}

// startEnvoy runs Envoy until the end of the test; it ends after serve.
func (h *halves) startEnvoy(t *testing.T) {
	t.Helper()
	program, err := envoy.Find()
	if err != nil {
		t.Fatal(err)
	}
	cmd, err := envoy.Process{Path: program, Workers: 1, Bootstrap: envoy.Bootstrap{Gate: h.socket, Admin: h.envoyAdmin}}.Command()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = h.output, h.output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = cmd.Process.Kill(), cmd.Wait() })
}

// TestRejectedAtFirst: an Envoy that cannot listen where it is first told to serves all routes as soon as the address is
// mended.
func TestRejectedAtFirst(t *testing.T) {
	t.Parallel()
	url, _ := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	h := newHalves(t)
	h.write(t, "tollgate.yaml", strings.Replace(h.addresses, "127.0.0.1", "192.0.2.1", 1)+oneRoute(url)+"cache: {}\n") // with a second listener
	h.startEnvoy(t)
	h.spawn(t)
	h.await(t, "an Envoy rejects its configuration", 1)
	h.write(t, "tollgate.yaml", h.addresses+oneRoute(url)+"cache: {}\n")
	h.awaitReady(t)
	if got := (side{h.url, clientKey}).do(t, request{method: http.MethodGet, path: "/v1/models"}); got.Status != http.StatusOK {
		t.Errorf("it answers %d: %s", got.Status, got.Body)
	}
}

// TestServeDrains: a serve that is told to stop refuses requests at once, and watches the calls under way to
// their end; the streams themselves do not notice.
func TestServeDrains(t *testing.T) {
	t.Parallel()
	url, upstream := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	h := launchHalves(t, oneRoute(url)+"chat_log: {}\n")
	through := side{h.url, clientKey}
	f := openFlow(t, through, upstream, "watched")
	h.terminate(t)
	eventually(t, "requests are refused", func() bool {
		got := through.do(t, request{method: http.MethodGet, path: "/echo"})
		if got.Status == http.StatusOK {
			return false
		}
		got.isError(t, http.StatusServiceUnavailable, "gate_unavailable", "Envoy")
		return got.Header.Get("retry-after") == "1"
	})
	f.rest(t)
	h.awaitEnd(t)
	questions, answers := h.chats(t)
	if a, ok := answers[questions["watched"].UID]; !ok || a.Cause != "" || a.Assistant == "" {
		t.Errorf("the stream's record is %+v", a)
	}
}

// TestDrainVerb: an Envoy beside serve takes no more connections once it is told to drain, and the verb
// returns when its requests have ended, or says how many are left.
func TestDrainVerb(t *testing.T) {
	t.Parallel()
	url, upstream := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	h := launchHalves(t, oneRoute(url))
	f := openFlow(t, side{h.url, clientKey}, upstream, "drained")
	out, err := h.drain(t, "2s").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "1 requests are still under way: 2s are over") {
		t.Errorf("with a stream under way it ends with %v and says %s", err, out)
	}
	if _, err := newClient(t).Get(h.url + "/healthz"); err == nil {
		t.Error("connections are still taken")
	}
	waiting := h.drain(t, "10m")
	if err := waiting.Start(); err != nil {
		t.Fatal(err)
	}
	f.rest(t)
	if err := waiting.Wait(); err != nil {
		t.Errorf("when all had ended it ended with %v", err)
	}
	out, err = exec.Command(program(t), "drain", "--envoy", "unix:///nowhere.sock").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "hint: --envoy says where") {
		t.Errorf("without an Envoy it ends with %v and says %s", err, out)
	}
}

func (h *halves) drain(t *testing.T, within string) *exec.Cmd {
	t.Helper()
	return exec.Command(program(t), "drain", "--envoy", h.envoyAdmin, "--drain", within)
}
