package config

import (
	"errors"
	"path/filepath"
	"testing"

	"golang.org/x/tools/txtar"
)

// FuzzParse: no content makes Parse panic, what is wrong is told as Problems that say where, and what
// is right resolves the same way twice.
func FuzzParse(f *testing.F) {
	seeds(f, "tollgate.yaml")
	f.Fuzz(func(t *testing.T, content []byte) {
		c, err := Parse("tollgate.yaml", content, environmentOf(nil))
		checkResult(t, c, err)
		if err != nil {
			return
		}
		if again, err := Parse("tollgate.yaml", content, environmentOf(nil)); err != nil || !c.Equal(again) {
			t.Errorf("read again: %v", err)
		}
	})
}

// FuzzParseEnv: the same of .env files, and that a good one can be imported.
func FuzzParseEnv(f *testing.F) {
	seeds(f, ".env")
	f.Fuzz(func(t *testing.T, content []byte) {
		c, err := ParseEnv(".env", string(content), environmentOf(nil))
		checkResult(t, c, err)
		if err == nil {
			roundTrip(t, ".env", string(content), nil)
		}
	})
}

// FuzzParseForwardYAML: the same of openai-forward-config.yaml.
func FuzzParseForwardYAML(f *testing.F) {
	seeds(f, forwardYAMLName)
	f.Fuzz(func(t *testing.T, content []byte) {
		c, err := ParseEnv(forwardYAMLName, string(content), environmentOf(nil))
		checkResult(t, c, err)
		if err == nil {
			roundTrip(t, forwardYAMLName, string(content), nil)
		}
	})
}

// seeds begins with the files of the golden archives.
func seeds(f *testing.F, name string) {
	f.Helper()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		f.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, content := range archive.Files {
			if content.Name == name {
				f.Add(content.Data)
			}
		}
	}
}

func checkResult(t *testing.T, c *Config, err error) {
	t.Helper()
	if err == nil {
		if len(c.Routes) == 0 || len(c.Upstreams) == 0 || c.Source == "" {
			t.Errorf("incomplete: %+v", c)
		}
		return
	}
	var problems Problems
	if !errors.As(err, &problems) || len(problems) == 0 {
		t.Fatalf("not problems: %v", err)
	}
	for _, p := range problems {
		if p.File == "" || p.Message == "" || p.Line < 0 || p.Line > 0 && p.Column < 1 {
			t.Errorf("where is it? %+v", p)
		}
	}
}
