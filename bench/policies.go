package main

import (
	"fmt"
	"strings"
)

// The configurations of Tollgate's rows, after the table in docs/architecture.md, "What a route needs".
// Limits are as high as not to refuse anything.

// keys is the least: one client, one key of the upstream.
func keys(upstream string) string { return with(upstream, "", "", "") }

func limits(upstream string) string {
	return with(upstream, "", "", `, limits: [{requests: "1000000/minute;100000000/hour"}]`)
}

func twoKeys(upstream string) string {
	return strings.Replace(keys(upstream), "sk-0", "sk-0, sk-1", 1)
}

func models(upstream string) string { return with(upstream, "", `, models: ["gpt-4o*"]`, "") }

func tokens(upstream string) string {
	return with(upstream, "", "", `, limits: [{tokens: 10000000000/minute}]`)
}

func caching(also string) func(string) string {
	return func(upstream string) string { return with(upstream, "", "", ", cache: {scope: route"+also+"}") }
}

func metrics(upstream string) string { return with(upstream, "telemetry: {usage: true}\n", "", "") }

func chatLog(upstream string) string { return with(upstream, "chat_log: {}\n", "", "") }

func pace(upstream string) string {
	return with(upstream, "", "", `, pace: [{events: 100000/second}]`)
}

func exact(upstream string) string { return with(upstream, "", "", ", usage: exact") }

// with is one client and one route, and more at the top of the file, of the client and of the route.
func with(upstream, top, client, route string) string {
	return fmt.Sprintf(`%sclients: [{name: client-0, keys: [%s]%s}]
upstreams: [{name: mock, url: %q, keys: [sk-0]}]
routes: [{prefix: /, upstream: mock%s}]
`, top, clientKey(0), client, upstream, route)
}

// everything is a gateway as it might be.
func everything(upstream string) string {
	return "chat_log: {}\ntelemetry: {usage: true}\ncache: {scope: route}\n" +
		"limits: [{requests: 1000000/minute}, {tokens: 10000000000/minute}]\n" + many(100, 1000)(upstream)
}

// many is as many clients and routes.
func many(routes, clients int64) func(string) string {
	return func(upstream string) string {
		var text strings.Builder
		text.WriteString("clients:\n")
		for i := range clients {
			fmt.Fprintf(&text, "  - {name: client-%d, keys: [%s]}\n", i, clientKey(i))
		}
		fmt.Fprintf(&text, "upstreams: [{name: mock, url: %q, keys: [sk-0]}]\nroutes:\n", upstream)
		for i := range routes {
			fmt.Fprintf(&text, "  - {prefix: %s, upstream: mock}\n", prefix(i))
		}
		return text.String()
	}
}

func clientKey(i int64) string { return fmt.Sprintf("fk-client-%04d-0123456789", i) }

func prefix(i int64) string { return fmt.Sprintf("/team-%02d", i) }
