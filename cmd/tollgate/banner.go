package main

import (
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"tollgate/config"
	"tollgate/config/rate"
)

// boxWidth is that of a banner's box inside its frame, in columns.
const boxWidth = 74

// The colours of a terminal.
const (
	plain  = "\x1b[0m"
	accent = "\x1b[36m"
	good   = "\x1b[32m"
	alarm  = "\x1b[31m"
)

// box is a frame of labelled lines.
type box struct {
	w      io.Writer
	colour bool
}

// banner shows what starts, as OpenAI-Forward does: for every route where it leads and who may pass.
// No key is in it. Warnings are not, either: `tollgate serve`, which starts with it, logs them.
func banner(w io.Writer, c *config.Config, colour bool) {
	b := box{w: w, colour: colour}
	b.title("tollgate " + version)
	b.row("clients connect to", c.Listener.Address.String()+scheme(c), accent)
	b.row("operators look at", "http://"+c.Admin.Address.String()+looks(c), accent)
	b.row("configuration", c.Source, accent)
	b.row("clients", strconv.Itoa(len(c.Clients)), accent)
	b.end()
	for _, r := range c.Routes {
		b.route(c, r)
	}
}

// looks is what operators find at their address.
func looks(c *config.Config) string {
	if c.Admin.MetricsOnly {
		return "/metrics"
	}
	return " (dashboard)"
}

func scheme(c *config.Config) string {
	if c.Listener.TLS != nil {
		return " (https)"
	}
	return " (http)"
}

func (b box) route(c *config.Config, r *config.Route) {
	b.title(r.Prefix)
	keys := 0
	for _, u := range r.Upstreams() {
		keys += len(u.Keys)
	}
	b.choices(r)
	b.row("route prefix", r.Prefix, accent)
	b.row("api keys", strconv.Itoa(keys), accent)
	who, colour := forwardKeys(r, len(c.Clients))
	b.row("forward keys", who, colour)
	b.rules(r.ForAll)
	b.rules(r.IP)
	b.limits(c, r)
	b.cache(c, r)
	b.end()
}

// cache shows whose answers are kept, how long and where.
func (b box) cache(c *config.Config, r *config.Route) {
	if r.Cache == nil {
		return
	}
	text := "for all clients"
	if r.Cache.PerClient {
		text = "for each client"
	}
	text += ", " + r.Cache.TTL.String()
	if len(r.Cache.APIs) > 0 {
		text += ", " + strings.Join(r.Cache.APIs, " ")
	}
	if r.Cache.OptIn {
		text += `, where "caching": true`
	}
	if r.Cache.Shadow {
		text += ", tried out"
	}
	b.row("cache", text, accent)
	switch {
	case c.CacheStore.Dir != "":
		b.row("kept in", c.CacheStore.Dir, accent)
	case c.CacheStore.Redis.Reveal() != "":
		b.row("kept in", "redis", accent)
	default:
		b.row("kept in", "memory", accent)
	}
}

// choices shows where requests go: all of them, those for some models, those of some clients.
func (b box) choices(r *config.Route) {
	for i := range r.Choices {
		choice := r.Choices[(i+len(r.Choices)-1)%len(r.Choices)] // the last is for most
		label := "base url"
		for _, t := range choice.Targets {
			text := t.URL()
			if names := append(slices.Clone([]string(choice.Models)), choice.Clients...); len(names) > 0 {
				text = strings.Join(names, " ") + ": " + text
			}
			switch {
			case choice.Several() && t.Weight == 0:
				text += ", where others fail"
			case choice.Several():
				text += ", weight " + strconv.Itoa(int(t.Weight))
			}
			b.row(label, text, accent)
			label = ""
		}
	}
}

// limits shows how many requests and tokens may pass, and where they are counted.
func (b box) limits(c *config.Config, r *config.Route) {
	counted := false
	for _, l := range r.Limits {
		if reached(c, r, l.Path) {
			counted = true
			b.row(string(l.Of), limitText(l), accent)
		}
	}
	for _, p := range r.Pace {
		if !reached(c, r, p.Path) {
			continue
		}
		text := rate.Format(p.Rates) + " an answer"
		if p.Path != "" {
			text += ", " + p.Path
		}
		text += namesText(p.Clients)
		b.row("events", text, accent)
	}
	if counted {
		b.row("counted in", map[bool]string{true: "memory", false: "redis"}[c.LimitStore.Redis.Reveal() == ""], accent)
	}
}

