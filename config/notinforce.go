package config

// notInForce says of each variable that is set and has no effect what that means.
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
}
