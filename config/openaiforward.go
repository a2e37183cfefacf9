package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	tollgatev1 "tollgate/proto/tollgate/v1"
)

// LoadEnv reads the configuration of OpenAI-Forward: its environment variables, and its .env file
// where there is one, over which the environment wins. With nothing set it is what `aifd run` is:
// https://api.openai.com at /, on port 8000.
//
// The variables are those of all its versions. Where the file ends in .yaml or .yml it is the
// openai-forward-config.yaml of 0.8, beside which the environment does not count, as there.
func LoadEnv(dotenv string, environment Environment) (*Config, error) {
	content, err := os.ReadFile(dotenv)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading OpenAI-Forward's variables: %w", err)
	}
	return ParseEnv(dotenv, string(content), environment)
}

// ParseEnv is [LoadEnv] for content that is at hand; file is its name in errors.
func ParseEnv(file, content string, environment Environment) (*Config, error) {
	config, _, err := parseEnv(file, content, environment)
	return config, err
}

// parseEnv gives the message behind the Config as well.
func parseEnv(file, content string, environment Environment) (*Config, *tollgatev1.Config, error) {
	v := newVariables(file, content, environment)
	message := v.message()
	if len(v.problems) > 0 {
		return nil, nil, v.sorted()
	}
	// The message is not expanded: ${NAME} means what the .env file's own grammar makes of it.
	config, problems := check(message)
	if len(problems) > 0 {
		v.locate(problems)
		return nil, nil, v.sorted()
	}
	config.Source = v.source()
	config.from(file, []byte(content))
	config.Warnings = append(config.Warnings, v.warnings...)
	config.warnOfProxies(environment)
	return config, message, nil
}

// message says in the schema's terms what the variables mean.
func (v *variables) message() *tollgatev1.Config {
	m := &tollgatev1.Config{Listener: v.listener(), Ip: v.ipRules()}
	if v.levels = v.readLevels(m); v.levels == nil {
		v.clients(m)
	}
	m.ChatLog = v.chatLog()
	v.limits(m)
	v.pace(m)
	v.cache(m)
	v.routes(m)
	v.customModels(m)
	v.notInForce()
	return m
}

// clients are the FORWARD_KEYs.
func (v *variables) clients(m *tollgatev1.Config) {
	for i, key := range v.keys("FORWARD_KEY") {
		v.names[fmt.Sprintf("clients[%d]", i)] = "FORWARD_KEY"
		m.Clients = append(m.Clients, &tollgatev1.Client{Name: forwardKeyName(key), Keys: []string{key}})
	}
}

// listener leaves trusted_hops at 0: OpenAI-Forward believes whatever x-forwarded-for a client
// sends, so that its IP rules keep nobody out.
func (v *variables) listener() *tollgatev1.Listener {
	certificate, key := v.get("ssl_certfile"), v.get("ssl_keyfile")
	switch {
	case certificate != "" && key != "":
		v.names["listener.tls"], v.names["listener.tls.private_key_file"] = "ssl_certfile", "ssl_keyfile"
		return &tollgatev1.Listener{Tls: &tollgatev1.ServerTLS{CertificateFile: certificate, PrivateKeyFile: key}}
	case certificate != "":
		v.problem("ssl_certfile", "needs ssl_keyfile beside it")
	case key != "":
		v.problem("ssl_keyfile", "needs ssl_certfile beside it")
	}
	return nil
}

// chatLog is LOG_CHAT (LOG_OPENAI since 0.8): the chats of the OpenAI routes, with PRINT_CHAT shown
// as well, in the time zone TZ.
func (v *variables) chatLog() *tollgatev1.ChatLog {
	if !v.isTrue("LOG_CHAT") && !v.isTrue("LOG_OPENAI") {
		if v.isTrue("PRINT_CHAT") {
			v.warn("PRINT_CHAT without LOG_CHAT has no effect: `tollgate logs` shows what LOG_CHAT records")
		}
		return nil
	}
	v.names["chat_log.time_zone"] = "TZ"
	return &tollgatev1.ChatLog{TimeZone: v.get("TZ"), Print: v.isTrue("PRINT_CHAT")}
}

// ipRules holds for every route, those of EXTRA_BASE_URL too.
func (v *variables) ipRules() *tollgatev1.IPRules {
	v.names["ip.allow"], v.names["ip.deny"] = "IP_WHITELIST", "IP_BLACKLIST"
	allow, deny := v.words("IP_WHITELIST"), v.words("IP_BLACKLIST")
	if len(allow)+len(deny) == 0 {
		return nil
	}
	return &tollgatev1.IPRules{Allow: allow, Deny: deny}
}

