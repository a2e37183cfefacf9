package main

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"tollgate/config"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// colours are the codes that a terminal does not show.
var colours = regexp.MustCompile(`\x1b\[\d+m`)

// title is the line that holds the version, whose length varies.
var title = regexp.MustCompile(`╭─ tollgate .*╮`)

// TestBanner compares the banner of the configuration in each testdata/banner/*.txtar with the file
// "banner" there.
func TestBanner(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/banner/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c := configuration(t, archive)
			got := shown(c, false)
			if *update {
				archive.Files = append(archive.Files[:1], txtar.File{Name: "banner", Data: []byte(got)})
				if err := os.WriteFile(file, txtar.Format(archive), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if len(archive.Files) < 2 {
				t.Fatal("the archive has no banner: make golden writes it")
			}
			if diff := cmp.Diff(string(archive.Files[1].Data), got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			checkBanner(t, c, got)
		})
	}
}

// configuration reads the archive's first file: a tollgate.yaml or a .env.
func configuration(t *testing.T, archive *txtar.Archive) *config.Config {
	t.Helper()
	nothing := func(string) (string, bool) { return "", false }
	first := archive.Files[0]
	c, err := config.Parse(first.Name, first.Data, nothing)
	if first.Name == ".env" {
		c, err = config.ParseEnv(first.Name, string(first.Data), nothing)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func shown(c *config.Config, colour bool) string {
	var out strings.Builder
	banner(&out, c, colour)
	return title.ReplaceAllString(out.String(), "╭─ tollgate VERSION")
}

// checkBanner checks what is true of every banner.
func checkBanner(t *testing.T, c *config.Config, plainText string) {
	t.Helper()
	coloured := shown(c, true)
	if colours.ReplaceAllString(coloured, "") != plainText {
		t.Errorf("with colours it says something else:\n%s", coloured)
	}
	if strings.Contains(plainText, "sk-sentinel") {
		t.Error("a key is shown")
	}
	for line := range strings.Lines(plainText) {
		if width := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); width > 80 {
			t.Errorf("%d columns: %s", width, line)
		}
	}
	open := false
	for _, r := range c.Routes {
		open = open || r.Auth == config.AuthOpen && len(r.Upstreams()[0].Keys) > 0
	}
	if marked := regexp.MustCompile(`\x1b\[31mforward keys`).MatchString(coloured); marked != open {
		t.Errorf("a door stands open: %t; it is red: %t", open, marked)
	}
}
