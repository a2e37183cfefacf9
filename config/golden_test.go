package config

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"tollgate/config/rate"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const forwardYAMLName = "openai-forward-config.yaml"

// sentinel is the beginning of every key in testdata: no error and no dump may hold it.
const sentinel = "sk-sentinel"

// TestGolden reads the tollgate.yaml, .env or openai-forward-config.yaml of each testdata/*.txtar, and compares what comes of
// it, a dump or an error, with the file "result". Other files of the archive stand in ${DIR}; its
// file "environment" holds NAME=value lines.
func TestGolden(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txtar")
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
			got := result(t, archive)
			if strings.Contains(got, sentinel) {
				t.Errorf("a key is shown:\n%s", got)
			}
			want := find(archive, "result")
			if *update {
				want.Data = []byte(got)
				if err := os.WriteFile(file, txtar.Format(archive), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(want.Data), got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// find gives a file of the archive, which is added if it is not there.
func find(archive *txtar.Archive, name string) *txtar.File {
	for i := range archive.Files {
		if archive.Files[i].Name == name {
			return &archive.Files[i]
		}
	}
	archive.Files = append(archive.Files, txtar.File{Name: name})
	return &archive.Files[len(archive.Files)-1]
}

// result is the dump of the configuration, or the error.
func result(t *testing.T, archive *txtar.Archive) string {
	t.Helper()
	dir := t.TempDir()
	variables := map[string]string{"DIR": dir}
	var c *Config
	err := errors.New("the archive holds no configuration")
	for _, file := range archive.Files {
		switch file.Name {
		case "tollgate.yaml", ".env", forwardYAMLName, "result":
		case "environment":
			readEnvironment(t, file.Data, variables)
		default:
			if err := os.WriteFile(filepath.Join(dir, file.Name), file.Data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, file := range archive.Files {
		switch file.Name {
		case "tollgate.yaml":
			c, err = Parse(file.Name, file.Data, environmentOf(variables))
		case ".env", forwardYAMLName:
			c, err = ParseEnv(file.Name, string(file.Data), environmentOf(variables))
		}
	}
	if err != nil {
		checkProblems(t, err)
		return strings.ReplaceAll(err.Error(), dir, "${DIR}") + "\n"
	}
	return strings.ReplaceAll(dump(c), dir, "${DIR}")
}

// checkProblems sees that an error says where it is.
func checkProblems(t *testing.T, err error) {
	t.Helper()
	var problems Problems
	if !errors.As(err, &problems) || len(problems) == 0 {
		t.Fatalf("not problems: %v", err)
	}
	for _, p := range problems {
		if p.File == "" || p.Message == "" {
			t.Errorf("a problem without a file or message: %+v", p)
		}
	}
}

func readEnvironment(t *testing.T, data []byte, variables map[string]string) {
	t.Helper()
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		name, value, ok := strings.Cut(lines.Text(), "=")
		if !ok {
			t.Fatalf("not NAME=value: %s", lines.Text())
		}
		variables[name] = value
	}
}

func environmentOf(variables map[string]string) Environment {
	return func(name string) (string, bool) {
		value, ok := variables[name]
		return value, ok
	}
}

// dump prints a configuration for people. Keys show as fingerprints.
func dump(c *Config) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("source: %s", c.Source)
	l := c.Listener
	line("listener: %s tls=%t trusted_hops=%d cors=%t origins=%v idle_timeout=%s", l.Address, l.TLS != nil, l.TrustedHops, l.CORS, l.AllowOrigins, l.IdleTimeout)
	if l.MaxBody != DefaultMaxBody || l.RequestTimeout != DefaultRequestTimeout || l.MaxConnections > 0 {
		line("  max_body_bytes=%d request_timeout=%s max_connections=%d", l.MaxBody, l.RequestTimeout, l.MaxConnections)
	}
	if l.HTTP3 {
		line("  http3")
	}
	if l.TLS != nil && l.TLS.ClientCA != "" {
		line("  clients show certificates")
	}
	line("admin: %s%s%s%s", c.Admin.Address, optional(" token=", c.Admin.Token.Reveal() != "", c.Admin.Token.Fingerprint()),
		optional(" metrics_only=", c.Admin.MetricsOnly, true), optional(" recent_chats=", c.Admin.RecentChats > 0, c.Admin.RecentChats))
	for _, g := range c.Groups {
		part := c.Part(g)
		line("group %s: %s tls=%t", g.Name, g.Listener.Address, g.Listener.TLS != nil)
		for _, r := range part.Routes {
			line("  %s -> %s", r.Prefix, targets(r.Choices[len(r.Choices)-1]))
		}
	}
	for _, u := range c.Upstreams {
		keys := make([]string, len(u.Keys))
		for i, k := range u.Keys {
			keys[i] = k.Fingerprint()
		}
		line("upstream %s: %s keys=%v key_header=%q ca=%t server_name=%s connect_timeout=%s%s",
			u.Name, u.URL(), keys, u.KeyHeader, u.CA != "", u.ServerName, u.ConnectTimeout, optional(" proxy=", u.Proxy.IsValid(), u.Proxy))
		if u.Certificate != nil {
			line("  it is shown a certificate")
		}
		if h := u.HealthCheck; h != nil {
			line("  health_check %s every %s within %s", h.Path, h.Interval, h.Timeout)
		}
		for _, rename := range u.Rename {
			line("  %s is %s there", rename.Pattern, rename.To)
		}
		if u.MaxConnections+u.MaxRequests+u.MaxPending > 0 {
			line("  max connections=%d requests=%d pending=%d", u.MaxConnections, u.MaxRequests, u.MaxPending)
		}
	}
	for _, r := range c.Routes {
		line("route %s -> %s: auth=%s needs=%s%s", r.Prefix, targets(r.Choices[len(r.Choices)-1]), r.Auth, needs(r.Needs()), optional(" ip=", !r.IP.Any(), r.IP))
		for _, choice := range r.Choices[:len(r.Choices)-1] {
			line("  %v%s -> %s", choice.Models, optional(" of ", len(choice.Clients) > 0, choice.Clients), targets(choice))
		}
		for _, l := range r.Limits {
			line("  limit %s first=%t", describe(l), r.FirstLimit)
		}
		if r.MaxInFlight > 0 || r.AnswerTokens != DefaultAnswerTokens || r.ExactUsage {
			line("  max_in_flight=%d answer_tokens=%d exact=%t", r.MaxInFlight, r.AnswerTokens, r.ExactUsage)
		}
		if r.MaxBody != l.MaxBody {
			line("  max_body_bytes=%d", r.MaxBody)
		}
		for _, p := range r.Pace {
			line("  pace %s path=%q%s", rate.Format(p.Rates), p.Path, optional(" clients=", len(p.Clients) > 0, p.Clients))
		}
		if t := r.Retry; !reflect.DeepEqual(t, (&resolver{}).retry(nil)) {
			line("  retry attempts=%d statuses=%v rate_limited=%t first_byte_timeout=%s idle_timeout=%s",
				t.Attempts, t.Statuses, t.RateLimited, t.FirstByteTimeout, t.IdleTimeout)
		}
		if k := r.Cache; k != nil {
			line("  cache ttl=%s per_client=%t apis=%v max_temperature=%g opt_in=%t collapse=%t charge_tokens=%t shadow=%t",
				k.TTL, k.PerClient, k.APIs, k.MaxTemperature, k.OptIn, k.Collapse, k.ChargeTokens, k.Shadow)
		}
	}
	if k := c.CacheStore; k.Dir != "" || k.Redis.Reveal() != "" || k.MaxBytes != DefaultCacheBytes || k.MaxEntryBytes != DefaultMaxEntryBytes {
		line("answers are kept in dir=%q redis=%s max_bytes=%d max_entry_bytes=%d", k.Dir, k.Redis, k.MaxBytes, k.MaxEntryBytes)
	}
	if c.LimitStore != (LimitStore{}) {
		line("limits are counted in %s local=%t", c.LimitStore.Redis, c.LimitStore.Local)
	}
	for _, p := range c.Prices {
		line("price of %s%s: input=%d cached=%d output=%d pico-dollars, request=%s whole=%t", p.Model,
			optional(" at ", p.Upstream != "", p.Upstream), p.Input, p.Cached, p.Output, p.Request, p.Whole)
	}
	for _, client := range c.Clients {
		line("client %s: %d keys%s%s", client.Name, count(c, client),
			optional(" models=", len(client.Models) > 0, client.Models), optional(" max_in_flight=", client.MaxInFlight > 0, client.MaxInFlight))
		for _, l := range client.Limits {
			line("  limit %s", describe(l))
		}
	}
	if len(c.Routes) > 0 && !c.Routes[0].ForAll.Any() {
		line("ip: allow=%v deny=%v", c.Routes[0].ForAll.Allow, c.Routes[0].ForAll.Deny)
	}
	for _, file := range c.Files[1:] {
		line("file: %s", file.Path)
	}
	for _, warning := range c.Warnings {
		line("warning: %s", warning)
	}
	return b.String()
}

// targets lists upstreams and, where there are several, their weights.
func targets(c Choice) string {
	var names []string
	for _, t := range c.Targets {
		names = append(names, t.Name+optional(":", c.Several(), t.Weight))
	}
	return strings.Join(names, " ")
}

func describe(l Limit) string {
	return fmt.Sprintf("%s of %s path=%q per=%s %s%s%s%s", l, l.Of, l.Path, l.Per, l.Strategy,
		optional(" models=", len(l.Models) > 0, l.Models), optional(" clients=", len(l.Clients) > 0, l.Clients), optional(" shadow=", l.Shadow, true))
}

// needs says what a route needs, in words.
func needs(n Needs) string {
	words := "nothing"
	for _, need := range []struct {
		word string
		is   bool
	}{
		{"gate", n.Gate},
		{"request", n.Request == AskedFor},
		{"every-request", n.Request == AnyBody},
		{"response", n.Response == AskedFor},
		{"every-response", n.Response == AnyBody},
		{"attempts", n.Attempts},
		{"tap", n.Tap},
	} {
		if need.is {
			words = strings.TrimPrefix(words+"+"+need.word, "nothing+")
		}
	}
	return words
}

func optional(label string, shown bool, value any) string {
	if !shown {
		return ""
	}
	return label + fmt.Sprintf("%v", value)
}

func count(c *Config, client *Client) int {
	n := 0
	for _, owner := range c.clients {
		if owner == client {
			n++
		}
	}
	return n
}
