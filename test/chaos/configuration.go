package chaos

import (
	"fmt"
	"strings"
)

// A route of ours: limitcheck's are beside them.
type route struct {
	Prefix    string
	Rest      string   // of its YAML
	Upstreams []string // that it may lead to
}

// routes are those that are not about limits.
func routes() []route {
	return []route{
		{"/one", "upstream: a", []string{"a"}},
		{"/keys", "upstream: b", []string{"b"}},
		{"/order", "upstreams: [{name: a}, {name: c}]", []string{"a", "c"}},
		{"/weight", "upstreams: [{name: a, weight: 3}, {name: b, weight: 1}, {name: c}]", []string{"a", "b", "c"}},
		{"/shared", "upstream: a, cache: {scope: route}", []string{"a"}},
		{"/private", "upstream: c, cache: {scope: client, collapse: false}", []string{"c"}},
		{"/exact", "upstream: a, usage: exact", []string{"a"}},
		{"/pace", "upstream: b, pace: [{events: 500/second}]", []string{"b"}},
	}
}

// upstreamKeys are the keys of each upstream. No other may get them.
func upstreamKeys() map[string][]string {
	return map[string][]string{
		"a":  {Key("sk-a")},
		"b":  {Key("sk-b1"), Key("sk-b2"), Key("sk-b3")},
		"c":  {Key("sk-c")},
		"up": {Key("sk-up")},
	}
}

// Upstreams are their names.
func Upstreams() []string { return sorted(upstreamKeys()) }

// Places is where a run's configuration leads to.
type Places struct {
	Listen, Admin, Redis string
	Upstreams            map[string]string // URLs
}

// YAML is the configuration after a number of good edits; 0: the first. An edit changes what no call of the
// plan depends on: a route and a client of its own, the pace, an upstream's connections, the order of routes.
func (p *Plan) YAML(places *Places, edit int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "listener: {address: %q}\nadmin: {address: %q}\n", places.Listen, places.Admin)
	fmt.Fprintf(&b, "chat_log: {}\ntelemetry: {usage: true, access_log: access.log}\nretry: {first_byte_timeout: %v, idle_timeout: %v}\n", firstByteWithin, idleWithin)
	switch p.Limits {
	case InRedis:
		fmt.Fprintf(&b, "limit_store: {redis: \"redis://%s/0\", on_error: refuse}\n", places.Redis)
	case InLocal:
		fmt.Fprintf(&b, "limit_store: {redis: \"redis://%s/0\", on_error: local}\n", places.Redis)
	}
	switch p.Cache {
	case InRedis:
		fmt.Fprintf(&b, "cache_store: {redis: \"redis://%s/1\"}\n", places.Redis)
	case OnDisk:
		b.WriteString("cache_store: {dir: answers}\n")
	}
	b.WriteString("upstreams:\n")
	for i, name := range Upstreams() {
		timeout := 10
		if edit%len(upstreamKeys()) == i {
			timeout += edit
		}
		fmt.Fprintf(&b, "- {name: %s, url: %q, keys: [%s], connect_timeout: %ds}\n",
			name, places.Upstreams[name], strings.Join(upstreamKeys()[name], ", "), timeout)
	}
	b.WriteString(p.Spec.YAML()) // ends in its routes
	list := routes()
	for i := range list {
		r := list[(i+edit)%len(list)]
		fmt.Fprintf(&b, "- {prefix: %s, %s}\n", r.Prefix, r.Rest)
	}
	fmt.Fprintf(&b, "- {prefix: %s, upstream: a, auth: open}\n", Marker(edit))
	return b.String()
}

// Marker is the prefix of a route that only one edit has.
func Marker(edit int) string { return fmt.Sprintf("/edit-%d", edit) }

// Spoilt makes a configuration that cannot be used of a good one; the number says in which way. Where it is
// empty, the file is to be taken away.
func Spoilt(good string, n int) string {
	switch n % 6 {
	case 0:
		return strings.Replace(good, "prefix:", "prefx:", 1)
	case 1:
		return strings.Replace(good, "upstream: a", "upstream: nobody", 1)
	case 2:
		return good[:strings.LastIndexByte(good[:len(good)/2], '{')+1]
	case 3:
		return strings.Replace(good, "127.0.0.1", "192.0.2.1", 1) // nobody's address: Envoy cannot listen there
	case 4:
		return strings.Replace(good, "connect_timeout: ", "ca_file: missing.pem, connect_timeout: ", 1)
	}
	return ""
}