// keys is a list of keys, each once: given twice is as good as once.
func (v *variables) keys(name string) []string {
	var keys []string
	for _, key := range v.words(name) {
		if !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// routes pairs base URLs with prefixes: the OpenAI ones, which share OPENAI_API_KEY, and the extra
// ones, which never get one of those keys.
func (v *variables) routes(m *tollgatev1.Config) {
	prefixes := "OPENAI_ROUTE_PREFIX"
	if v.get(prefixes) == "" && v.get("ROUTE_PREFIX") != "" {
		prefixes = "ROUTE_PREFIX" // its name before version 0.4
	}
	var keys []string
	auth := AuthPassthrough // a forward key is swapped, any other key travels on
	if v.levels == nil {
		keys = v.keys("OPENAI_API_KEY")
	}
	if len(keys) > 0 && len(m.GetClients()) == 0 {
		auth = AuthOpen
	}
	timeout, proxy := v.timeout(), v.get("PROXY")
	upstream := func(url string, keys ...string) *tollgatev1.Upstream {
		return &tollgatev1.Upstream{Url: url, Keys: slices.Clone(keys), ConnectTimeout: timeout, Proxy: proxy}
	}
	if v.forwarded(m, func(url string) *tollgatev1.Upstream { return upstream(url) }) {
		return
	}
	v.pair("OPENAI_BASE_URL", prefixes, []string{"https://api.openai.com"}, []string{"/"}, func(url, prefix string) {
		v.add(m, "OPENAI_BASE_URL", prefixes, prefix, auth, upstream(url, keys...))
		if v.levels != nil {
			v.levels.direct(m)
		}
	})
	v.pair("EXTRA_BASE_URL", "EXTRA_ROUTE_PREFIX", nil, nil, func(url, prefix string) {
		v.add(m, "EXTRA_BASE_URL", "EXTRA_ROUTE_PREFIX", prefix, AuthPassthrough, upstream(url))
		v.isGeneral(m)
	})
	v.rootAlone(m)
	if len(m.GetClients()) > 0 && len(keys) == 0 && v.levels == nil {
		v.warn("FORWARD_KEY is set without OPENAI_API_KEY: whoever sends a forward key reaches the upstream without any key")
	}
}

// isGeneral makes the last route one whose services are no chats.
func (v *variables) isGeneral(m *tollgatev1.Config) {
	last := len(m.GetRoutes()) - 1
	route := m.GetRoutes()[last]
	v.general[last] = true
	if m.GetChatLog() != nil {
		route.Log = proto.Bool(false)
	}
	if m.GetCache() != nil {
		route.Cache = &tollgatev1.Cache{Off: true}
	}
}

// rootAlone sees that / is the prefix of an only upstream. In OpenAI-Forward the first route that
// matches wins, and / matches all: those after it are never reached. Its documentation forbids it.
func (v *variables) rootAlone(m *tollgatev1.Config) {
	if len(m.GetRoutes()) < 2 {
		return
	}
	for i, route := range m.GetRoutes() {
		if route.GetPrefix() == "/" {
			v.problem(v.names[fmt.Sprintf("routes[%d].prefix", i)],
				"with %d upstreams none may have the prefix /, which is also the default: give each a prefix of its own", len(m.GetRoutes()))
		}
	}
}

// pair zips two lists as Python does: what the longer has more is left out, and that is said.
func (v *variables) pair(urls, prefixes string, defaultURLs, defaultPrefixes []string, each func(url, prefix string)) {
	us, ps := v.list(urls), v.list(prefixes)
	if len(us) == 0 {
		us = defaultURLs
	}
	if len(ps) == 0 {
		ps = defaultPrefixes
	}
	if len(us) > len(ps) {
		v.leftOut(urls, len(us), prefixes, len(ps))
	} else if len(ps) > len(us) {
		v.leftOut(prefixes, len(ps), urls, len(us))
	}
	for i := range min(len(us), len(ps)) {
		each(us[i], ps[i])
	}
}

func (v *variables) leftOut(longer string, n int, shorter string, m int) {
	v.warn("%s names %d, and %s names %d: the rest of %s is left out, as in OpenAI-Forward", longer, n, shorter, m, longer)
}

// add adds an upstream and the route to it, and notes which variables they come from.
func (v *variables) add(m *tollgatev1.Config, urls, prefixes, prefix string, auth Auth, u *tollgatev1.Upstream) {
	prefix = strings.TrimSuffix(prefix, "/")
	if !strings.HasPrefix(prefix, "/") {
		prefix = "/" + prefix
	}
	u.Name = upstreamName(prefix, m.GetUpstreams())
	i := len(m.GetUpstreams())
	v.names[fmt.Sprintf("upstreams[%d].url", i)] = urls
	v.names[fmt.Sprintf("upstreams[%d].keys", i)] = "OPENAI_API_KEY"
	v.names[fmt.Sprintf("upstreams[%d].connect_timeout", i)] = "TIMEOUT"
	v.names[fmt.Sprintf("upstreams[%d].proxy", i)] = "PROXY"
	v.names[fmt.Sprintf("routes[%d].prefix", i)] = prefixes
	m.Upstreams = append(m.Upstreams, u)
	m.Routes = append(m.Routes, &tollgatev1.Route{Prefix: prefix, Upstream: u.GetName(), Auth: string(auth)})
}

// notInName is what an upstream's name cannot hold.
var notInName = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// upstreamName makes a name out of a route's prefix, one that is not taken.
func upstreamName(prefix string, upstreams []*tollgatev1.Upstream) string {
	const longest = 50 // the schema's 63, and room for a number
	base := notInName.ReplaceAllString(prefix, "-")
	base = strings.Trim(base[:min(len(base), longest)], "-._")
	if base == "" {
		base = "openai"
	}
	name := base
	taken := func(u *tollgatev1.Upstream) bool { return u.GetName() == name }
	for n := 2; slices.ContainsFunc(upstreams, taken); n++ {
		name = base + "-" + strconv.Itoa(n)
	}
	return name
}

// timeout is TIMEOUT, seconds to connect. Before version 0.6 it was the time of a whole request, so
// large values are common; zero and less are no limit. Ours is the schema's longest for both.
func (v *variables) timeout() *durationpb.Duration {
	const shortest, longest = 0.001, 600
	written := v.get("TIMEOUT")
	if written == "" {
		return nil
	}
	seconds, err := strconv.ParseFloat(written, 64)
	if err != nil || seconds != seconds || seconds > 0 && seconds < shortest {
		v.problem("TIMEOUT", "must be the seconds to connect, such as 10")
		return nil
	}
	if seconds <= 0 || seconds > longest {
		v.warn("TIMEOUT is the time to connect, and here %d seconds at most: it is cut to that", longest)
		seconds = longest
	}
	return durationpb.New(time.Duration(seconds * float64(time.Second)))
}
