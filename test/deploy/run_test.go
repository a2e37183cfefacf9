package deploy

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
)

const (
	realKey = "sk-real-0123456789"
	teamKey = "fk-team-0123456789"
)

// pod is what a Deployment starts, as processes of this machine: the same commands, files and probes. Paths lead to a
// folder of the test's, and ports are free ones; no more differs.
type pod struct {
	t        *testing.T
	dir      string
	paths    *strings.Replacer
	spec     core.PodSpec
	env      []string
	gateway  string // host:port for clients
	operator string
	running  map[string]*exec.Cmd // by container
}

// startPod starts the pod that an overlay makes, with an upstream of the test's.
func startPod(t *testing.T, overlay string, more ...string) *pod {
	t.Helper()
	all := kustomized(t, overlay)
	p := &pod{t: t, dir: shortDir(t), gateway: freeAddress(t), operator: freeAddress(t), env: more, running: map[string]*exec.Cmd{}}
	p.spec = find[apps.Deployment](t, all, "Deployment", "tollgate").Spec.Template.Spec
	replace := append([]string{
		"https://api.openai.com", mock(t, realKey),
		"127.0.0.1/8000", "127.0.0.1/" + portOf(t, p.gateway),
		"127.0.0.1/9901", "127.0.0.1/" + portOf(t, freeAddress(t)),
	}, more...)
	replace = append(replace, "port_value: 9901", "port_value: "+strings.TrimPrefix(replace[5], "127.0.0.1/"))
	for _, c := range containers(find[apps.Deployment](t, all, "Deployment", "tollgate")) {
		for _, m := range c.VolumeMounts {
			replace = append(replace, m.MountPath, filepath.Join(p.dir, m.Name))
		}
	}
	p.paths = strings.NewReplacer(replace...)
	for _, v := range p.spec.Volumes {
		files := map[string]string{}
		switch {
		case v.ConfigMap != nil:
			files = find[core.ConfigMap](t, all, "ConfigMap", v.ConfigMap.Name).Data
		case v.Secret != nil:
			files = map[string]string{"openai": realKey, "team": teamKey}
		}
		p.mount(v.Name, files)
	}
	p.run("tollgate", program(t), "--port", portOf(t, p.gateway), "--admin", p.operator)
	p.run("envoy", envoy(t))
	return p
}

// shortDir makes a directory whose path leaves room for the name of a Unix socket.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "tgpod")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// mount brings the files of a volume to a pod, or others in their place, in the way in which Kubernetes does: they are
// links, and one link is swapped for all of them.
func (p *pod) mount(volume string, files map[string]string) {
	p.t.Helper()
	dir := filepath.Join(p.dir, volume)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		p.t.Fatal(err)
	}
	if len(files) == 0 {
		return
	}
	version, err := os.MkdirTemp(dir, "..version")
	if err != nil {
		p.t.Fatal(err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(version, name), []byte(p.paths.Replace(content)), 0o600); err != nil {
			p.t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(dir, name)); err != nil && !os.IsExist(err) {
			p.t.Fatal(err)
		}
	}
	link := filepath.Join(dir, "..data_tmp")
	if err := os.Symlink(filepath.Base(version), link); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Rename(link, filepath.Join(dir, "..data")); err != nil {
		p.t.Fatal(err)
	}
}

// run starts a container, and waits until its probe says that it has started.
func (p *pod) run(name, program string, more ...string) {
	p.t.Helper()
	c := p.container(name)
	cmd := exec.Command(program, p.args(c.Args)...)
	cmd.Args = append(cmd.Args, more...)
	cmd.Dir = p.paths.Replace(c.WorkingDir)
	cmd.Env = append(os.Environ(), p.env...)
	for _, e := range c.Env {
		if e.ValueFrom == nil {
			cmd.Env = append(cmd.Env, e.Name+"="+e.Value)
		}
	}
	start(p.t, cmd)
	p.running[name] = cmd
	eventually(p.t, name+" has started", func() error { return p.probe(c.StartupProbe) })
	for _, probe := range []*core.Probe{c.LivenessProbe, c.ReadinessProbe} {
		if err := p.probe(probe); err != nil {
			p.t.Errorf("%s has started, and is said not to be well: %v", name, err)
		}
	}
}

func (p *pod) container(name string) core.Container {
	p.t.Helper()
	all := slices.Concat(p.spec.InitContainers, p.spec.Containers)
	at := slices.IndexFunc(all, func(c core.Container) bool { return c.Name == name })
	if at < 0 {
		p.t.Fatalf("there is no container %s", name)
	}
	return all[at]
}

func (p *pod) args(written []string) []string {
	var args []string
	for _, a := range written {
		args = append(args, p.paths.Replace(a))
	}
	return args
}

// probe asks as Kubernetes would.
func (p *pod) probe(probe *core.Probe) error {
	if probe.HTTPGet != nil {
		got, err := ask(p.t.Context(), "http://"+p.gateway+probe.HTTPGet.Path, "")
		if err == nil && got.status != http.StatusOK {
			err = fmt.Errorf("%s: %d", probe.HTTPGet.Path, got.status)
		}
		return err
	}
	command := p.args(probe.Exec.Command)
	if command[0] == "tollgate" {
		command = append([]string{program(p.t)}, append(command[1:], "--admin", p.operator)...)
	}
	return succeeds(p.t.Context(), command...)
}

