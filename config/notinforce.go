package config

// notInForce says of each variable that is set and has no effect what that means. Where going on
// without it would send requests elsewhere or let in whom it keeps out, it is a problem.
//
// Silent are those that say where the chats are (CHAT_COMPLETION_ROUTE ...), which is known by the
// path's end, and ITER_CHUNK_TYPE: bytes always travel on as they arrive.
func (v *variables) notInForce() {
	for _, s := range []struct{ name, effect string }{
		{"LOG_GENERAL", "requests are not logged"},
		{"CACHE_GENERAL", "answers of the extra routes are not cached"},
		{"BENCHMARK_MODE", "/benchmark is not served; `tollgate mock` serves it on a port of its own"},
	} {
		if v.isTrue(s.name) {
			v.warn("%s is not in force in this version: %s", s.name, s.effect)
		}
	}
	for _, name := range []string{"OPENAI_API_KEY_CONFIG", "FORWARD_KEY_CONFIG", "LEVEL_MODELS"} {
		if value := v.get(name); value != "" && value != "{}" {
			v.problem(name, "is of OpenAI-Forward 0.7 or later and not understood in this version, and going on without it would let pass whom it keeps out: write upstreams, routes and clients into a tollgate.yaml")
		}
	}
}
