package main

import (
	"os"
	"strings"
	"testing"
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
			}
			write()
			if c, err := from.load(); err != nil || c.Routes[0].Prefix != "/a" {
				t.Errorf("it is back: %+v, %v", c, err)
			}
		})
	}
}

// TestChanged: it is told when the file, or one that it names, has changed, came, or went, and when another one counts.
func TestChanged(t *testing.T) {
	t.Chdir(t.TempDir())
	write := func(name, content string) {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	remove := func(name string) {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	const text = "upstreams: [{name: a, url: \"http://127.0.0.1:1\", keys: [\"file:key\"]}]\nroutes: [{prefix: /, upstream: a}]\n"
	write("key", "sk-0")
	from := &source{}
	for _, change := range []func(){
		func() { write(defaultEnv, "OPENAI_API_KEY=sk-0") },
		func() { write(defaultEnv, "") },
		func() { write(defaultConfig, text) },
		func() { write(defaultConfig, text+"# a comment\n") },
		func() { write("key", "sk-1") },
	} {
		c, err := from.load()
		if err != nil {
			t.Fatal(err)
		}
		if from.changed(c.Files) {
			t.Errorf("no change of %v is one", c.Files)
		}
		if change(); !from.changed(c.Files) {
			t.Errorf("a change of %v is none", c.Files)
		}
	}
	c, err := from.load()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"key", defaultConfig} {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if remove(name); !from.changed(c.Files) {
			t.Errorf("%s is gone, and that is no change", name)
		}
		if write(name, string(content)); from.changed(c.Files) {
			t.Errorf("%s is back, and that is a change", name)
		}
	}
}
