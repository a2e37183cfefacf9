package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"tollgate/config"
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
// No key is in it.
func banner(w io.Writer, c *config.Config, colour bool) {
	b := box{w: w, colour: colour}
	b.title("tollgate " + version)
	b.row("clients connect to", c.Listener.Address.String()+scheme(c), accent)
	b.row("operators look at", "http://"+c.Admin.String()+"/readyz", accent)
	b.row("configuration", c.Source, accent)
	b.row("clients", strconv.Itoa(len(c.Clients)), accent)
	b.end()
	for _, r := range c.Routes {
		b.route(c, r)
	}
	for _, warning := range c.Warnings {
		b.line(alarm, "warning: "+warning)
	}
}

func scheme(c *config.Config) string {
	if c.Listener.TLS != nil {
		return " (https)"
	}
	return " (http)"
}

func (b box) route(c *config.Config, r *config.Route) {
	b.title(r.Prefix)
	b.row("base url", r.Upstream.URL(), accent)
	b.row("route prefix", r.Prefix, accent)
	b.row("api keys", strconv.Itoa(len(r.Upstream.Keys)), accent)
	switch r.Auth {
	case config.AuthRequired:
		b.row("forward keys", fmt.Sprintf("needed: of %d clients", len(c.Clients)), good)
	case config.AuthPassthrough:
		who := "not needed: a client's own key travels on"
		if r.Identified {
			who = fmt.Sprintf("of %d clients are swapped; any other key travels on", len(c.Clients))
		}
		b.row("forward keys", who, good)
	case config.AuthOpen:
		colour := good
		if len(r.Upstream.Keys) > 0 {
			colour = alarm
		}
		b.row("forward keys", "NOT NEEDED: everyone may pass", colour)
	}
	for _, rules := range []config.IPRules{r.ForAll, r.IP} {
		if len(rules.Allow) > 0 {
			b.row("addresses", fmt.Sprintf("only %v", rules.Allow), accent)
		}
		if len(rules.Deny) > 0 {
			b.row("addresses", fmt.Sprintf("not %v", rules.Deny), accent)
		}
	}
	b.end()
}

func (b box) title(text string) {
	text = fit(text, boxWidth-4)
	b.line("", "╭─ "+text+" "+strings.Repeat("─", boxWidth-3-utf8.RuneCountInString(text))+"╮")
}

func (b box) row(label, value, colour string) {
	text := fit(fmt.Sprintf("%-20s%s", label, value), boxWidth-2)
	text += strings.Repeat(" ", boxWidth-2-utf8.RuneCountInString(text))
	if b.colour {
		text = colour + text + plain
	}
	b.line("", "│ "+text+" │")
}

func (b box) end() { b.line("", "╰"+strings.Repeat("─", boxWidth)+"╯") }

func (b box) line(colour, text string) {
	if b.colour && colour != "" {
		text = colour + text + plain
	}
	_, _ = fmt.Fprintln(b.w, text)
}

// fit cuts a text that is too long for its place.
func fit(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	return string([]rune(text)[:width-1]) + "…"
}
