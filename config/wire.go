package config

import "strconv"

// What Envoy's filters (package xds) and the gate (package extproc) say to each other about a
// route, beside [Route.ID].
const (
	// RouteHeader is the gRPC metadata that tells the gate a request's route, by Envoy's name for it: its ID, or
	// one of many (see Named). It is the header of a shared call that tells Envoy the same.
	RouteHeader = "tollgate-route"

	// SaidRouteKey is a route's ID in the namespace of what the gate says of a request, where Envoy's name for it
	// stands for many: on its way to the upstream the request has another path.
	SaidRouteKey = "route"

	// NowhereHeader marks the answer to a shared call on a route that Envoy does not know.
	NowhereHeader = "tollgate-nowhere"

	// UpstreamHeader is the gRPC metadata that tells which upstream an attempt goes to, by its name. Only
	// attempts and their answers have it.
	UpstreamHeader = "tollgate-upstream"

	// BodyHeader is the gRPC metadata of attempts that depend on the request's body: the gate may ask for it.
	BodyHeader = "tollgate-body"

	// ToldHeader begins the headers by which a shared call tells what the gate says of others as metadata,
	// each followed by its key.
	ToldHeader = "tollgate-told-"

	// AddressHeader is the gRPC metadata that tells the gate the client's address.
	AddressHeader = "tollgate-address"

	// CallHeader is the gRPC metadata that tells the tap the id by which it finds what the gate knows of a
	// request: what CallKey holds.
	CallHeader = "tollgate-call"

	// MetadataNamespace is where Envoy keeps what the gate says of a request.
	MetadataNamespace = "tollgate"

	// VerdictKey is the gate's verdict in that namespace: VerdictPass opens Envoy's lock;
	// VerdictRefuse and VerdictAnswer mark an error and an answer of the gate's own, which Envoy leaves as
	// they are.
	VerdictKey    = "verdict"
	VerdictPass   = "pass"
	VerdictRefuse = "refuse"
	VerdictAnswer = "answer"

	// OnceKey tells Envoy to choose the route's variant without retries, in that namespace: "1", for a
	// request with trailers whose body went by way of the gate. Envoy would send such a body twice, in one
	// attempt (envoyproxy/envoy#45470).
	OnceKey = "once"

	// KeyKey is the fingerprint of the upstream's key that the latest attempt went with, IntoKey the header
	// that holds the key, in that namespace, on routes whose attempts are asked about.
	KeyKey  = "key"
	IntoKey = "into"

	// UpstreamKey is the name of the upstream that the latest attempt went to, in that namespace, where there
	// are several.
	UpstreamKey = "upstream"

	// LeadKey tells Envoy to choose the route's variant for a lead, in that namespace: see LeadID.
	LeadKey = "lead"

	// OwnKey tells Envoy to choose the route's variant for a request that travels with its client's own key,
	// in that namespace: "1".
	OwnKey = "own"

	// WaitHeader tells Envoy, on an upstream's answer, how many seconds to wait before the next attempt. No
	// client sees it.
	WaitHeader = "x-tollgate-wait"

	// CallKey is the id of a request that the tap is to follow, in that namespace.
	CallKey = "call"

	// LimitKey, RemainingKey and ResetKey, each followed by OfRequests or OfTokens, are the headroom of a
	// limited request, for the x-ratelimit-* headers of its answer, in that namespace.
	LimitKey     = "limit-"
	RemainingKey = "remaining-"
	ResetKey     = "reset-"

	// CacheKey is what the cache did (hit, miss, collapsed, bypass), for the access log, and
	// CacheStatusKey the same as the answer's Cache-Status header (RFC 9211), in that namespace.
	CacheKey       = "cache"
	CacheStatusKey = "cache-status"

	// ShadowKey tells, for the access log, that a limit which is tried out would have refused the request.
	ShadowKey = "shadow"

	// ClientKey and ModelKey are the client's name and the model asked for in that namespace, for the
	// access log.
	ClientKey = "client"
	ModelKey  = "model"
)

// AskedPath is a regular expression (RE2) for the paths, with their query, of the APIs whose requests
// can be read, wherever they are: package openai's APIOf names them. A path with an escape is one of
// them, too: upstreams undo escapes before they look.
const AskedPath = `[^?]*(%|/(completions|responses|embeddings|messages|transcriptions|translations)/*(\?|$)).*`

// HopHeaders are what an upstream must not learn of the way before it, nor get from a client: who called
// whom, credentials for proxies, and what Envoy notes for itself.
func HopHeaders() []string {
	return []string{
		"forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto", "x-real-ip",
		"proxy-authorization",
		"x-envoy-internal", "x-envoy-external-address",
	}
}

// KeyPlaces are the headers in which clients show keys, in the order in which they are believed: OpenAI's,
// Anthropic's, Azure's, Google's.
func KeyPlaces() [4]string {
	return [...]string{"authorization", "x-api-key", "api-key", "x-goog-api-key"}
}

// ProtocolsHeader carries a WebSocket's subprotocols; browsers can send a realtime key only there.
const ProtocolsHeader = "sec-websocket-protocol"

// LeadID names a lead: the number of a route's choice, and that of the target in it where requests begin.
// Without one, they begin at the first target of the last choice.
func LeadID(choice, target int) string { return strconv.Itoa(choice) + "." + strconv.Itoa(target) }
