package compose

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestCompose: docker-compose.yml as it is, with a mock of an upstream beside it.
func TestCompose(t *testing.T) {
	s := &stack{docker: startDocker(t), port: freePort(t), mock: "127.0.0.1:" + freePort(t), metrics: freePort(t), oneclickPort: freePort(t)}
	s.prepare()
	begin := time.Now()
	step := func(name string, do func(t *testing.T)) {
		if !t.Run(name, func(t *testing.T) {
			s.t = t
			do(t)
		}) {
			s.t = t
			t.Logf("%s", s.compose("--profile", "*", "ps", "--all"))
			t.Fatalf("%s", s.compose("--profile", "*", "logs", "--no-color", "--tail", "100"))
		}
		s.t = t
		t.Logf("%s: after %s", name, time.Since(begin).Round(time.Second))
	}
	step("profiles", s.profiles)
	step("images", s.images)
	step("up", s.up)
	step("SDK", s.sdk)
	step("edit", s.edit)
	step("tollgate stops", s.tollgateStops)
	step("tollgate is killed", func(t *testing.T) { s.killed(t, "tollgate") })
	step("envoy stops", s.envoyStops)
	step("envoy is killed", func(t *testing.T) { s.killed(t, "envoy") })
	step("SDK again", s.sdk)
	step("redis", s.redis)
	step("redis stops", s.redisStops)
	step("redis is killed", func(t *testing.T) { s.killed(t, "redis") })
	step("monitoring", s.monitoring)
	step("one container", s.oneclick)
	step("down", s.down)
}

// profiles: every profile can be read, and the files that it mounts are there.
func (s *stack) profiles(t *testing.T) {
	var all struct {
		Services map[string]struct {
			Volumes []struct{ Type, Source string } `json:"volumes"`
		} `json:"services"`
	}
	if err := json.Unmarshal([]byte(s.compose("--profile", "*", "config", "--format", "json")), &all); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"tollgate", "envoy", "redis", "prometheus", "grafana"} {
		if _, there := all.Services[name]; !there {
			t.Errorf("there is no service %s", name)
		}
	}
	for name, service := range all.Services {
		for _, v := range service.Volumes {
			if _, err := os.Stat(v.Source); v.Type == "bind" && err != nil {
				t.Errorf("%s mounts what is not there: %v", name, err)
			}
		}
	}
}

// images makes stand-ins for those that cannot be pulled.
func (s *stack) images(t *testing.T) {
	const authorities = "etc/ssl/certs/ca-certificates.crt"
	s.standIn("golang:1.26", func(i *image) {
		i.commands("sh", "mkdir")
		i.tree("usr/local/go", goEnv(t, "GOROOT"))
		i.modules("proxy", root)
		i.compiled("cache", root)
	}, "ENV PATH=/usr/local/go/bin:/bin", "ENV GOCACHE=/cache", "ENV GOPROXY=file:///proxy", "ENV GOTOOLCHAIN=local", "ENV HOME=/root")
	s.standIn("gcr.io/distroless/static:nonroot", func(i *image) { i.file(authorities, "/"+authorities) },
		"ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	s.standIn("envoyproxy/envoy:v1.40-latest", func(i *image) {
		i.program("usr/local/bin/envoy", os.Getenv("ENVOY_PATH"))
		i.program("bin/bash", "bash")
		i.commands("sh")
		i.file(authorities, "/"+authorities)
	}, "ENV PATH=/usr/local/bin:/bin")
	s.standIn("redis:7.2-alpine", func(i *image) {
		i.program("usr/local/bin/redis-server", "redis-server")
		i.program("usr/local/bin/redis-cli", "redis-cli")
	}, "ENV PATH=/usr/local/bin", "WORKDIR /data")
	s.standIn("prom/prometheus:v3.5.0", func(i *image) {
		i.program("bin/prometheus", os.Getenv("TOLLGATE_PROMETHEUS"))
		i.directory("prometheus", 0o755, 65534)
	}, `ENTRYPOINT ["/bin/prometheus"]`)
}

// up: it is well when `docker compose up --wait` returns.
func (s *stack) up(t *testing.T) {
	s.compose("up", "--detach", "--wait", "--wait-timeout", "180", "--build", "--quiet-pull")
	s.want(t, "", http.StatusUnauthorized)
	s.want(t, teamKey, http.StatusOK)
	for _, service := range []string{"tollgate", "envoy"} {
		id := s.compose("ps", "--quiet", service)
		if said := s.run("inspect", "--format", "{{.Config.User}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}}", id); said != "65532:65532 true [ALL]" {
			t.Errorf("%s runs as %s", service, said)
		}
	}
}

// sdk: OpenAI's own client sees through the gateway what it sees without.
func (s *stack) sdk(t *testing.T) {
	ask := func(host, key string) string {
		cmd := exec.CommandContext(t.Context(), os.Getenv("TOLLGATE_PYTHON"), filepath.Join(root, "test/e2e/clients/python/client.py"))
		cmd.Env = append(os.Environ(), "BASE_URL=http://"+host+"/v1", "API_KEY="+key)
		var said strings.Builder
		cmd.Stderr = &said
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %s", err, &said)
		}
		return string(out)
	}
	direct, through := ask(s.mock, realKey), ask("127.0.0.1:"+s.port, teamKey)
	if direct != through || len(direct) < 1000 {
		at := 0
		for at < min(len(direct), len(through)) && direct[at] == through[at] {
			at++
		}
		from := max(0, at-300)
		t.Errorf("it differs at byte %d; without:\n%.600s\nwith:\n%.600s", at, direct[from:], through[from:])
	}
}

