package auth

import (
	"strings"

	"tollgate/config"
	"tollgate/extproc/exchange"
)

const (
	// protocols carries a WebSocket's subprotocols; browsers can send a realtime key only there.
	protocols = "sec-websocket-protocol"

	// keyProtocol begins the subprotocol that is a key.
	keyProtocol = "openai-insecure-api-key."

	// searchable is the length from which a key is looked for inside other values. A shorter one
	// ("123") would be found where it is not meant.
	searchable = 8
)

// places are the headers in which clients show keys, in the order in which they are believed:
// OpenAI's, Anthropic's, Azure's, Google's.
func places() [4]string {
	return [...]string{"authorization", "x-api-key", "api-key", "x-goog-api-key"}
}

// credential is a key, and the header that it was shown in.
type credential struct{ header, key string }

// find collects the keys that a request shows, best place first.
func find(request *exchange.Request) []credential {
	var shown []credential
	for _, place := range places() {
		for _, h := range request.Headers {
			if h.Name != place {
				continue
			}
			key := strings.TrimSpace(h.Value)
			if place == "authorization" {
				key = exchange.BearerToken(key)
			}
			if key != "" {
				shown = append(shown, credential{place, key})
			}
		}
	}
	for protocol := range strings.SplitSeq(request.Get(protocols), ",") {
		if key, ok := strings.CutPrefix(strings.TrimSpace(protocol), keyProtocol); ok && key != "" {
			shown = append(shown, credential{protocols, key})
		}
	}
	return shown
}

// carries tells whether a header is a place for keys or holds a copy of one that was shown.
func carries(h exchange.Header, shown []credential) bool {
	if strings.HasPrefix(h.Name, ":") {
		return false
	}
	for _, place := range places() {
		if h.Name == place {
			return true
		}
	}
	for _, c := range shown {
		if h.Value == c.key || len(c.key) >= searchable && strings.Contains(h.Value, c.key) {
			return true
		}
	}
	return false
}

// swapProtocol replaces the key among a WebSocket's subprotocols, or takes it out.
func swapProtocol(list string, key config.Secret, ok bool) string {
	var kept []string
	for protocol := range strings.SplitSeq(list, ",") {
		protocol = strings.TrimSpace(protocol)
		if !strings.HasPrefix(protocol, keyProtocol) {
			kept = append(kept, protocol)
		} else if ok {
			kept = append(kept, keyProtocol+key.Reveal())
		}
	}
	return strings.Join(kept, ", ")
}
