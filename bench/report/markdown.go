package report

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// marks are the lines of performance.md between which the figures of a suite stand.
func (r *Run) marks() (begin, end string) {
	command := "make bench"
	if r.Suite != "" {
		command += "-" + r.Suite
	}
	return "<!-- " + command + " writes what follows -->", "<!-- " + command + " wrote what stands above -->"
}

// WriteDocs puts the tables into a directory's performance.md, between the marks of the suite, and the plot of the
// main one beside it.
func (r *Run) WriteDocs(dir string) error {
	path := filepath.Join(dir, "performance.md")
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading the page for the figures: %w", err)
	}
	page, err := r.between(string(text))
	if err == nil {
		err = os.WriteFile(path, []byte(page), 0o644) //nolint:gosec // to be read by all
	}
	if err == nil && r.Suite == "" {
		err = os.WriteFile(filepath.Join(dir, "performance.svg"), []byte(r.SVG()), 0o644) //nolint:gosec // to be read by all
	}
	if err != nil {
		return fmt.Errorf("writing the figures: %w", err)
	}
	return nil
}

// between replaces what stands between the marks of a page.
func (r *Run) between(page string) (string, error) {
	begin, end := r.marks()
	before, rest, begun := strings.Cut(page, begin)
	_, after, ended := strings.Cut(rest, end)
	if !begun || !ended {
		return "", fmt.Errorf("the page for the figures has no place for them: it needs the lines %q and %q", begin, end)
	}
	return before + begin + "\n\n" + r.Markdown() + "\n" + end + after, nil
}

// column is one of a table.
type column struct {
	title string
	cell  func(s *Summary) string
}

// Markdown is a table for each load.
func (r *Run) Markdown() string {
	var out strings.Builder
	r.heading(&out)
	switch r.Suite {
	case Peers:
		r.besidePeers(&out)
	case Scale:
		r.besideLess(&out)
	default:
		r.besideEnvoy(&out)
	}
	return out.String()
}

// heading says when and where it was measured.
func (r *Run) heading(out *strings.Builder) {
	m := r.Machine
	fmt.Fprintf(out, "%s, tollgate %s, Envoy %s; %s, %d cores, Linux %s; load average %.1f before and %.1f after.\n"+
		"%d rounds; each figure is their median, with the least and the most of them in brackets.\n",
		r.Made.Format("2006-01-02"), r.Tollgate, r.Envoy, m.CPU, m.Cores, m.Kernel, m.LoadBefore, m.LoadAfter, r.Settings.Rounds)
}

// besideEnvoy is what Tollgate costs beside what it is built on.
func (r *Run) besideEnvoy(out *strings.Builder) {
	cpu := []column{
		{"Envoy", func(s *Summary) string { return number(s.EnvoyCPU.Median) }},
		{"Go", func(s *Summary) string { return number(s.GoCPU.Median) }},
		{"all", func(s *Summary) string { return s.CPU.String() }},
		{"÷ bare", func(s *Summary) string { return s.ToBare.ratio() }},
		{"÷ floor", func(s *Summary) string { return s.ToFloor.ratio() }},
		{"÷ base", func(s *Summary) string { return s.ToBase.ratio() }},
	}
	fmt.Fprintf(out, "\n### An answer of 2 KB: CPU microseconds per request\n\n%d connections, each with its next request as soon as it has its answer.\n\n",
		r.Settings.Connections)
	r.table(out, Answers, append(slices.Clone(cpu),
		column{"requests/s", func(s *Summary) string { return s.Rate.String() }},
		column{"Envoy MB", func(s *Summary) string { return number(s.EnvoyRAM.Median / 1e6) }},
		column{"Go MB", func(s *Summary) string { return number(s.GoRAM.Median / 1e6) }}))
	fmt.Fprintf(out, "\n### The same, %.0f requests a second: milliseconds\n\nFrom when a request was due. %s\n\n", r.Settings.Rate, r.leftOut())
	r.table(out, Latency, []column{
		{"p50", func(s *Summary) string { return s.P50.milliseconds() }},
		{"p99", func(s *Summary) string { return s.P99.milliseconds() }},
		{"p99.9", func(s *Summary) string { return s.P999.milliseconds() }},
		{"p50 − bare", func(s *Summary) string { return s.AddedP50.milliseconds() }},
		{"p99 − bare", func(s *Summary) string { return s.AddedP99.milliseconds() }},
	})
	fmt.Fprintf(out, "\n%s\n", r.promptness())
	fmt.Fprintf(out, "\n### A stream: CPU microseconds per event\n\n%d streams at once, %d events each, %s between two. Times in milliseconds.\n\n",
		r.Settings.Streams, r.Settings.Events, r.Settings.Interval)
	r.table(out, Streams, append(cpu,
		column{"events/s", func(s *Summary) string { return s.Rate.String() }},
		column{"first event p50", func(s *Summary) string { return s.FirstP50.milliseconds() }},
		column{"p99", func(s *Summary) string { return s.FirstP99.milliseconds() }},
		column{"gap p50", func(s *Summary) string { return s.GapP50.milliseconds() }},
		column{"p99", func(s *Summary) string { return s.GapP99.milliseconds() }}))
}

