package config

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	tollgatev1 "tollgate/proto/tollgate/v1"
)

// The defaults that the schema names.
const (
	DefaultListen         = "0.0.0.0:8000"
	DefaultAdmin          = "127.0.0.1:8001"
	DefaultConnectTimeout = 10 * time.Second
	DefaultIdleTimeout    = time.Hour
	DefaultRequestTimeout = time.Hour
	DefaultMaxBody        = 1 << 30
)

// resolver turns a valid message into a Config, collecting what is wrong on the way.
type resolver struct {
	message   *tollgatev1.Config
	config    *Config
	upstreams map[string]*Upstream
	problems  Problems
	agreed    map[simple]string // see identity
}

// resolve parses and links everything that the schema's own rules cannot check.
func resolve(message *tollgatev1.Config) (*Config, Problems) {
	r := &resolver{
		message:   message,
		config:    &Config{clients: map[Digest]*Client{}},
		upstreams: map[string]*Upstream{},
		agreed:    map[simple]string{},
	}
	r.config.Listener = r.listener("listener", message.GetListener())
	r.groups()
	r.admin()
	r.clients()
	for i, u := range message.GetUpstreams() {
		r.upstream(fmt.Sprintf("upstreams[%d]", i), u)
	}
	r.config.Prices = r.prices()
	r.observers()
	r.limitStore()
	r.cacheStore()
	r.routes()
	if len(r.problems) > 0 {
		return nil, r.problems
	}
	r.warn()
	r.warnOfBudgets()
	return r.config, nil
}

func (r *resolver) problem(field, format string, args ...any) {
	r.problems = append(r.problems, Problem{Field: field, Message: fmt.Sprintf(format, args...)})
}

func (r *resolver) listener(field string, m *tollgatev1.Listener) Listener {
	return Listener{
		Address:      r.address(field+".address", m.GetAddress(), DefaultListen),
		TLS:          r.serverCertificate(field+".tls", m.GetTls()),
		TrustedHops:  m.GetTrustedHops(),
		CORS:         !m.GetCors().GetDisabled(),
		AllowOrigins: m.GetCors().GetAllowOrigins(),
		IdleTimeout:  duration(m.GetIdleTimeout(), DefaultIdleTimeout),
		AccessLog:    r.message.GetTelemetry().GetAccessLog(),

		MaxBody:        cmp.Or(m.GetMaxBodyBytes(), DefaultMaxBody),
		RequestTimeout: duration(m.GetRequestTimeout(), DefaultRequestTimeout),
		MaxConnections: m.GetMaxConnections(),
		HTTP3:          r.http3(field, m),
	}
}

func (r *resolver) http3(field string, m *tollgatev1.Listener) bool {
	switch {
	case m.GetHttp3() && m.GetTls() == nil:
		r.problem(field+".http3", "needs tls: HTTP/3 is never spoken in the clear")
	case m.GetHttp3() && m.GetTls().GetClientCaFile() != "":
		r.problem(field+".http3", "stands beside tls.client_ca_file, and Envoy cannot ask for a client's certificate by HTTP/3: leave one of them out")
	}
	return m.GetHttp3()
}

func (r *resolver) upstream(field string, m *tollgatev1.Upstream) {
	if r.upstreams[m.GetName()] != nil {
		r.problem(field+".name", "a second upstream called %q", m.GetName())
	}
	u, err := parseURL(m.GetUrl())
	if err != nil {
		r.problem(field+".url", "%s", err)
		u = &Upstream{}
	}
	u.Name = m.GetName()
	u.KeyHeader = m.GetKeyHeader()
	u.ServerName = cmp.Or(m.GetServerName(), u.Host)
	u.ConnectTimeout = duration(m.GetConnectTimeout(), DefaultConnectTimeout)
	if m.GetCaFile() != "" {
		u.CA = r.authorities(field+".ca_file", m.GetCaFile())
	}
	if m.GetClientCertificate() != nil {
		u.Certificate = r.certificate(field+".client_certificate", m.GetClientCertificate())
	}
	if err == nil && !u.TLS && (m.GetCaFile() != "" || m.GetServerName() != "" || u.Certificate != nil) {
		r.problem(field+".url", "ca_file, server_name and client_certificate are for https:// upstreams")
	}
	u.HealthCheck = healthCheck(m.GetHealthCheck())
	for _, rename := range m.GetRename() {
		u.Rename = append(u.Rename, Rename{Pattern: rename.GetModel(), To: rename.GetTo()})
	}
	u.MaxConnections, u.MaxRequests, u.MaxPending = m.GetMaxConnections(), m.GetMaxRequests(), m.GetMaxPending()
	if m.GetProxy() != "" {
		u.Proxy = r.proxy(field+".proxy", m.GetProxy())
	}
	for i, key := range m.GetKeys() {
		at := fmt.Sprintf("%s.keys[%d]", field, i)
		secret := r.secret(at, key)
		if slices.ContainsFunc(u.Keys, func(k Secret) bool { return k.Reveal() != "" && k.Reveal() == secret.Reveal() }) {
			r.problem(at, "the same key a second time: each takes one turn")
		}
		u.Keys = append(u.Keys, secret)
	}
	r.upstreams[u.Name] = u
	r.config.Upstreams = append(r.config.Upstreams, u)
}

