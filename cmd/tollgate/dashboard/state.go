package dashboard

import "time"

// State is everything but what changes from second to second. Money is in US dollars, as decimals.
type State struct {
	Version  string    `json:"version"`
	Started  time.Time `json:"started"`
	Now      time.Time `json:"now"`
	Metered  bool      `json:"metered"` // telemetry.usage: without it, only refusals are counted
	Priced   bool      `json:"priced"`
	Chats    bool      `json:"chats"`   // recent ones are kept
	Guarded  bool      `json:"guarded"` // by a token
	Envoys   int       `json:"envoys"`
	Ready    bool      `json:"ready"`
	Listener string    `json:"listener"`

	Total     Totals     `json:"total"`
	Routes    []Route    `json:"routes"`
	Clients   []Client   `json:"clients"`
	More      int        `json:"more_clients"` // that are not listed
	Models    []Model    `json:"models"`
	Keys      []Key      `json:"keys"`
	Refusals  []Refusal  `json:"refusals"`
	Trouble   string     `json:"trouble,omitempty"` // why limits cannot be shown
	LastError *Reloading `json:"last_error,omitempty"`
}

// Totals are sums since the start.
type Totals struct {
	Requests uint64    `json:"requests"`
	Failed   uint64    `json:"failed"`
	Refused  uint64    `json:"refused"`
	Hits     uint64    `json:"hits"`
	Input    uint64    `json:"input_tokens"`
	Output   uint64    `json:"output_tokens"`
	Spent    string    `json:"spent_usd"`
	Saved    string    `json:"saved_usd"`
	Unknown  uint64    `json:"unknown_cost"` // requests whose cost is not known
	InFlight uint64    `json:"in_flight"`
	Last     time.Time `json:"last,omitzero"`
}

// Route is a route of the configuration in force.
type Route struct {
	Prefix    string   `json:"prefix"`
	Upstreams []string `json:"upstreams"`
	Auth      string   `json:"auth"`
	Cache     bool     `json:"cache"`
	Recorded  bool     `json:"recorded"`
	Limits    []Limit  `json:"limits"` // that all of its clients share
	Totals
}

// Client is a client of the configuration in force, or one of all that have no name.
type Client struct {
	Name   string  `json:"name"` // empty: has none
	Limits []Limit `json:"limits"`
	Totals
}

// Limit is one rate of a limit, as it stands.
type Limit struct {
	Route     string  `json:"route"` // empty: over all routes
	Of        string  `json:"of"`    // requests, tokens, cost
	Rate      string  `json:"rate"`
	Only      string  `json:"only,omitempty"` // models or a path
	Shadow    bool    `json:"shadow,omitempty"`
	Count     string  `json:"count"`
	Remaining string  `json:"remaining"`
	Left      float64 `json:"left"` // the share that remains, from 0 to 1
	Reset     float64 `json:"reset_seconds"`
}

// Model is a model that was asked for.
type Model struct {
	Name string `json:"name"`
	Totals
}

// Key is an upstream's key, by its fingerprint.
type Key struct {
	Upstream string            `json:"upstream"`
	Key      string            `json:"key"`
	Rest     float64           `json:"rest_seconds"` // 0: it does not rest
	Answers  map[string]uint64 `json:"answers"`      // by what tells of its health: 2xx, 401, 429
}

// Refusal counts refusals by route and code.
type Refusal struct {
	Route string `json:"route"`
	Code  string `json:"code"`
	Count uint64 `json:"count"`
}

// Configuration is the configuration in force, and its history, newest first.
type Configuration struct {
	Text    string      `json:"text"`
	History []Reloading `json:"history"`
}

// Reloading is one configuration that was read.
type Reloading struct {
	At      time.Time `json:"at"`
	From    string    `json:"from"`
	Version string    `json:"version,omitempty"` // of what Envoy got
	Error   string    `json:"error,omitempty"`   // why it is not in force
	Changed []string  `json:"changed,omitempty"` // lines that came (+) and went (-)
}