// reached tells whether a route has requests whose path begins so: a rule for all routes is shown at those where it
// can hold.
func reached(c *config.Config, r *config.Route, path string) bool {
	if path == "" || strings.HasPrefix(r.Prefix, path) {
		return true
	}
	for _, asked := range []string{path, path + "x"} { // a rule's path need not end with a segment
		first := slices.IndexFunc(c.Routes, func(other *config.Route) bool { // the longest prefix is first
			return other.Prefix == "/" || asked == other.Prefix || strings.HasPrefix(asked, other.Prefix+"/")
		})
		if first >= 0 && c.Routes[first].Prefix == r.Prefix {
			return true
		}
	}
	return false
}

// namesText says whose requests are meant, where not everyone's.
func namesText(clients config.Names) string {
	const most = 3
	switch {
	case len(clients) == 0:
		return ""
	case len(clients) > most:
		return fmt.Sprintf(", only %d clients", len(clients))
	}
	return ", only " + strings.Join(clients, " ")
}

func limitText(l config.Limit) string {
	text := l.String() + map[config.Scope]string{
		config.PerClient: " a client",
		config.PerModel:  " a client and model",
		config.PerPath:   " a client and path",
		config.PerRoute:  " for all",
	}[l.Per]
	if l.Path != "" {
		text += ", " + l.Path
	}
	if len(l.Models) > 0 {
		text += ", " + strings.Join(l.Models, " ")
	}
	text += namesText(l.Clients) + ", " + l.Strategy
	if l.Shadow {
		text += ", tried out"
	}
	return text
}

// forwardKeys says who may pass a route, in the colour of alarm where everyone may spend the
// upstream's keys.
func forwardKeys(r *config.Route, clients int) (who, colour string) {
	swapped := "taken out"
	if r.HasKeys() {
		swapped = "swapped"
	}
	switch {
	case r.Auth == config.AuthOpen && r.HasKeys():
		return "NOT NEEDED: everyone may pass", alarm
	case r.Auth == config.AuthOpen:
		return "not needed, and taken out", good
	case r.Auth == config.AuthRequired:
		return fmt.Sprintf("needed and %s (clients: %d)", swapped, clients), good
	case r.Identified:
		return fmt.Sprintf("%s (clients: %d); any other key travels on", swapped, clients), good
	}
	return "not needed: a client's own key travels on", good
}

func (b box) rules(rules config.IPRules) {
	if len(rules.Allow) > 0 {
		b.row("addresses", "only "+list(rules.Allow), accent)
	}
	if len(rules.Deny) > 0 {
		b.row("addresses", "not "+list(rules.Deny), accent)
	}
}

// list writes ranges as the configuration does: an address alone without /32.
func list(ranges []netip.Prefix) string {
	written := make([]string, len(ranges))
	for i, r := range ranges {
		written[i] = r.String()
		if r.IsSingleIP() {
			written[i] = r.Addr().String()
		}
	}
	return strings.Join(written, ", ")
}

func (b box) title(text string) {
	text = wrap(text, boxWidth-4)[0]
	b.line("", "╭─ "+text+" "+strings.Repeat("─", boxWidth-3-utf8.RuneCountInString(text))+"╮")
}

// row shows a value beside its label, in as many lines as it takes.
func (b box) row(label, value, colour string) {
	const labelWidth = 20
	for _, line := range wrap(value, boxWidth-2-labelWidth) {
		text := fmt.Sprintf("%-*s%-*s", labelWidth, label, boxWidth-2-labelWidth, line)
		if b.colour {
			text = colour + text + plain
		}
		b.line("", "│ "+text+" │")
		label = ""
	}
}

func (b box) end() { b.line("", "╰"+strings.Repeat("─", boxWidth)+"╯") }

func (b box) line(colour, text string) {
	if b.colour && colour != "" {
		text = colour + text + plain
	}
	_, _ = fmt.Fprintln(b.w, text)
}

// wrap breaks a text into lines, between words where it can.
func wrap(text string, width int) []string {
	var lines []string
	for rest := []rune(text); ; {
		if len(rest) <= width {
			return append(lines, string(rest))
		}
		end, next := width, width
		for i := width; i > 0; i-- {
			if rest[i] == ' ' {
				end, next = i, i+1
				break
			}
		}
		lines = append(lines, string(rest[:end]))
		rest = rest[next:]
	}
}
