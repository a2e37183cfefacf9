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

	"google.golang.org/protobuf/types/known/durationpb"

	tollgatev1 "tollgate/proto/tollgate/v1"
)

// LoadEnv reads the configuration of OpenAI-Forward: its environment variables, and its .env file
// where there is one, over which the environment wins. With nothing set it is what `aifd run` is:
// https://api.openai.com at /, on port 8000.
func LoadEnv(dotenv string, environment Environment) (*Config, error) {
	content, err := os.ReadFile(dotenv)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading OpenAI-Forward's variables: %w", err)
	}
	return ParseEnv(dotenv, string(content), environment)
}

// ParseEnv is [LoadEnv] for content that is at hand; file is its name in errors.
func ParseEnv(file, content string, environment Environment) (*Config, error) {
	v := newVariables(file, content, environment)
	message := v.message()
	if len(v.problems) > 0 {
		return nil, v.problems
	}
	config, problems := check(message)
	if len(problems) > 0 {
		return nil, v.locate(problems)
	}
	config.Source = v.source()
	config.Warnings = append(config.Warnings, v.warnings...)
	return config, nil
}

// variables is an OpenAI-Forward's environment, and what was noticed while reading it.
type variables struct {
	file        string
	environment Environment
	fromFile    map[string]binding
	names       map[string]string // the variable that a field of the message comes from
	problems    Problems
	warnings    []string
}

func newVariables(file, content string, environment Environment) *variables {
	fromFile, skipped := readDotenv(content, environment)
	v := &variables{file: file, environment: environment, fromFile: fromFile, names: map[string]string{}}
	for _, line := range skipped {
		v.warn("%s:%d is not NAME=value and was skipped, as python-dotenv does", file, line)
	}
	return v
}

// get is a variable without the white space around it.
func (v *variables) get(name string) string {
	value, ok := v.environment(name)
	if !ok {
		value = v.fromFile[name].value
	}
	return strings.TrimSpace(value)
}

