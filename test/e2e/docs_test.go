package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

// docsPython is the Python that has what the pages use: SDK and LangChain.
const docsPython = "../../.tools/docs-venv/bin/python3"

// TestDocs: what the pages show of talking with a gateway works as it stands there, but for the gateway's address.
func TestDocs(t *testing.T) {
	t.Parallel()
	url, upstream := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	gateway := start(t, fmt.Sprintf(`
clients: [{name: alice, keys: [fk-alice]}]
upstreams: [{name: openai, url: %q, keys: [%s]}]
routes: [{prefix: /, upstream: openai}, {prefix: /asked, upstream: openai, cache: {scope: route, opt_in: true}}]
`, url, upstreamKey))
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	python, err := filepath.Abs(existing(t, docsPython, "the Python with what the pages use"))
	if err != nil {
		t.Fatal(err)
	}
	programs := map[string][]string{
		"python": {python, "-c"},
		"js":     {"node", "--input-type=module", "--eval"},
		"sh":     {"bash", "-euc"},
	}
	ran := 0
	for _, page := range append(pages, "../../README.md") {
		content, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for i, match := range regexp.MustCompile("(?ms)^ *```(python|js|sh)\n(.*?)^ *```").FindAllSubmatch(content, -1) {
			language, text := string(match[1]), string(match[2])
			if !strings.Contains(text, "http://localhost:8000") {
				continue
			}
			ran++
			t.Run(fmt.Sprintf("%s-%d-%s", filepath.Base(page), i, language), func(t *testing.T) {
				text := strings.ReplaceAll(text, "http://localhost:8000", gateway)
				if language == "sh" {
					text = "curl() { command curl -fsS \"$@\"; }\n" + text
				}
				before := len(upstream.Requests())
				runSnippet(t, append(programs[language], text))
				if len(upstream.Requests()) == before {
					t.Error("the upstream was not asked")
				}
			})
		}
	}
	if ran < 7 {
		t.Errorf("only %d snippets were run", ran)
	}
	for _, r := range upstream.Requests() {
		if r.Header.Get("Authorization") != "Bearer "+upstreamKey {
			t.Errorf("%s arrived with %q", r.URI, r.Header.Get("Authorization"))
		}
	}
}

func runSnippet(t *testing.T, command []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), clientPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir = "clients/node" // where Node finds the SDK
	out, err := cmd.CombinedOutput()
	if err != nil || len(out) == 0 {
		t.Errorf("%v: it said %q\n%s", err, out, command[len(command)-1])
	}
}
