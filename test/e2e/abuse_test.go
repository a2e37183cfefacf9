package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tollgate/test/envoytest"
	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

// fully tells whether tests are to do what takes minutes, too: `make abuse`.
func fully() bool { return os.Getenv("TOLLGATE_ABUSE") == "full" }

// tool finds a program of the tests: on PATH, or among those that make has got.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path, err = filepath.Abs(filepath.Join("..", "..", ".tools", name))
	}
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatalf("there is no %s: `make test-tools` gets it: %v", name, err)
	}
	return path
}

// TestAbuseByH2Spec: of the cases of h2spec the gateway fails none that bare Envoy does not fail.
func TestAbuseByH2Spec(t *testing.T) {
	t.Parallel()
	upstream, _ := mocktest.Start(t, mock.Options{})
	_, chain, key := mocktest.Certificate(t)
	g := newGateway(t)
	g.write(t, "tollgate.yaml", strings.Replace(g.addresses, "listener: {", fmt.Sprintf("listener: {tls: {certificate_file: %q, private_key_file: %q}, ", chain, key), 1)+
		fmt.Sprintf("upstreams: [{name: openai, url: %q, keys: [%s]}]\nroutes: [{prefix: /, upstream: openai}]\n", upstream, upstreamKey))
	g.args = []string{"run"}
	g.start(t)
	clear := start(t, fmt.Sprintf("upstreams: [{name: openai, url: %q, keys: [%s]}]\nroutes: [{prefix: /, upstream: openai}]\n", upstream, upstreamKey))
	for name, sides := range map[string][2]string{
		"TLS":   {"https://" + strings.TrimPrefix(g.url, "http://"), envoytest.StartBare(t, upstream, envoytest.Certificate{Chain: chain, PrivateKey: key}).URL},
		"clear": {clear, envoytest.StartBare(t, upstream, envoytest.Certificate{}).URL},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			results := [2]map[string]string{}
			var runs sync.WaitGroup
			for i, side := range sides {
				runs.Go(func() { results[i] = h2spec(t, side, "1") })
			}
			runs.Wait()
			if len(results[0]) < 100 || len(results[0]) != len(results[1]) {
				t.Fatalf("%d and %d cases ran", len(results[0]), len(results[1]))
			}
			failed := 0
			for test, failure := range results[0] {
				if failure != "" {
					failed++
				}
				if failure == "" || results[1][test] != "" {
					continue
				}
				if again := h2spec(t, sides[0], "10", test)[test]; again != "" { // it may have been this machine that was slow
					t.Errorf("%s: bare Envoy passes, and the gateway does not: %s", test, again)
				}
			}
			t.Logf("%d of %d cases fail, none of which bare Envoy passes", failed, len(results[0]))
		})
	}
}

// h2spec runs its cases, and gives what each failed with; "" where it passed.
func h2spec(t *testing.T, side, timeout string, cases ...string) map[string]string {
	t.Helper()
	to, err := url.Parse(side)
	if err != nil {
		t.Error(err)
		return nil
	}
	report := filepath.Join(t.TempDir(), "report.xml")
	args := append(cases, "--strict", "-h", to.Hostname(), "-p", to.Port(), "-P", "/v1/models", "-o", timeout, "-j", report)
	if to.Scheme == "https" {
		args = append(args, "-t", "-k")
	}
	output, _ := exec.CommandContext(t.Context(), tool(t, "h2spec"), args...).CombinedOutput() // it fails where a case does
	written, err := os.ReadFile(report)
	if err != nil {
		t.Errorf("h2spec made no report: %v: %s", err, output)
		return nil
	}
	results, numbers := map[string]string{}, map[string]int{}
	for _, found := range regexp.MustCompile(`(?s)<testcase package="([^"]+)" classname="([^"]+)"[^>]*>(.*?)</testcase>`).FindAllSubmatch(written, -1) {
		section := string(found[1])
		numbers[section]++
		name := section + "/" + strconv.Itoa(numbers[section])
		if len(cases) == 1 { // of a section only this one was run
			name = cases[0]
		}
		if len(found[3]) > 0 {
			results[name] = string(found[2]) + ": " + string(found[3])
		} else {
			results[name] = ""
		}
	}
	return results
}

// TestAbuseBySlowHTTPTest: while slowhttptest has its slow connections, clients get their answers, and it finds
// the gateway no less available than bare Envoy.
func TestAbuseBySlowHTTPTest(t *testing.T) {
	t.Parallel()
	connections, seconds := "400", "5"
	if fully() {
		connections, seconds = "4000", "60"
	}
	upstream, _ := mocktest.Start(t, mock.Options{})
	gateway := start(t, fmt.Sprintf(`
upstreams: [{name: openai, url: %q, keys: [%s]}]
routes:
  - {prefix: /, upstream: openai}
  - {prefix: /read, upstream: openai, limits: [{requests: 1000000/hour, models: ["*"]}]}
telemetry: {usage: true}
`, upstream, upstreamKey))
	bare := envoytest.StartBare(t, upstream, envoytest.Certificate{})
	for mode, args := range map[string][]string{
		"slow headers":              {"-H", "-i", "2", "-u", "/v1/models"},
		"slow bodies":               {"-B", "-i", "2", "-s", "8192", "-u", "/v1/chat/completions"},
		"slow bodies that it reads": {"-B", "-i", "2", "-s", "8192", "-u", "/read/v1/chat/completions"},
		"slow readers":              {"-X", "-k", "3", "-n", "2", "-w", "10", "-y", "20", "-z", "32", "-u", "/v1/models"},
		"ranges":                    {"-R", "-u", "/v1/models"},
	} {
		last := len(args) - 1
		common := append(args[:last-1:last-1], "-c", connections, "-r", "400", "-l", seconds, "-p", "5")
		var attacks sync.WaitGroup
		var through, direct string
		attacks.Go(func() { through = slowHTTPTest(t, slices.Concat(common, []string{"-u", gateway + args[last]})) })
		attacks.Go(func() { direct = slowHTTPTest(t, slices.Concat(common, []string{"-u", bare.URL + args[last]})) })
		over := make(chan struct{})
		go func() { attacks.Wait(); close(over) }()
		answers, slowest := 0, time.Duration(0)
		for during := true; during; answers++ {
			began := time.Now()
			got := side{url: gateway}.do(t, post("/v1/chat/completions", chatStream))
			if got.Status != http.StatusOK || !strings.HasSuffix(got.Body, "data: [DONE]\n\n") {
				t.Fatalf("%s: beside it a client gets %d %s", mode, got.Status, got.Body)
			}
			slowest = max(slowest, time.Since(began))
			select {
			case <-over:
				during = false
			case <-time.After(10 * time.Millisecond):
			}
		}
		t.Logf("%s: %d answers beside %s connections, the slowest after %s; available through the gateway: %s, bare: %s", mode, answers, connections, slowest, through, direct)
		if through != "YES" && direct == "YES" {
			t.Errorf("%s: slowhttptest finds bare Envoy available, and the gateway not: %s", mode, through)
		}
	}
}

// slowHTTPTest runs it, and gives what it says of the server in the end: whether it is available.
func slowHTTPTest(t *testing.T, args []string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	output, err := exec.CommandContext(ctx, tool(t, "slowhttptest"), args...).CombinedOutput()
	said := regexp.MustCompile(`service available:\S*\s*(?:\x1b\[[0-9;]*m)?\s*(YES|NO)`).FindAllSubmatch(output, -1)
	if len(said) == 0 {
		t.Errorf("slowhttptest says nothing of the service: %v: %s", err, output)
		return ""
	}
	return string(said[len(said)-1][1])
}
