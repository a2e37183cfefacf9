package config_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tollgate/config"
)

// TestNamed: Envoy's name for a route, and a request's path, lead to one route or to none.
func TestNamed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, path string
		want       config.RouteKey
	}{
		{"/a@12", "/b", config.RouteKey{Prefix: "/a", Agreed: "12"}}, // Envoy has looked at the path
		{"/@12", "/b", config.RouteKey{Prefix: "/", Agreed: "12"}},
		{"/a@b/*@12", "", config.RouteKey{Prefix: "/a@b/*", Agreed: "12"}},
		{"*@12.3", "/a", config.RouteKey{Prefix: "/a", Agreed: "12"}},
		{"*@12.3", "/a/", config.RouteKey{Prefix: "/a", Agreed: "12"}},
		{"*@12.3", "/a?b=/c", config.RouteKey{Prefix: "/a", Agreed: "12"}},
		{"*@12.3", "/a/b@34.5/c", config.RouteKey{Prefix: "/a", Agreed: "12"}},
		{"*/*@12.3", "/a/b/c", config.RouteKey{Prefix: "/a/b", Agreed: "12"}},
		{"*/*@12.3", "/a/b", config.RouteKey{Prefix: "/a/b", Agreed: "12"}},
		{"*/*@12.3", "/a", config.RouteKey{}},
		{"*/*@12.3", "/a/", config.RouteKey{}},
		{"*/*@12.3", "/a?/b", config.RouteKey{}},
		{"*@12.3", "/", config.RouteKey{}},
		{"*@12.3", "//a", config.RouteKey{}},
		{"*@12.3", "a", config.RouteKey{}},
		{"*@12.3", "*", config.RouteKey{}},
		{"*@12.3", "", config.RouteKey{}},
		{"nowhere", "/a", config.RouteKey{}},
		{"", "/a", config.RouteKey{}},
	} {
		require.Equal(t, tt.want, config.Named(tt.name, tt.path), "%s on %s", tt.name, tt.path)
	}
}

// FuzzNamed: a path is of a route of many only if the route's prefix is whole segments of it.
func FuzzNamed(f *testing.F) {
	f.Add("/a", "/a/b?c")
	f.Add("/a/b", "/a/b")
	f.Add("/a", "/a//b")
	f.Fuzz(func(t *testing.T, prefix, path string) {
		if strings.Contains(prefix, "@") || strings.Contains(path, "@") || !strings.HasPrefix(prefix, "/") {
			t.Skip()
		}
		key := config.RouteKey{Prefix: prefix, Agreed: "12"}
		name := config.NameOfMany(key, "3")
		require.True(t, config.NamesMany(name))
		got := config.Named(name, path)
		if got == (config.RouteKey{}) {
			return
		}
		require.Equal(t, "12", got.Agreed)
		require.Equal(t, strings.Count(prefix, "/"), strings.Count(got.Prefix, "/"))
		bare, _, _ := strings.Cut(path, "?")
		require.True(t, bare == got.Prefix || strings.HasPrefix(bare, got.Prefix+"/"), "%q is no prefix of %q", got.Prefix, path)
		require.NotContains(t, got.Prefix+"/", "//")
	})
}
