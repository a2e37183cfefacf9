package config

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"

	tollgatev1 "tollgate/proto/tollgate/v1"
)

// cache is CACHE_CHAT_COMPLETION (0.6), CACHE_EMBEDDING (0.7) and CACHE_OPENAI (0.8): answers of the
// OpenAI routes, shared by all clients, for requests that say "caching": true unless
// DEFAULT_REQUEST_CACHING_VALUE says it for them.
func (v *variables) cache(m *tollgatev1.Config) {
	var apis []string
	if v.isTrue("CACHE_CHAT_COMPLETION") || v.isTrue("CACHE_OPENAI") {
		apis = append(apis, "chat")
	}
	if v.isTrue("CACHE_EMBEDDING") || v.isTrue("CACHE_OPENAI") {
		apis = append(apis, "embeddings")
	}
	if v.get("CACHE_ROUTES") != "" {
		apis = v.cachedRoutes(apis)
	}
	if len(apis) == 0 {
		return
	}
	m.Cache = &tollgatev1.Cache{Scope: "route", Apis: apis, OptIn: !v.isTrue("DEFAULT_REQUEST_CACHING_VALUE")}
	m.CacheStore = v.cacheStore()
}

// cachedRoutes is CACHE_ROUTES (0.7): of the APIs that are cached only those whose paths it names.
func (v *variables) cachedRoutes(apis []string) []string {
	const name = "CACHE_ROUTES"
	var routes []string
	if err := json.Unmarshal([]byte(v.get(name)), &routes); err != nil {
		v.problem(name, `must be a JSON list of paths, such as ["/v1/chat/completions", "/v1/embeddings"]`)
	}
	ends := map[string]string{"chat": "/chat/completions", "embeddings": "/embeddings"}
	return slices.DeleteFunc(apis, func(api string) bool {
		return !slices.ContainsFunc(routes, func(route string) bool { return strings.HasSuffix(route, ends[api]) })
	})
}

// cacheStore is CACHE_BACKEND. The embedded stores that OpenAI-Forward knows all mean a directory,
// below CACHE_ROOT_PATH_OR_URL.
func (v *variables) cacheStore() *tollgatev1.CacheStore {
	const name = "CACHE_BACKEND"
	switch strings.ToUpper(v.get(name)) {
	case "", "MEMORY":
		return nil
	case "LMDB", "ROCKSDB", "LEVELDB":
		return &tollgatev1.CacheStore{Dir: filepath.Join(v.get("CACHE_ROOT_PATH_OR_URL"), "tollgate-cache")}
	}
	v.problem(name, "is none of MEMORY, LMDB, ROCKSDB and LEVELDB, the stores that are known here; the last three are one here, a directory")
	return nil
}
