package auth

import (
	"strings"

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
	for _, protocol := range subprotocols(request) {
		if key, ok := strings.CutPrefix(protocol, keyProtocol); ok && key != "" {
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
	return copies(h.Value, shown)
}

// copies tells whether a value is, or holds, one of the keys that were shown.
func copies(value string, shown []credential) bool {
	for _, c := range shown {
		if value == c.key || len(c.key) >= searchable && strings.Contains(value, c.key) {
			return true
		}
	}
	return false
}

// subprotocols lists what a WebSocket's client offers.
func subprotocols(request *exchange.Request) []string {
	var list []string
	for _, h := range request.Headers {
		if h.Name != protocols {
			continue
		}
		for protocol := range strings.SplitSeq(h.Value, ",") {
			list = append(list, strings.TrimSpace(protocol))
		}
	}
	return list
}

// swapProtocol replaces the key among the subprotocols where ok, else takes it out.
func swapProtocol(offered []string, shown []credential, key Key, ok bool) string {
	var kept []string
	for _, protocol := range offered {
		switch {
		case strings.HasPrefix(protocol, keyProtocol):
			if ok {
				kept = append(kept, keyProtocol+key.Reveal())
			}
		case !copies(protocol, shown):
			kept = append(kept, protocol)
		}
	}
	return strings.Join(kept, ", ")
}