// prompt is the latency that may be added to that of bare Envoy, at the 99th percentile, on a machine with nothing
// else to do: in microseconds.
const prompt = 1000

// promptness says whether Tollgate adds more, to bare Envoy and to what has the same mode and does nothing.
func (r *Run) promptness() string {
	return r.added("bare Envoy's p99", func(Target) string { return bare }) + "\n" +
		r.added("the p99 of its floor", func(t Target) string { return t.Floor })
}

// added compares by the least of the rounds of both: whatever else the machine does only ever adds.
func (r *Run) added(what string, to func(Target) string) string {
	least := map[string]float64{}
	for _, s := range r.Summary {
		if s.Load == Latency {
			least[s.Target] = s.P99.Min
		}
	}
	var slow, unknown []string
	for _, t := range r.Targets {
		if !strings.HasPrefix(t.Name, "tollgate/") || to(t) == "" {
			continue
		}
		than, known := least[to(t)]
		of, also := least[t.Name]
		switch added := of - than; {
		case !known || !also:
			unknown = append(unknown, t.Name)
		case added > prompt:
			slow = append(slow, fmt.Sprintf("%s %.2f", t.Name, added/1000))
		}
	}
	said := "By the least of the rounds, no row of Tollgate's adds more than 1 ms to " + what + "."
	if len(slow) > 0 {
		said = "By the least of the rounds, more than 1 ms is added to " + what + " by: " + strings.Join(slow, ", ") + "."
	}
	if len(unknown) > 0 {
		said += " Most was left out, so that nothing is known, of: " + strings.Join(unknown, ", ") + "."
	}
	return said
}

// leftOut says how many requests do not count.
func (r *Run) leftOut() string {
	all, out := 0, 0
	for i := range r.Samples {
		if s := &r.Samples[i]; s.Load == Latency {
			all, out = all+s.Requests, out+s.LeftOut
		}
	}
	return fmt.Sprintf("Of %d requests %d are left out: a processor of the machine was slow meanwhile.", all, out)
}

// table writes a load's summaries. A column without anything in it is left out.
func (r *Run) table(out *strings.Builder, load string, columns []column) {
	what := map[string]string{}
	for _, t := range r.Targets {
		what[t.Name] = t.What
	}
	var rows []*Summary
	for i := range r.Summary {
		if r.Summary[i].Load == load {
			rows = append(rows, &r.Summary[i])
		}
	}
	columns = slices.DeleteFunc(slices.Clone(columns), func(c column) bool {
		return !slices.ContainsFunc(rows, func(s *Summary) bool { return c.cell(s) != "" })
	})
	out.WriteString("| target | |")
	for _, c := range columns {
		fmt.Fprintf(out, " %s |", c.title)
	}
	out.WriteString("\n|---|---|" + strings.Repeat("--:|", len(columns)) + "\n")
	for _, s := range rows {
		fmt.Fprintf(out, "| %s | %s |", s.Target, what[s.Target])
		for _, c := range columns {
			fmt.Fprintf(out, " %s |", c.cell(s))
		}
		out.WriteString("\n")
	}
}

// String is empty for a figure that there is none of.
func (s Spread) String() string { return s.format(number) }

func (s Spread) ratio() string {
	return s.format(func(v float64) string { return fmt.Sprintf("%.2f", v) })
}

func (s Spread) milliseconds() string {
	return s.format(func(v float64) string { return fmt.Sprintf("%.2f", v/1000) })
}

func (s Spread) format(f func(float64) string) string {
	if s == (Spread{}) {
		return ""
	}
	return fmt.Sprintf("%s (%s…%s)", f(s.Median), f(s.Min), f(s.Max))
}

// number has three digits that say something, and no fraction from 100 on; zero is nothing.
func number(v float64) string {
	switch a := math.Abs(v); {
	case a == 0:
		return ""
	case a < 10:
		return fmt.Sprintf("%.2f", v)
	case a < 100:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}
