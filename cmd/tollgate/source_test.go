package main

import (
	"os"
	"strings"
	"testing"

	"tollgate/config"
)

// TestSourceStays: a file that was read once must be there from then on; what is next in line does not take
// its place.
func TestSourceStays(t *testing.T) {
	for _, file := range []struct{ name, content string }{
		{defaultConfig, "upstreams: [{name: a, url: \"http://127.0.0.1:1\"}]\nroutes: [{prefix: /a, upstream: a}]\n"},
		{defaultEnv, "OPENAI_BASE_URL=http://127.0.0.1:1\nOPENAI_ROUTE_PREFIX=/a\n"},
		{forwardYAML, "forward:\n  - base_url: http://127.0.0.1:1\n    route: /a\n    type: openai\n"},
	} {
		t.Run(file.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			write := func() {
				if err := os.WriteFile(file.name, []byte(file.content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			write()
			from := &source{}
			if c, err := from.load(); err != nil || c.Routes[0].Prefix != "/a" {
				t.Fatalf("the first time: %+v, %v", c, err)
			}
			if err := os.Remove(file.name); err != nil {
				t.Fatal(err)
			}
			child := &source{config: from.config, env: from.env} // what `run` hands on
			for _, s := range []*source{from, child} {
				if c, err := s.load(); err == nil || !strings.Contains(err.Error(), file.name) {
					t.Errorf("%s is gone, and this is read: %+v, %v", file.name, c, err)
				}
				if got := s.files(&config.Config{}); got[0] != file.name {
					t.Errorf("%q are watched", got)
				}
			}
			write()
			if c, err := from.load(); err != nil || c.Routes[0].Prefix != "/a" {
				t.Errorf("it is back: %+v, %v", c, err)
			}
		})
	}
}

// TestDigest: it is another one when the file, or one that it names, has changed, came, or went.
func TestDigest(t *testing.T) {
	t.Chdir(t.TempDir())
	write := func(name, content string) {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	from, names := &source{}, &config.Config{Files: []string{"key"}}
	write(defaultConfig, "a")
	seen := map[[32]byte]bool{from.digest(&config.Config{}): true}
	for _, change := range []func(){
		func() {},
		func() { write("key", "") },
		func() { write("key", "a") },
		func() { write(defaultConfig, "b") },
		func() { write(defaultConfig, "ba"); write("key", "") },
	} {
		change()
		digest := from.digest(names)
		if seen[digest] {
			t.Error("a change makes no difference")
		}
		if seen[digest] = true; from.digest(names) != digest {
			t.Error("no change makes a difference")
		}
	}
}
