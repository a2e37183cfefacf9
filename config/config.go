// Package config reads Tollgate's configuration and turns it into values that the rest of the
// program can trust.
//
// There are two ways in and one meaning. [Load] reads tollgate.yaml; [LoadEnv] reads the
// environment variables and the .env file of OpenAI-Forward. Both fill the same protobuf message
// (proto/tollgate/v1/config.proto, the user's reference), and resolve turns that into a *[Config]:
// addresses, durations and URLs parsed, keys read, routes sorted, references followed. No other
// package sees the message.
//
// A *Config is immutable. A change of the file is a new *Config (see [Watch]).
//
// What is wrong is told as [Problems]: each with the file, line, column and field, and what would
// be right. Nothing unknown is passed over, and no error holds a key.
package config

import (
	"crypto/sha256"
	"net/netip"
	"reflect"
	"regexp"
	"time"
)

// Config is everything that Tollgate was told, resolved. Never write to it.
type Config struct {
	// Source names where the configuration came from, for people: a file's path, or the environment.
	Source string

	Listener  Listener
	Admin     Admin
	Upstreams []*Upstream // in the order of the file
	Routes    []*Route    // the longest prefix first, so that the first match is the right one
	Clients   []*Client   // in the order of the file
	Groups    []Group     // of Envoys; none: every Envoy gets everything

	Prices Prices

	LimitStore LimitStore
	CacheStore CacheStore

	ChatLog *ChatLog // nil: nothing is recorded
	Usage   bool     // whether answers are read to count tokens
	Traces  *Traces  // nil: no spans

	// Text gives the whole of it as YAML, for operators: secrets are fingerprints.
	Text func() string `json:"-"`

	// Warnings are sentences that whoever starts Tollgate should read: doors that stand open,
	// settings that have no effect.
	Warnings []string

	// Files are what the configuration was read from: the file that it stands in, then those that it names, whose
	// content is part of it.
	Files []File

	clients map[Digest]*Client
}

// Equal tells whether two configurations mean the same.
func (c *Config) Equal(other *Config) bool {
	a, b := *c, *other
	a.Text, b.Text = nil, nil // the same can be written in several ways
	a.Files, b.Files = nil, nil
	return samePaths(c.Files, other.Files) && reflect.DeepEqual(a, b)
}

// Client returns the client to whom a forward key belongs. The key is looked up by its SHA-256
// digest, so the time that a look-up takes tells nothing about the keys that exist.
func (c *Config) Client(key string) (*Client, bool) {
	client, ok := c.clients[sha256.Sum256([]byte(key))]
	return client, ok
}

// Listener is where clients connect.
type Listener struct {
	Address      netip.AddrPort
	TLS          *Certificate // nil: plain HTTP
	TrustedHops  uint32       // proxies of the operator's own in front of Tollgate
	CORS         bool         // whether Tollgate answers cross-origin requests itself
	AllowOrigins []string     // origins that CORS allows; empty: all
	IdleTimeout  time.Duration
	AccessLog    string // a file on Envoy's machine; empty: none

	MaxBody        uint64        // bytes of a request's body, on routes that do not say otherwise
	RequestTimeout time.Duration // until a request has arrived
	MaxConnections uint32        // clients that are connected; 0: as many as Envoy bears
	HTTP3          bool          // as well, on the same port of UDP
}

// Certificate is a certificate chain and its private key, both PEM.
type Certificate struct {
	Chain      string
	PrivateKey Secret

	// ClientCA is PEM: the authorities of whom the other side must show a certificate; empty: it need not.
	ClientCA string
}

// Upstream is an API service that requests are forwarded to.
type Upstream struct {
	Name           string
	TLS            bool
	Host           string // a DNS name, or an IP address without brackets
	Port           uint16
	BasePath       string // put before every path; empty, or begins with / and does not end with it
	Keys           []Secret
	KeyHeader      string       // lower case; empty: the header in which the client's key came
	CA             string       // PEM; empty: the system's certificate authorities
	ServerName     string       // for SNI and the check of the certificate
	Certificate    *Certificate // what it is shown; nil: nothing
	ConnectTimeout time.Duration
	Proxy          netip.AddrPort // an HTTP proxy on the way; the zero value: none
	HealthCheck    *HealthCheck   // nil: it is not asked

	// How many connections there may be, requests under way, and requests that wait for a connection; 0: any
	// number.
	MaxConnections, MaxRequests, MaxPending uint32

	// Rename are models that have other names there: see ModelName.
	Rename []Rename
}

