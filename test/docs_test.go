package test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"tollgate/config"
)

// snippet is a fenced block of a page.
type snippet struct {
	page, language, text string
}

// snippets are those of README, docs and the other pages for people.
func snippets(t *testing.T) []snippet {
	t.Helper()
	var pages []string
	for _, pattern := range []string{"../*.md", "../docs/*.md", "../deploy/*/README.md", "../deploy/README.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, found...)
	}
	fence := regexp.MustCompile("(?ms)^( *)```(\\w*)\n(.*?)\n *```$")
	var all []snippet
	for _, page := range pages {
		content, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range fence.FindAllSubmatch(content, -1) {
			text := strings.ReplaceAll("\n"+string(match[3]), "\n"+string(match[1]), "\n")
			all = append(all, snippet{page, string(match[2]), strings.TrimPrefix(text, "\n") + "\n"})
		}
	}
	return all
}

// TestSnippets: what pages show works. YAML (yaml) is a configuration that loads, other YAML (yml) is YAML, variables
// (env, or sh that begins so) are understood, and commands (sh) have verbs, flags and targets that there are. What
// talks with a gateway (python, js, curl) is run by TestDocs in test/e2e.
func TestSnippets(t *testing.T) {
	t.Parallel()
	kinds := map[string]int{}
	for _, s := range snippets(t) {
		kinds[s.language]++
		var err error
		switch isEnv := regexp.MustCompile(`^[A-Z_]+=`).MatchString(s.text); {
		case s.language == "yaml":
			err = loads(s.text)
		case s.language == "yml":
			err = yaml.Unmarshal([]byte(s.text), new(any))
		case s.language == "env", s.language == "sh" && isEnv:
			_, err = config.ParseEnv("env", s.text, func(string) (string, bool) { return "", false })
		case s.language == "sh":
			err = commands(t, s.text)
		case slices.Contains([]string{"", "python", "js", "json", "text", "mermaid", "go"}, s.language):
		default:
			err = fmt.Errorf("nobody checks what is marked as %s", s.language)
		}
		if err != nil {
			t.Errorf("%s: %v\nin:\n%s", s.page, err, s.text)
		}
	}
	if kinds["yaml"] < 15 || kinds["sh"] < 10 || kinds["python"] < 4 {
		t.Errorf("found too few: %v", kinds)
	}
}

// TestExamples: each file in examples loads, and begins with the schema for editors.
func TestExamples(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../examples/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := strings.Cut(string(content), "\n")
		schema, ok := strings.CutPrefix(first, "# yaml-language-server: $schema=")
		if _, err := os.Stat(filepath.Join(filepath.Dir(file), schema)); !ok || err != nil {
			t.Errorf("%s begins with %q, which names no schema", file, first)
		}
		if err := loads(string(content)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// loads reads a tollgate.yaml whose variables are all set. Two that hold the same key would be a mistake: each
// holds its own name.
func loads(text string) error {
	named := regexp.MustCompile(`\$\{(\w+)\}`).ReplaceAllString(text, "$1")
	_, err := config.Parse("tollgate.yaml", []byte(named), os.LookupEnv)
	return err
}

// commands looks at each command of a shell snippet.
func commands(t *testing.T, text string) error {
	t.Helper()
	text = regexp.MustCompile(`(?s)<<'?(\w+)'?\n.*?\n\w+\n`).ReplaceAllString(text, "\n") // here documents
	text = regexp.MustCompile(`'[^']*'|"[^"]*"`).ReplaceAllString(text, "TEXT")
	text = strings.ReplaceAll(text, "\\\n", " ")
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, " #")
		for command := range strings.SplitSeq(strings.ReplaceAll(line, "&&", "|"), "|") {
			words := strings.Fields(command)
			for len(words) > 0 && (words[0] == "sudo" || regexp.MustCompile(`^[A-Z_]+=`).MatchString(words[0])) {
				words = words[1:]
			}
			if len(words) == 0 || strings.HasPrefix(words[0], "#") {
				continue
			}
			if err := command1(t, words); err != nil {
				return fmt.Errorf("%s: %w", strings.TrimSpace(command), err)
			}
		}
	}
	return nil
}

// others are programs that are not ours, which these tests do not run.
var others = []string{
	"bash", "cat", "cd", "cp", "curl", "docker", "echo", "envoy", "export", "git", "helm", "install", "jq", "kill", "kubectl",
	"kustomize", "mkdir", "mv", "npm", "openssl", "pip", "systemctl", "useradd", "journalctl", "sha256sum", "tar", "chmod", "chown",
}

func command1(t *testing.T, words []string) error {
	t.Helper()
	switch name := words[0]; {
	case name == "make":
		return targets(t, words[1:])
	case name == "bin/tollgate" || name == "tollgate":
		return verb(t, words[1:])
	case slices.Contains(others, name):
		return nil
	}
	return fmt.Errorf("%q is neither ours nor known to the test", words[0])
}

// targets sees that make knows them.
func targets(t *testing.T, words []string) error {
	t.Helper()
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range words {
		if !strings.Contains(word, "=") && !strings.HasPrefix(word, "-") && !strings.Contains(string(makefile), "\n"+word+":") {
			return fmt.Errorf("there is no target %s", word)
		}
	}
	return nil
}

// verb sees that tollgate has it, with these flags.
func verb(t *testing.T, words []string) error {
	t.Helper()
	program := os.Getenv("TOLLGATE_BIN")
	if program == "" {
		program = "../bin/tollgate"
	}
	var verbs []string
	for _, word := range words {
		if strings.HasPrefix(word, "-") || strings.ContainsAny(word, "./=<>[") || word == "TEXT" {
			break
		}
		verbs = append(verbs, word)
	}
	help, err := exec.Command(program, append(verbs, "--help")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, help)
	}
	for _, word := range words {
		flag, _, _ := strings.Cut(word, "=")
		if strings.HasPrefix(flag, "-") && !strings.Contains(string(help), flag) {
			return fmt.Errorf("there is no flag %s", flag)
		}
	}
	return nil
}

// TestPromises: the tests that a page names are there.
func TestPromises(t *testing.T) {
	t.Parallel()
	var tests strings.Builder
	if err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && len(entry.Name()) > 2 {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, "_test.go") {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			tests.Write(content)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for _, page := range append(pages, "../README.md") {
		content, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range regexp.MustCompile("`(Test[A-Z][A-Za-z]*)`").FindAllSubmatch(content, -1) {
			named++
			if !strings.Contains(tests.String(), "func "+string(match[1])+"(") {
				t.Errorf("%s names %s, and there is no such test", page, match[1])
			}
		}
	}
	if named < 10 {
		t.Errorf("only %d tests are named", named)
	}
}

// TestVariables: docs/migrate.md has every variable of OpenAI-Forward's that means something here.
func TestVariables(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/migrate.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../config/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no source: %v", err)
	}
	seen := 0
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(file, "_test.go") || !strings.Contains(string(content), "variables)") && !strings.Contains(string(content), "forwardYAML") {
			continue
		}
		for _, match := range regexp.MustCompile(`"((?:[A-Z]+_)+[A-Z]+|PROXY|TIMEOUT|TZ|ssl_[a-z]+)"`).FindAllSubmatch(content, -1) {
			seen++
			if !strings.Contains(string(page), "`"+string(match[1])+"`") {
				t.Errorf("%s reads %s, of which docs/migrate.md says nothing", file, match[1])
			}
		}
	}
	if seen < 30 {
		t.Errorf("only %d variables were found", seen)
	}
}
