package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

// limited is a configuration with two clients and a limit.
func limited(upstream, rest string) string {
	return fmt.Sprintf(`
clients: [{name: alice, keys: [%s]}, {name: bob, keys: [fk-bob-0123456789]}]
upstreams: [{name: openai, url: %q, keys: [%s]}]
`, clientKey, upstream, upstreamKey) + rest
}

// TestLimits: each client has its own count; what is too much is a 429 as OpenAI's SDKs know it; every
// answer tells what is left; and an edit of the file forgets nothing.
func TestLimits(t *testing.T) {
	t.Parallel()
	url, upstream := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	const routes = "routes: [{prefix: /, upstream: openai, limits: [{requests: 3/hour}, {requests: 100/day, per: route}]}]\n"
	g := launch(t, limited(url, routes))
	alice, bob := side{g.url, clientKey}, side{g.url, "fk-bob-0123456789"}
	get := request{method: http.MethodGet, path: "/echo"}
	for left := 2; left >= 0; left-- {
		got := alice.do(t, get)
		if got.Status != http.StatusOK || got.Header.Get("X-Ratelimit-Limit-Requests") != "3" ||
			got.Header.Get("X-Ratelimit-Remaining-Requests") != strconv.Itoa(left) {
			t.Errorf("with %d left: %d %v", left, got.Status, got.Header)
		}
		if _, err := time.ParseDuration(got.Header.Get("X-Ratelimit-Reset-Requests")); err != nil {
			t.Errorf("the reset: %v", err)
		}
	}
	refused := alice.do(t, get)
	refused.isError(t, http.StatusTooManyRequests, "rate_limit_exceeded", "Tollgate")
	if wait, err := strconv.Atoi(refused.Header.Get("Retry-After")); err != nil || wait < 3000 || wait > 3600 || refused.Header.Get("Retry-After-Ms") == "" {
		t.Errorf("the refusal says to come back after %q", refused.Header.Get("Retry-After"))
	}
	if refused.Header.Get("X-Ratelimit-Remaining-Requests") != "0" {
		t.Errorf("the refusal's headers: %v", refused.Header)
	}
	if got := bob.do(t, get); got.Status != http.StatusOK {
		t.Errorf("bob got %d: the limit is alice's", got.Status)
	}
	g.edit(t, limited(url, routes)+"ip: {deny: [192.0.2.1]}\n", false)
	g.await(t, "a new configuration is in force", 1)
	if got := alice.do(t, get); got.Status != http.StatusTooManyRequests {
		t.Errorf("after an edit alice got %d: her requests were forgotten", got.Status)
	}
	if n := len(upstream.Requests()); n != 4 {
		t.Errorf("the upstream saw %d requests, want 4", n)
	}
}

// TestLimitsOfDotenv: OpenAI-Forward's variables, with which the first path that matches counts.
func TestLimitsOfDotenv(t *testing.T) {
	t.Parallel()
	url, _ := mocktest.Start(t, mock.Options{})
	g := newGateway(t)
	g.write(t, ".env", "OPENAI_BASE_URL="+url+"\nGLOBAL_RATE_LIMIT=1/hour\n"+`REQ_RATE_LIMIT={"/echo/a": "2/hour", "/echo": "inf"}`+"\n")
	g.args = []string{"run", "--port", g.port(), "--admin", strings.TrimPrefix(g.admin, "http://")}
	g.start(t)
	for _, step := range []struct {
		path   string
		status []int
	}{
		{"/echo/a", []int{200, 200, 429}},
		{"/echo/b", []int{200, 200, 200}},
		{"/v1/models", []int{200, 429, 429}},
		{"/v1/files", []int{200, 429}}, // each path has a count of its own
	} {
		for i, want := range step.status {
			got := side{g.url, "sk-any"}.do(t, request{method: http.MethodGet, path: step.path})
			if got.Status != want {
				t.Errorf("%s, request %d: got %d, want %d", step.path, i+1, got.Status, want)
			}
		}
	}
}

// TestSDKWaits: OpenAI's SDK comes back by itself when the refusal says it may.
func TestSDKWaits(t *testing.T) {
	t.Parallel()
	url, _ := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	g := launch(t, limited(url, "routes: [{prefix: /, upstream: openai}]\nlimits: [{requests: 1/second}]\n"))
	client := openai.NewClient(option.WithBaseURL(g.url+"/v1"), option.WithAPIKey(clientKey), option.WithMaxRetries(2))
	began := time.Now()
	for range 3 {
		if _, err := client.Models.List(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(began); took < 1900*time.Millisecond {
		t.Errorf("three requests at one a second took %s", took)
	}
}

// TestLimitsInRedis: four gateways on one Redis never admit more than one of them would; counts
// survive kill -9; and while Redis is away requests are refused, until it is back.
func TestLimitsInRedis(t *testing.T) {
	t.Parallel()
	redis := startRedis(t)
	url, upstream := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	configuration := limited(url, "routes: [{prefix: /, upstream: openai, limits: [{requests: 50/hour}]}]\nlimit_store: {redis: \"redis://"+redis.address+"\"}\n")
	var gateways [4]*gateway
	for i := range gateways {
		gateways[i] = launch(t, configuration)
	}
	get := request{method: http.MethodGet, path: "/echo"}
	var clients sync.WaitGroup
	for _, g := range gateways {
		for range 5 {
			clients.Go(func() {
				for range 10 {
					side{g.url, clientKey}.do(t, get)
				}
			})
		}
	}
	clients.Wait()
	if n := len(upstream.Requests()); n != 50 {
		t.Errorf("of 200 requests at 50/hour, %d were admitted", n)
	}
	g := gateways[0]
	if err := syscall.Kill(g.child(t, "serve"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	bob := side{g.url, "fk-bob-0123456789"}
	eventually(t, "the gate is back", func() bool { return bob.do(t, get).Status == http.StatusOK })
	if got := (side{g.url, clientKey}).do(t, get); got.Status != http.StatusTooManyRequests {
		t.Errorf("after kill -9 alice got %d", got.Status)
	}
	redis.stop(t)
	bob.do(t, get).isError(t, http.StatusServiceUnavailable, "limits_unavailable", "Tollgate")
	g.await(t, "Redis cannot be reached", 1)
	redis.start(t)
	eventually(t, "Redis counts again", func() bool { return bob.do(t, get).Status == http.StatusOK })
	g.await(t, "Redis answers again", 1)
}

// redisServer is a real Redis of a test.
type redisServer struct {
	address, dir string
	cmd          *exec.Cmd
}

func startRedis(t *testing.T) *redisServer {
	t.Helper()
	r := &redisServer{address: mocktest.FreeAddress(t), dir: t.TempDir()}
	r.start(t)
	t.Cleanup(func() { r.stop(t) })
	return r
}

func (r *redisServer) start(t *testing.T) {
	t.Helper()
	port := regexp.MustCompile(`\d+$`).FindString(r.address)
	r.cmd = exec.Command("redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", r.dir)
	if err := r.cmd.Start(); err != nil {
		t.Fatalf("starting Redis: %v: run `make test-tools`", err)
	}
	eventually(t, "Redis listens", func() bool {
		connection, err := net.DialTimeout("tcp", r.address, time.Second)
		if err != nil {
			return false
		}
		return connection.Close() == nil
	})
}

func (r *redisServer) stop(t *testing.T) {
	t.Helper()
	if r.cmd == nil {
		return
	}
	if err := r.cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = r.cmd.Wait() // it was killed
	r.cmd = nil
}
