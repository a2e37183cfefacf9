package config

import (
	"maps"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
)

// variableNames are all names that OpenAI-Forward's versions give a meaning to.
func variableNames() []string {
	return []string{
		"BENCHMARK_MODE", "CACHE_BACKEND", "CACHE_CHAT_COMPLETION", "CACHE_EMBEDDING", "CACHE_GENERAL", "CACHE_OPENAI",
		"CACHE_ROOT_PATH_OR_URL", "CACHE_ROUTES", "CHAT_COMPLETION_ROUTE", "COMPLETION_ROUTE", "CUSTOM_GENERAL_ROUTE",
		"CUSTOM_MODEL_CONFIG", "DEFAULT_REQUEST_CACHING_VALUE", "DEFAULT_STREAM_RESPONSE", "EMBEDDING_ROUTE",
		"EXTRA_BASE_URL", "EXTRA_ROUTE_PREFIX", "FORWARD_CONFIG", "FORWARD_KEY", "FORWARD_KEY_CONFIG", "GLOBAL_RATE_LIMIT",
		"IP_BLACKLIST", "IP_WHITELIST", "ITER_CHUNK_TYPE", "LEVEL_MODELS", "LOG_CACHE_DB_INFO", "LOG_CHAT", "LOG_GENERAL",
		"LOG_OPENAI", "OPENAI_API_KEY", "OPENAI_API_KEY_CONFIG", "OPENAI_BASE_URL", "OPENAI_ROUTE_PREFIX", "PRINT_CHAT",
		"PROXY", "RATE_LIMIT_STRATEGY", "REQ_RATE_LIMIT", "REQ_RATE_LIMIT_BACKEND", "ROUTE_PREFIX", "TIMEOUT",
		"TOKEN_RATE_LIMIT", "TZ", "WEBUI_LOG_PORT", "WEBUI_RESTART_PORT", "ssl_certfile", "ssl_keyfile",
	}
}

// unknown warns of names in the file that look like a known one. Others are other programs' business: a .env is
// often shared.
func (v *variables) unknown() {
	known := variableNames()
	for _, name := range slices.Sorted(maps.Keys(v.fromFile)) {
		if slices.Contains(known, name) {
			continue
		}
		if meant := nearestName(name, known); meant != "" {
			v.warn("%s:%d: %s has no effect; did you mean %s?", v.file, v.fromFile[name].line, name, meant)
		}
	}
}

// nearestName is the one of the right names that differs in two letters at most, not counting their case; empty: there
// is none.
func nearestName(wrong string, right []string) string {
	const slips = 2
	best, distance := "", slips+1
	for _, name := range right {
		if d := levenshtein.Distance(strings.ToLower(wrong), strings.ToLower(name), nil); d < distance && len(name) > 2*slips {
			best, distance = name, d
		}
	}
	return best
}