// Route is a path prefix and what happens below it.
type Route struct {
	// ID is what Envoy and the gate call the route: its prefix and a hash of what both must agree
	// on, the upstreams and what Envoy sends to the gate. A request that Envoy matched by an older
	// configuration can so never get the key of another upstream. It holds no secret.
	ID string

	// Prefix is the path's beginning: "/" or one or more segments without a final slash.
	Prefix string

	// Groups are the groups of Envoys that have the route; none: all.
	Groups []string

	// Choices are where requests go, by their models and clients: the last is for all that no other is for.
	// There is at least one.
	Choices []Choice

	Auth   Auth
	IP     IPRules // of this route
	ForAll IPRules // of all routes; both must let an address pass

	// Identified tells that the configuration names clients, so that a key may be one of theirs.
	Identified bool

	// Limits are the route's: see LimitsOf.
	Limits []Limit

	// FirstLimit says that of the limits that match a request the first of a kind counts alone: they are
	// those for all routes that name none of their own.
	FirstLimit bool

	// Prices are what models cost: those of all routes.
	Prices Prices

	// MaxInFlight is how many calls may be under way at once; 0: any number.
	MaxInFlight int

	// MaxBody is how many bytes a request's body may have.
	MaxBody uint64

	// AnswerTokens is reserved for an answer whose request does not say how long it may be.
	AnswerTokens uint64

	// ExactUsage has the upstream asked for the tokens of streams whose clients do not ask.
	ExactUsage bool

	// Pace is how fast streamed answers go to their clients: see PaceOf.
	Pace []Pace

	// Cache is how answers are kept and given again; nil: they are not.
	Cache *Cache

	// Retry is how requests are tried again.
	Retry Retry

	// Guests are what the rules of the clients who can call the route need.
	Guests Guests

	// Log tells whether chats are recorded, Metered whether answers are read for metrics, Traced
	// whether calls have spans.
	Log, Metered, Traced bool

	// NameModels tells whether Envoy's access log names the model of each request.
	NameModels bool

	// ForwardClientAddress tells the upstream who called, by x-forwarded-for and -proto.
	ForwardClientAddress bool
}

// Auth says who may pass a route.
type Auth string

// The values of Route.auth in the schema, where each is explained.
const (
	AuthRequired    Auth = "required"
	AuthPassthrough Auth = "passthrough"
	AuthOpen        Auth = "open"
)

// ChatLog is how chats are recorded.
type ChatLog struct {
	Dir          string
	MaxFileBytes int64
	MaxFiles     int // full ones of each kind; 0: all
	Location     *time.Location
	Redact       []*regexp.Regexp
	DropFields   []string
	Sample       float64 // 0 to 1
	Print        bool    // to standard output, too
}

// Traces is where spans go.
type Traces struct {
	Endpoint string // empty: as the OTEL_* variables say

	// Collector is the endpoint, for Envoy's own spans; nil where no endpoint is written: Envoy does
	// not know this process's environment.
	Collector *Upstream

	Protocol string  // grpc or http/protobuf; empty: as the OTEL_* variables say
	Sample   float64 // 0 to 1; negative: as the OTEL_* variables say
	Prompts  bool
}

// Client is someone who may call.
type Client struct {
	Name        string
	Models      Patterns // that may be asked for
	Limits      []Limit  // over all routes
	MaxInFlight int      // calls under way at once; 0: any number
}

// Guests is what the rules of some clients need on a route that they can call.
type Guests struct {
	Models  bool // some may not ask for every model, or have limits of some
	Limited bool // some have limits
	Tokens  bool // some have limits of tokens or cost
	Ends    bool // some have limits for which the end of a call must be seen
}

// Digest is the SHA-256 of a key.
type Digest = [sha256.Size]byte