func (p *pod) url() string { return "http://" + p.gateway }

// TestGatewayPod: a client's key opens it, and new keys are taken up as Kubernetes brings them.
func TestGatewayPod(t *testing.T) {
	t.Parallel()
	p := startPod(t, "gateway")
	wantStatus(t, p.url(), "", http.StatusUnauthorized)
	wantStatus(t, p.url(), "fk-other", http.StatusUnauthorized)
	wantStatus(t, p.url(), teamKey, http.StatusOK)
	metrics, err := ask(t.Context(), "http://"+p.operator+"/metrics", "")
	if err != nil || metrics.status != http.StatusOK {
		t.Errorf("Prometheus gets no metrics: %v, %v", metrics, err)
	}

	p.mount("keys", map[string]string{"openai": realKey, "team": "fk-new"})
	eventually(t, "the new key opens", func() error {
		got, err := call(t.Context(), http.MethodPost, p.url()+"/v1/chat/completions", "fk-new", chat)
		if err == nil && got.status != http.StatusOK {
			err = fmt.Errorf("status %d: %s", got.status, got.body)
		}
		return err
	})
	wantStatus(t, p.url(), teamKey, http.StatusUnauthorized)
}

// TestSidecarPod: the application needs no key.
func TestSidecarPod(t *testing.T) {
	t.Parallel()
	p := startPod(t, "sidecar")
	wantStatus(t, p.url(), "", http.StatusOK)
	wantStatus(t, p.url(), "none", http.StatusOK)
}

// TestRedisPod: limits and answers are in the Redis that the Deployment starts.
func TestRedisPod(t *testing.T) {
	t.Parallel()
	const password = "not-a-secret"
	redis := find[apps.Deployment](t, kustomized(t, "redis"), "Deployment", "tollgate-redis").Spec.Template.Spec.Containers[0]
	address := freeAddress(t)
	args := []string{"--port", portOf(t, address), "--bind", "127.0.0.1", "--dir", t.TempDir()}
	for _, a := range redis.Args {
		args = append(args, strings.ReplaceAll(a, "$(REDIS_PASSWORD)", password))
	}
	start(t, exec.Command(redis.Command[0], args...))
	cli := []string{"redis-cli", "-p", portOf(t, address), "--no-auth-warning", "-a", password}
	eventually(t, "Redis answers", func() error { return succeeds(t.Context(), append(cli, "PING")...) })

	p := startPod(t, "redis", "tollgate-redis:6379", address, "${REDIS_PASSWORD}", password)
	wantStatus(t, p.url(), teamKey, http.StatusOK)
	if hit := wantStatus(t, p.url(), teamKey, http.StatusOK).header.Get("Cache-Status"); !strings.Contains(hit, "hit") {
		t.Errorf("the answer was not kept: cache-status: %q", hit)
	}
	for _, database := range []string{"0", "1"} {
		if said, err := exec.CommandContext(t.Context(), cli[0], append(cli[1:], "-n", database, "DBSIZE")...).Output(); err != nil || strings.TrimSpace(string(said)) == "0" {
			t.Errorf("Redis holds nothing in database %s: %s, %v", database, said, err)
		}
	}
}

// TestDrain: what Kubernetes runs before it ends Envoy returns when the answers under way have ended, and not before.
// Until then who asks is answered, since Tollgate has not heard of the end: see TestEndsLast. Then both end well.
func TestDrain(t *testing.T) {
	t.Parallel()
	p := startPod(t, "gateway")
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	events := p.stream(ctx)
	hook := p.args(p.container("envoy").Lifecycle.PreStop.Exec.Command)
	drained := make(chan error, 1)
	go func() { drained <- succeeds(ctx, append(hook, "0")...) }()
	last := ""
	for events.Scan() {
		if events.Text() == "" {
			continue
		}
		last = events.Text()
		select {
		case err := <-drained:
			t.Fatalf("the hook returned in the midst of an answer, after %q: %v", last, err)
		default:
		}
		if last != "data: [DONE]" {
			wantStatus(t, p.url(), teamKey, http.StatusOK)
		}
	}
	if last != "data: [DONE]" {
		t.Errorf("the answer ended with %q", last)
	}
	select {
	case err := <-drained:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(within):
		t.Error("the hook does not return, though nothing is under way")
	}
	for _, name := range []string{"envoy", "tollgate"} {
		if err := p.end(name); err != nil {
			t.Errorf("%s ends with %v", name, err)
		}
	}
}

// stream asks for an answer of some seconds, which has begun.
func (p *pod) stream(ctx context.Context) *bufio.Scanner {
	p.t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url()+"/v1/chat/completions",
		strings.NewReader(strings.Replace(chat, "{", `{"stream": true, `, 1)))
	if err != nil {
		p.t.Fatal(err)
	}
	for name, value := range map[string]string{
		"Authorization": "Bearer " + teamKey, "Content-Type": "application/json", "mock-events": "20", "mock-interval": "150ms",
	} {
		request.Header.Set(name, value)
	}
	response, err := (&http.Client{}).Do(request)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = response.Body.Close() })
	events := bufio.NewScanner(response.Body)
	if !events.Scan() {
		p.t.Fatal("the answer does not begin")
	}
	return events
}

// end has a container end, as Kubernetes does.
func (p *pod) end(name string) error {
	p.t.Helper()
	cmd := p.running[name]
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	late := time.AfterFunc(within, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	return cmd.Wait()
}