func (r *resolver) routes() {
	forAll := r.ipRules("ip", r.message.GetIp())
	shared := r.limits("limits", r.message.GetLimits())
	pace := r.paces("pace", r.message.GetPace())
	guests := r.guests()
	retry := r.retry(r.message.GetRetry())
	prefixes := make(map[string][]*Route, len(r.message.GetRoutes()))
	for i, m := range r.message.GetRoutes() {
		field := fmt.Sprintf("routes[%d]", i)
		route := &Route{
			Prefix:               trimPrefix(m.GetPrefix()),
			Choices:              r.choices(field, m),
			IP:                   r.ipRules(field+".ip", m.GetIp()),
			ForAll:               forAll,
			Identified:           len(r.config.Clients) > 0,
			Log:                  r.config.ChatLog != nil && (m.Log == nil || m.GetLog()),
			Metered:              r.config.Usage,
			Traced:               r.config.Traces != nil,
			NameModels:           r.config.Listener.AccessLog != "",
			ForwardClientAddress: m.GetForwardClientAddress(),
			Prices:               r.config.Prices,
			MaxInFlight:          int(m.GetMaxInFlight()),
			MaxBody:              cmp.Or(m.GetMaxBodyBytes(), r.config.Listener.MaxBody),
			AnswerTokens:         uint64(cmp.Or(m.GetAnswerTokens(), DefaultAnswerTokens)),
			ExactUsage:           m.GetUsage() == "exact",
			Guests:               guests,
			Retry:                retry,
		}
		if route.Choices == nil {
			continue
		}
		route.Auth = r.auth(field+".auth", Auth(m.GetAuth()), route)
		route.Limits = r.limits(field+".limits", m.GetLimits())
		if len(route.Limits) == 0 {
			route.Limits, route.FirstLimit = shared, true
		}
		route.Pace = r.paces(field+".pace", m.GetPace())
		if len(route.Pace) == 0 {
			route.Pace = pace
		}
		route.Cache = r.cache(m.GetCache())
		if m.GetCache() == nil {
			route.Cache = r.cache(r.message.GetCache())
		}
		if m.GetRetry() != nil {
			route.Retry = r.retry(m.GetRetry())
		}
		if route.Cache != nil && route.ForwardClientAddress {
			route.Cache.Collapse = false // a call for several has no one client
		}
		if route.Auth == AuthRequired && !route.Identified {
			r.problem(field+".auth", "required needs clients: name them under clients, or nobody can pass")
		}
		if m.GetLog() && r.config.ChatLog == nil {
			r.problem(field+".log", "needs a chat_log: write `chat_log: {}` for its defaults")
		}
		route.Groups = r.routeGroups(field, m)
		if slices.ContainsFunc(prefixes[route.Prefix], func(other *Route) bool { return meet(route.Groups, other.Groups) }) {
			r.problem(field+".prefix", "a second route for %s", route.Prefix)
		}
		prefixes[route.Prefix] = append(prefixes[route.Prefix], route)
		route.ID = route.Prefix + "@" + r.identity(route)
		r.config.Routes = append(r.config.Routes, route)
	}
	slices.SortStableFunc(r.config.Routes, func(a, b *Route) int { return len(b.Prefix) - len(a.Prefix) })
}

func (r *resolver) auth(field string, written Auth, route *Route) Auth {
	switch {
	case written == AuthPassthrough && !route.onePlace():
		r.problem(field, "passthrough would show a client's own key to each of the upstreams: write required or open")
		return written
	case written != "":
		return written
	case len(r.message.GetClients()) > 0:
		return AuthRequired
	case route.HasKeys() || len(route.Upstreams()) > 1:
		return AuthOpen
	}
	return AuthPassthrough
}

func (r *resolver) upstreamNames() []string {
	names := make([]string, len(r.config.Upstreams))
	for i, u := range r.config.Upstreams {
		names[i] = u.Name
	}
	return names
}

func (r *resolver) address(field, written, otherwise string) netip.AddrPort {
	parsed, err := netip.ParseAddrPort(cmp.Or(written, otherwise))
	if err != nil {
		r.problem(field, "must be IP:PORT, for example %s", otherwise)
	}
	return parsed
}

// overlap tells whether two listeners cannot stand side by side.
func overlap(a, b netip.AddrPort) bool {
	same := a.Addr() == b.Addr() || a.Addr().IsUnspecified() || b.Addr().IsUnspecified()
	return same && a.Port() == b.Port() && a.Port() != 0
}

// secret reads a key: the text itself, or what stands in the file that file:PATH names.
func (r *resolver) secret(field, written string) Secret {
	if path, ok := strings.CutPrefix(written, "file:"); ok {
		before := len(r.problems)
		written = strings.TrimSpace(r.file(field, path))
		if written == "" && len(r.problems) == before {
			r.problem(field, "the file %s holds no key", path)
		}
	}
	if strings.ContainsFunc(written, func(c rune) bool { return c <= ' ' || c >= 0x7f }) {
		r.problem(field, "a key with white space or other characters that no header can carry")
	}
	return NewSecret(written)
}

func (r *resolver) file(field, path string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		r.problem(field, "cannot be read: %s", err)
	}
	r.config.Files = append(r.config.Files, File{Path: path, held: sha256.Sum256(content)})
	return string(content)
}

// trimPrefix drops a final slash: /openai/ and /openai are the same prefix.
func trimPrefix(prefix string) string {
	if prefix == "/" {
		return prefix
	}
	return strings.TrimSuffix(prefix, "/")
}

func duration(written *durationpb.Duration, otherwise time.Duration) time.Duration {
	if written == nil {
		return otherwise
	}
	return written.AsDuration()
}
