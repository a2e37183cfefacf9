package openai

import (
	"net/url"
	"strings"
)

// APIOf names the API of a path: below a route's prefix or with it, without the query. Only its end
// counts, so that it holds for /v1/…, /openai/deployments/x/… and whatever else upstreams put before.
// Escapes count as what they stand for: upstreams undo them before they look.
func APIOf(path string) API {
	if plain, err := url.PathUnescape(path); err == nil {
		path = plain
	}
	path = strings.TrimRight(path, "/")
	rest, last := cutLast(path)
	_, above := cutLast(rest)
	switch last {
	case "completions":
		if above == "chat" {
			return Chat
		}
		return Completions
	case "responses":
		return Responses
	case "embeddings":
		return Embeddings
	case "transcriptions", "translations":
		if above == "audio" {
			return Transcriptions
		}
	case "messages":
		if threads(rest) {
			return Other
		}
		return Messages
	}
	return Other
}

// threads tells whether the path above /messages is the Assistants API's, /threads/{id}: those
// messages are a list of objects, not Anthropic's.
func threads(rest string) bool {
	above, _ := cutLast(rest)
	_, name := cutLast(above)
	return name == "threads"
}

// cutLast takes the last segment off a path. Slashes that are repeated count as one.
func cutLast(path string) (rest, last string) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", path
	}
	return strings.TrimRight(path[:i], "/"), path[i+1:]
}
