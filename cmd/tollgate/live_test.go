package main

import (
	"os"
	"reflect"
	"syscall"
	"testing"

	"tollgate/config"
)

// TestAtStart: an edit of a field that is read at the start alone is told by its name, any other is not.
func TestAtStart(t *testing.T) {
	t.Parallel()
	const rest = `
upstreams: [{name: a, url: "http://127.0.0.1:1"}]
routes: [{prefix: /, upstream: a}]
`
	for _, test := range []struct {
		edit string
		want []string
	}{
		{"limits: [{requests: 1/minute}]", nil},
		{"cache: {}", nil},
		{"telemetry: {usage: true}", nil},
		{`admin: {address: "127.0.0.1:9001"}`, []string{"admin"}},
		{`limit_store: {redis: "redis://127.0.0.1:1"}`, []string{"limit_store"}},
		{"cache_store: {dir: here}", []string{"cache_store"}},
		{"chat_log: {}", []string{"chat_log"}},
		{`telemetry: {access_log: /dev/stdout, traces: {endpoint: "http://127.0.0.1:1"}}`, []string{"telemetry.traces", "telemetry.access_log"}},
	} {
		before, next := parsed(t, rest), parsed(t, test.edit+rest)
		if got := atStart(before, next); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %q, want %q", test.edit, got, test.want)
		}
		if got := atStart(next, parsed(t, test.edit+rest)); got != nil {
			t.Errorf("%s: read again, %q differ", test.edit, got)
		}
	}
}

func parsed(t *testing.T, text string) *config.Config {
	t.Helper()
	c, err := config.Parse("tollgate.yaml", []byte(text), os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestPortHint: each reason has its own advice, and all name what chooses another port.
func TestPortHint(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, err := range []error{syscall.EADDRINUSE, syscall.EACCES, syscall.EADDRNOTAVAIL, syscall.EAFNOSUPPORT} {
		hint := portHint(&os.SyscallError{Syscall: "bind", Err: err}, "--here")
		if seen[hint] || hint[len(hint)-len("--here"):] != "--here" {
			t.Errorf("%v: %s", err, hint)
		}
		seen[hint] = true
	}
}
