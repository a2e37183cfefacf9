package test

import (
	"os"
	"regexp"
	"testing"

	"tollgate/config"
)

// TestReadmeExamples: every YAML and .env in the README is a configuration that loads.
func TestReadmeExamples(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	everySet := func(string) (string, bool) { return "a-key", true }
	noneSet := func(string) (string, bool) { return "", false }
	yaml, dotenv := 0, 0
	for _, match := range regexp.MustCompile("(?s)```(yaml|sh)\n(.*?)```").FindAllSubmatch(readme, -1) {
		switch {
		case string(match[1]) == "yaml":
			yaml++
			// Two variables that hold the same key would be a mistake: give each its own.
			text := regexp.MustCompile(`\$\{(\w+)\}`).ReplaceAll(match[2], []byte("$1"))
			_, err = config.Parse("README.md", text, everySet)
		case regexp.MustCompile(`^[A-Z_]+=`).Match(match[2]):
			dotenv++
			_, err = config.ParseEnv("README.md", string(match[2]), noneSet)
		default:
			continue
		}
		if err != nil {
			t.Errorf("%v\nin:\n%s", err, match[2])
		}
	}
	if yaml < 2 || dotenv < 1 {
		t.Errorf("found %d examples of YAML and %d of .env, want at least 2 and 1", yaml, dotenv)
	}
}