// list is a variable that holds items between commas; empty items do not count.
func (v *variables) list(name string) []string {
	var items []string
	for item := range strings.SplitSeq(v.get(name), ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

func (v *variables) warn(format string, args ...any) {
	v.warnings = append(v.warnings, fmt.Sprintf(format, args...))
}

// problem complains about a variable.
func (v *variables) problem(name, format string, args ...any) {
	p := Problem{File: "environment", Field: name, Message: fmt.Sprintf(format, args...)}
	if _, ok := v.environment(name); !ok && v.fromFile[name].set {
		p.File, p.Line, p.Column = v.file, v.fromFile[name].line, 1
	}
	v.problems = append(v.problems, p)
}

// locate turns problems of the message into problems of the variables behind it.
func (v *variables) locate(problems Problems) Problems {
	for _, p := range problems {
		name := p.Field
		for field, variable := range v.names {
			if strings.HasPrefix(p.Field, field) {
				name = variable
			}
		}
		v.problem(name, "%s", p.Message)
	}
	return v.problems
}

// source names where the variables came from, for people.
func (v *variables) source() string {
	if len(v.fromFile) > 0 {
		return v.file
	}
	return "the environment"
}

// message says in the schema's terms what the variables mean.
func (v *variables) message() *tollgatev1.Config {
	m := &tollgatev1.Config{Listener: v.listener(), Ip: &tollgatev1.IPRules{
		Allow: v.list("IP_WHITELIST"),
		Deny:  v.list("IP_BLACKLIST"),
	}}
	v.names["ip.allow"], v.names["ip.deny"] = "IP_WHITELIST", "IP_BLACKLIST"
	var seen []string
	for _, key := range v.list("FORWARD_KEY") {
		if slices.Contains(seen, key) {
			continue // given twice is as good as once
		}
		seen = append(seen, key)
		i := len(m.GetClients())
		v.names[fmt.Sprintf("clients[%d]", i)] = "FORWARD_KEY"
		m.Clients = append(m.Clients, &tollgatev1.Client{Name: fmt.Sprintf("forward-key-%d", i+1), Keys: []string{key}})
	}
	v.routes(m)
	v.notInForce()
	return m
}

func (v *variables) listener() *tollgatev1.Listener {
	l := &tollgatev1.Listener{}
	certificate, key := v.get("ssl_certfile"), v.get("ssl_keyfile")
	switch {
	case certificate != "" && key != "":
		v.names["listener.tls.certificate_file"], v.names["listener.tls.private_key_file"] = "ssl_certfile", "ssl_keyfile"
		l.Tls = &tollgatev1.ServerTLS{CertificateFile: certificate, PrivateKeyFile: key}
	case certificate != "":
		v.problem("ssl_certfile", "needs ssl_keyfile beside it")
	case key != "":
		v.problem("ssl_keyfile", "needs ssl_certfile beside it")
	}
	return l
}

// routes pairs base URLs with prefixes: the OpenAI ones, which share OPENAI_API_KEY, and the extra
// ones, which never get one of those keys.
func (v *variables) routes(m *tollgatev1.Config) {
	keys := v.list("OPENAI_API_KEY")
	timeout, proxy := v.timeout(), v.get("PROXY")
	v.pair("OPENAI_BASE_URL", "OPENAI_ROUTE_PREFIX", []string{"https://api.openai.com"}, []string{"/"}, func(url, prefix string) {
		auth := AuthPassthrough
		if len(keys) > 0 && len(m.GetClients()) == 0 {
			auth = AuthOpen
		}
		v.add(m, "OPENAI_BASE_URL", "OPENAI_ROUTE_PREFIX", prefix, auth, &tollgatev1.Upstream{Url: url, Keys: keys, ConnectTimeout: timeout, Proxy: proxy})
	})
	v.pair("EXTRA_BASE_URL", "EXTRA_ROUTE_PREFIX", nil, nil, func(url, prefix string) {
		v.add(m, "EXTRA_BASE_URL", "EXTRA_ROUTE_PREFIX", prefix, AuthPassthrough, &tollgatev1.Upstream{Url: url, ConnectTimeout: timeout, Proxy: proxy})
	})
	for i, route := range m.GetRoutes() {
		if route.GetPrefix() == "/" && len(m.GetRoutes()) > 1 {
			v.problem(v.names[fmt.Sprintf("routes[%d].prefix", i)], "with more than one upstream, none may have the prefix /: give each a prefix of its own")
		}
	}
	if len(m.GetClients()) > 0 && len(keys) == 0 {
		v.warn("FORWARD_KEY is set without OPENAI_API_KEY: whoever sends a forward key reaches the upstream without any key")
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
	if len(us) != len(ps) {
		v.warn("%s names %d and %s names %d: what has no partner is left out, as in OpenAI-Forward", urls, len(us), prefixes, len(ps))
	}
	for i := range min(len(us), len(ps)) {
		each(us[i], ps[i])
	}
}

func (v *variables) add(m *tollgatev1.Config, urls, prefixes, prefix string, auth Auth, u *tollgatev1.Upstream) {
	prefix = "/" + strings.TrimPrefix(strings.TrimSuffix(prefix, "/"), "/")
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
func upstreamName(prefix string, taken []*tollgatev1.Upstream) string {
	base := strings.Trim(notInName.ReplaceAllString(prefix, "-"), "-._")
	if base == "" {
		base = "openai"
	}
	name := base
	for n := 2; ; n++ {
		free := true
		for _, u := range taken {
			free = free && u.GetName() != name
		}
		if free {
			return name
		}
		name = base + "-" + strconv.Itoa(n)
	}
}

// timeout is TIMEOUT, seconds to connect.
func (v *variables) timeout() *durationpb.Duration {
	written := v.get("TIMEOUT")
	if written == "" {
		return nil
	}
	seconds, err := strconv.ParseFloat(written, 64)
	if err != nil || !(seconds >= 0.001 && seconds <= 600) {
		v.problem("TIMEOUT", "must be the seconds to connect, from 0.001 to 600, such as 10")
		return nil
	}
	return durationpb.New(time.Duration(seconds * float64(time.Second)))
}

// notInForce says of each variable that is set and has no effect what that means. Where ignoring it
// would open a door that it closes, that is a problem.
func (v *variables) notInForce() {
	for _, name := range []string{"LOG_CHAT", "PRINT_CHAT", "CACHE_CHAT_COMPLETION", "CACHE_EMBEDDING", "BENCHMARK_MODE"} {
		if strings.EqualFold(v.get(name), "true") {
			v.warn("%s is not in force in this version", name)
		}
	}
	for _, name := range []string{"REQ_RATE_LIMIT", "TOKEN_RATE_LIMIT", "GLOBAL_RATE_LIMIT"} {
		if value := v.get(name); value != "" && value != "inf" && value != "{}" {
			v.warn("%s is not in force in this version: nothing is limited", name)
		}
	}
	for _, name := range []string{"FORWARD_CONFIG", "OPENAI_API_KEY_CONFIG", "FORWARD_KEY_CONFIG", "LEVEL_MODELS"} {
		if v.get(name) != "" {
			v.problem(name, "is of a later OpenAI-Forward and not supported in this version: write the routes and clients into a tollgate.yaml")
		}
	}
	if v.get("ROUTE_PREFIX") != "" {
		v.problem("ROUTE_PREFIX", "is of an OpenAI-Forward before 0.4: rename it to OPENAI_ROUTE_PREFIX")
	}
}
