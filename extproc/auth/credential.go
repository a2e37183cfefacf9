package auth

import (
	"strings"

	"tollgate/config"
	"tollgate/extproc/exchange"
)

const (
	protocols = config.ProtocolsHeader

	// keyProtocol begins the subprotocol that is a key.
	keyProtocol = "openai-insecure-api-key."

	// searchable is the length from which a key is looked for inside other values. A shorter one
	// ("123") would be found where it is not meant.
	searchable = 8
)

// credential is a key, and the header that it was shown in.
type credential struct{ header, key string }

// find collects the keys that a request shows, best place first.
func find(request *exchange.Request) []credential {
	var shown []credential
	for _, place := range config.KeyPlaces() {
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
	for _, place := range config.KeyPlaces() {
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

// swapProtocol puts the key among the subprotocols where ok, in the place of those that are there; else it
// takes them out.
func swapProtocol(offered []string, shown []credential, key Key, ok bool) string {
	var kept []string
	for _, protocol := range offered {
		switch {
		case strings.HasPrefix(protocol, keyProtocol):
			if ok {
				kept = append(kept, keyProtocol+key.Reveal())
				ok = false
			}
		case !copies(protocol, shown):
			kept = append(kept, protocol)
		}
	}
	if ok {
		kept = append(kept, keyProtocol+key.Reveal())
	}
	return strings.Join(kept, ", ")
}