// edit: a change of the mounted file takes effect by itself.
func (s *stack) edit(t *testing.T) {
	s.configure("fk-edited", "")
	s.eventually(t, "fk-edited")
	s.want(t, teamKey, http.StatusUnauthorized)
	s.configure(teamKey, "")
	s.eventually(t, teamKey)
}

// tollgateStops: nobody passes without it, and all is as before when it is back.
func (s *stack) tollgateStops(t *testing.T) {
	s.compose("stop", "tollgate")
	got := s.want(t, teamKey, http.StatusServiceUnavailable)
	var refusal struct {
		Error struct{ Message, Type string } `json:"error"`
	}
	if err := json.Unmarshal([]byte(got), &refusal); err != nil || refusal.Error.Message == "" {
		t.Errorf("the refusal is not in OpenAI's shape: %s", got)
	}
	s.compose("start", "tollgate")
	s.eventually(t, teamKey)
}

// envoyStops: nothing answers, and all is as before when it is back.
func (s *stack) envoyStops(t *testing.T) {
	s.compose("stop", "envoy")
	if status, _, err := s.ask(t.Context(), teamKey); err == nil {
		t.Errorf("without Envoy, %d was the answer", status)
	}
	s.compose("start", "envoy")
	s.eventually(t, teamKey)
}

// killed: a container whose process dies comes back by itself.
func (s *stack) killed(t *testing.T, service string) {
	id := s.compose("ps", "--quiet", service)
	pid, err := strconv.Atoi(s.run("inspect", "--format", "{{.State.Pid}}", id))
	if err != nil || pid <= 1 {
		t.Fatalf("%s has no process: %d, %v", service, pid, err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.poll(t, service+" was started anew", func() error {
		if n := s.run("inspect", "--format", "{{.RestartCount}}", id); n == "0" {
			return fmt.Errorf("it was started %s times more", n)
		}
		return nil
	})
	s.eventually(t, teamKey)
}

// redis: the profile's Redis holds the counts and the answers.
func (s *stack) redis(t *testing.T) {
	s.configure(teamKey, `
limits: [{requests: 100000/hour}]
limit_store: {redis: "redis://redis:6379/0"}
cache_store: {redis: "redis://redis:6379/1"}
cache: {ttl: 1h}
`)
	s.compose("--profile", "redis", "up", "--detach", "--wait", "redis")
	s.compose("restart", "tollgate")
	s.eventually(t, teamKey)
	s.inRedis(t)
}

// inRedis: what is asked for is there. Where Redis was away, the cache looks for it on its own, after the limits have
// found it.
func (s *stack) inRedis(t *testing.T) {
	s.poll(t, "Redis holds counts and answers", func() error {
		s.want(t, teamKey, http.StatusOK)
		for _, database := range []string{"0", "1"} {
			if n := s.compose("exec", "-T", "redis", "redis-cli", "-n", database, "DBSIZE"); n == "0" {
				return fmt.Errorf("it holds nothing in database %s", database)
			}
		}
		return nil
	})
}

// redisStops: what cannot be counted is refused, and all is as before when it is back.
func (s *stack) redisStops(t *testing.T) {
	s.compose("stop", "redis")
	if got := s.want(t, teamKey, http.StatusServiceUnavailable); !strings.Contains(got, "limits_unavailable") {
		t.Errorf("the refusal does not say why: %s", got)
	}
	s.compose("start", "redis")
	s.eventually(t, teamKey)
	s.inRedis(t)
}

// monitoring: Prometheus has what the dashboard shows, and understands each of its questions.
func (s *stack) monitoring(t *testing.T) {
	s.compose("--profile", "monitoring", "up", "--detach", "prometheus")
	s.poll(t, "Prometheus has asked Tollgate", func() error {
		got, err := s.query(t.Context(), `up{job="tollgate"} == 1 and on() tollgate_requests_total > 0`)
		if err == nil && len(got) == 0 {
			err = errors.New("no answer yet")
		}
		return err
	})
	text, err := os.ReadFile(filepath.Join(root, "deploy/grafana/tollgate.json"))
	if err != nil {
		t.Fatal(err)
	}
	questions := regexp.MustCompile(`"expr": ("(?:[^"\\]|\\.)*")`).FindAllSubmatch(text, -1)
	if len(questions) == 0 {
		t.Fatal("the dashboard asks nothing")
	}
	for _, q := range questions {
		var question string
		if err := json.Unmarshal(q[1], &question); err != nil {
			t.Fatal(err)
		}
		question = strings.NewReplacer("$__rate_interval", "1m", "$__range", "1h", "$__interval", "1m").Replace(question)
		question = regexp.MustCompile(`\$\{?\w+(:\w+)?\}?`).ReplaceAllString(question, ".*")
		if _, err := s.query(t.Context(), question); err != nil {
			t.Errorf("%s: %v", question, err)
		}
	}
}

// oneclick: the image for places that run one container serves by OpenAI-Forward's variables.
func (s *stack) oneclick(t *testing.T) {
	s.compose("--profile", "oneclick", "up", "--detach", "--build", "oneclick")
	s.poll(t, "it serves", func() error {
		status, body, err := chat(t.Context(), s.oneclickPort, teamKey)
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("status %d: %s", status, body)
		}
		return err
	})
}

// down: nothing is left but images.
func (s *stack) down(t *testing.T) {
	s.compose("--profile", "*", "down", "--volumes")
	for what, list := range map[string][]string{
		"containers": {"ps", "--all", "--quiet"},
		"networks":   {"network", "ls", "--quiet", "--filter", "type=custom"},
		"volumes":    {"volume", "ls", "--quiet"},
	} {
		if left := s.run(list...); left != "" {
			t.Errorf("%s are left: %s", what, left)
		}
	}
}
