package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"tollgate/cmd/tollgate/dashboard"
)

// The colours of a terminal that top uses beside the banner's.
const (
	dim  = "\x1b[2m"
	bold = "\x1b[1m"
	warm = "\x1b[33m"
)

// screen is what top draws: lines that are no wider than the terminal.
type screen struct {
	width, height int // height 0: no terminal, so as much as it takes
	colour        bool
	text          strings.Builder
}

// draw draws the figures, and why they are old.
func (s *screen) draw(f *figures, trouble error) {
	state := &f.state
	ready := "ready"
	if !state.Ready {
		ready = "NOT READY"
	}
	s.line(bold, fmt.Sprintf("tollgate %s   up %s   %s, Envoys: %d   %s", state.Version,
		state.Now.Sub(state.Started).Round(time.Second), ready, state.Envoys, state.Now.Format(time.TimeOnly)))
	for _, told := range []string{firstLine(trouble), reloadTrouble(state.LastError), state.Trouble} {
		if told != "" {
			s.line(alarm, told)
		}
	}
	if !state.Metered {
		s.line(warm, "telemetry.usage is off: of requests, only refusals are counted")
	}
	s.live(f)
	s.routes(state)
	s.clients(state)
	s.models(state)
	s.keys(state)
}

func firstLine(err error) string {
	if err == nil {
		return ""
	}
	first, _, _ := strings.Cut(err.Error(), "\n")
	return harmlessText(first)
}

func reloadTrouble(r *dashboard.Reloading) string {
	if r == nil {
		return ""
	}
	return "the newest configuration is not in force: " + harmlessText(strings.Join(strings.Fields(r.Error), " "))
}

// live draws what happens now, and the last minutes as bars.
func (s *screen) live(f *figures) {
	total, last := &f.state.Total, lastOf(f.points, 10)
	asked := total.Requests + total.Refused
	rows := []struct {
		name, now, more string
		of              func(dashboard.Point) float64
	}{
		{"requests/s", number(last.requests / 10), fmt.Sprintf("%d since the start, %d under way, %d failed", total.Requests, total.InFlight, total.Failed), func(p dashboard.Point) float64 { return float64(p.Requests) }},
		{"tokens/s", number(last.tokens / 10), fmt.Sprintf("%d in, %d out", total.Input, total.Output), func(p dashboard.Point) float64 { return float64(p.Input + p.Output) }},
		{"first token", milliseconds(last.first50), "p99 " + milliseconds(last.first99), func(p dashboard.Point) float64 { return p.First50 }},
		{"refused/s", number(last.refused / 10), fmt.Sprintf("%d, %s", total.Refused, percent(total.Refused, asked)), func(p dashboard.Point) float64 { return float64(p.Refused) }},
		{"hits/s", number(last.hits / 10), fmt.Sprintf("%d, %s", total.Hits, percent(total.Hits, total.Requests)), func(p dashboard.Point) float64 { return float64(p.Hits) }},
	}
	bars := max(0, min(60, s.width-70))
	for _, r := range rows {
		s.line("", fmt.Sprintf("%-12s %9s  %s  %s", r.name, r.now, s.paint(accent, sparks(f.points, bars, r.of)), r.more))
	}
	if f.state.Priced {
		text := fmt.Sprintf("%-12s %9s  saved by the cache: %s USD", "spent", total.Spent+" USD", total.Saved)
		if total.Unknown > 0 {
			text += fmt.Sprintf("; %d requests have no price", total.Unknown)
		}
		s.line("", text)
	}
}

func (s *screen) routes(state *dashboard.State) {
	rows := [][]string{headed(state, "route", "upstreams")}
	for i := range state.Routes {
		r := &state.Routes[i]
		rows = append(rows, append([]string{r.Prefix, strings.Join(r.Upstreams, ",")}, totalsText(state, &r.Totals)...))
	}
	s.table(rows)
}

