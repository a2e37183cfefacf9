package mock

import (
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Options says what the mock is to be like.
type Options struct {
	// Keys are the keys that it accepts, in authorization (Bearer), x-api-key, api-key or a
	// WebSocket's subprotocol; everything else is a 401. None: everyone may call.
	Keys []string
}

// Server is the mock, an [http.Handler].
type Server struct {
	keys   map[string]bool
	routes []route

	mu       sync.Mutex
	requests []*Request
	steps    map[string]chan struct{}
	times    map[string]int64 // how often orders with this name came
	files    []file
	busy     int           // requests that are being answered
	ended    chan struct{} // closed when the next one has been
}

// New makes a mock.
func New(opts Options) *Server {
	s := &Server{keys: make(map[string]bool), steps: make(map[string]chan struct{}), times: make(map[string]int64), ended: make(chan struct{})}
	for _, key := range opts.Keys {
		s.keys[key] = true
	}
	s.routes = routes()
	return s
}

// route is one path. A segment * stands for any one segment, ** at the end for all that may follow.
type route struct {
	method string // "": any
	path   string
	handle func(*call)
}

// routes is the table of contents.
func routes() []route {
	return []route{
		{"POST", "/v1/chat/completions", (*call).chat},
		{"POST", "/v1/completions", (*call).completions},
		{"POST", "/v1/embeddings", (*call).embeddings},
		{"POST", "/v1/responses", (*call).responses},
		{"POST", "/v1/images/generations", (*call).images},
		{"POST", "/v1/audio/transcriptions", (*call).transcription},
		{"POST", "/v1/audio/speech", (*call).speech},
		{"POST", "/v1/files", (*call).uploadFile},
		{"GET", "/v1/files", (*call).listFiles},
		{"GET", "/v1/files/*", (*call).showFile},
		{"GET", "/v1/files/*/content", (*call).fileContent},
		{"DELETE", "/v1/files/*", (*call).deleteFile},
		{"GET", "/v1/models", (*call).listModels},
		{"GET", "/v1/models/*", (*call).showModel},
		{"POST", "/v1/messages", (*call).messages},
		{"GET", "/v1/realtime", (*call).realtime},
		{"POST", "/benchmark/v1/chat/completions", (*call).benchmark},
		{"", "/echo/**", (*call).echo},
	}
}

// ServeHTTP answers one request: it looks at the orders, then at the key, then at the path.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.enter()
	defer s.leave()
	c := s.begin(w, r)
	orders, err := parseOrders(r.Header)
	if err != nil {
		c.fail(http.StatusBadRequest, apiError{Message: err.Error(), Type: "invalid_request_error", Code: new("bad_mock_header")})
		return
	}
	c.orders = s.inForce(orders, r.Header)
	switch {
	case !s.knows(r.Header):
		c.fail(http.StatusUnauthorized, apiError{
			Message: "Incorrect API key provided.", Type: "invalid_request_error", Code: new("invalid_api_key"),
		})
	case c.orders.status >= http.StatusBadRequest:
		c.fail(c.orders.status, errorOf(c.orders.status))
	default:
		s.find(r)(c)
	}
}

// inForce gives the orders if they hold for a request, else none.
func (s *Server) inForce(o orders, h http.Header) orders {
	if o.forKey != "" && !slices.Contains(shownKeys(h), o.forKey) {
		return orders{size: -1}
	}
	if o.times == "" {
		return o
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.times[o.times]++
	if s.times[o.times] > o.most {
		return orders{size: -1}
	}
	return o
}

// find chooses the handler by the path as it was sent, so that an escaped slash is no slash.
func (s *Server) find(r *http.Request) func(*call) {
	known := false
	for _, route := range s.routes {
		if !matches(route.path, r.URL.EscapedPath()) {
			continue
		}
		// HEAD is asked of what can be got.
		if route.method == "" || route.method == r.Method || route.method == "GET" && r.Method == "HEAD" {
			return route.handle
		}
		known = true
	}
	status, message := http.StatusNotFound, "Invalid URL"
	if known {
		status, message = http.StatusMethodNotAllowed, "Not allowed to use this method on this URL"
	}
	return func(c *call) {
		c.fail(status, apiError{Message: message + " (" + r.Method + " " + r.URL.EscapedPath() + ")", Type: "invalid_request_error"})
	}
}

func matches(pattern, path string) bool {
	if prefix, open := strings.CutSuffix(pattern, "/**"); open {
		rest, ok := strings.CutPrefix(path, prefix)
		return ok && (rest == "" || rest[0] == '/')
	}
	want, got := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		if want[i] != got[i] && (want[i] != "*" || got[i] == "") {
			return false
		}
	}
	return true
}

// knows tells whether one of the keys was sent.
func (s *Server) knows(h http.Header) bool {
	if len(s.keys) == 0 {
		return true
	}
	for _, shown := range shownKeys(h) {
		if s.keys[shown] {
			return true
		}
	}
	return false
}

// shownKeys collects the keys that a request shows.
func shownKeys(h http.Header) []string {
	shown := append(h.Values("x-api-key"), h.Values("api-key")...)
	for _, value := range h.Values("authorization") {
		if scheme, key, ok := strings.Cut(value, " "); ok && strings.EqualFold(scheme, "bearer") {
			shown = append(shown, key)
		}
	}
	for _, value := range h.Values("sec-websocket-protocol") {
		for protocol := range strings.SplitSeq(value, ",") {
			if key, ok := strings.CutPrefix(strings.TrimSpace(protocol), "openai-insecure-api-key."); ok {
				shown = append(shown, key)
			}
		}
	}
	return shown
}