func (s *screen) clients(state *dashboard.State) {
	rows := [][]string{headed(state, "client", "least left")}
	for i := range state.Clients {
		c := &state.Clients[i]
		rows = append(rows, append([]string{cmp.Or(c.Name, "(no name)"), leastLeft(c.Limits)}, totalsText(state, &c.Totals)...))
	}
	if len(rows) > 1 {
		s.table(rows)
	}
	if state.More > 0 {
		s.line(dim, fmt.Sprintf("and %d clients more", state.More))
	}
}

func (s *screen) models(state *dashboard.State) {
	rows := [][]string{headed(state, "model")}
	for i := range state.Models {
		if m := &state.Models[i]; m.Requests > 0 {
			rows = append(rows, append([]string{m.Name}, totalsText(state, &m.Totals)...))
		}
	}
	if len(rows) > 1 {
		s.table(rows)
	}
}

func (s *screen) keys(state *dashboard.State) {
	rows := [][]string{{"upstream", "key", "state", "answers"}}
	for _, k := range state.Keys {
		is := "in turn"
		if k.Rest > 0 {
			is = "rests " + (time.Duration(k.Rest) * time.Second).String()
		}
		var answers []string
		for status, n := range k.Answers {
			answers = append(answers, fmt.Sprintf("%s:%d", status, n))
		}
		slices.Sort(answers)
		rows = append(rows, []string{k.Upstream, k.Key, is, strings.Join(answers, " ")})
	}
	if len(rows) > 1 {
		s.table(rows)
	}
}

func headed(state *dashboard.State, columns ...string) []string {
	head := append(columns, "requests", "failed", "refused", "hits", "tokens in", "tokens out")
	if state.Priced {
		head = append(head, "spent", "saved")
	}
	return head
}

func totalsText(state *dashboard.State, t *dashboard.Totals) []string {
	var cells []string
	for _, n := range []uint64{t.Requests, t.Failed, t.Refused, t.Hits, t.Input, t.Output} {
		cells = append(cells, strconv.FormatUint(n, 10))
	}
	if state.Priced {
		cells = append(cells, t.Spent, t.Saved)
	}
	return cells
}

// leastLeft tells of the limit of which the least is left.
func leastLeft(limits []dashboard.Limit) string {
	if len(limits) == 0 {
		return ""
	}
	l := slices.MinFunc(limits, func(a, b dashboard.Limit) int { return cmp.Compare(a.Left, b.Left) })
	of := " " + l.Of
	if l.Of == "cost" {
		of = ""
	}
	text := l.Remaining + " of " + l.Rate + of
	if l.Left < 1 && l.Reset > 0 {
		text += ", whole in " + (time.Duration(l.Reset) * time.Second).String()
	}
	return text
}

// table draws rows below a head; columns are as wide as they must be, and numbers stand to the right.
func (s *screen) table(rows [][]string) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			cell = harmlessText(cell)
			row[i] = cell
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	s.line("", "")
	for n, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			isNumber := len(rows) > 1 && rows[1][i] != "" && strings.Trim(rows[1][i], "0123456789.") == ""
			if isNumber {
				line.WriteString(pad + cell + "  ")
			} else {
				line.WriteString(cell + pad + "  ")
			}
		}
		colour := ""
		if n == 0 {
			colour = dim
		}
		s.line(colour, strings.TrimRight(line.String(), " "))
	}
}

// paint colours a text, where there are colours.
func (s *screen) paint(colour, text string) string {
	if !s.colour || colour == "" || text == "" {
		return text
	}
	return colour + text + plain
}

// line draws one line, cut at the screen's width.
func (s *screen) line(colour, text string) {
	if s.height > 0 {
		text = clip(text, s.width)
	}
	s.text.WriteString(s.paint(colour, text) + "\n")
}

// frame is the text as it goes to a terminal: from its top left, each line erased to its end, and what is below.
func (s *screen) frame() string {
	lines := strings.Split(strings.TrimRight(s.text.String(), "\n"), "\n")
	if s.height > 0 && len(lines) > s.height {
		lines = lines[:s.height]
	}
	return "\x1b[H" + strings.Join(lines, "\x1b[K\r\n") + "\x1b[K\x1b[J"
}
