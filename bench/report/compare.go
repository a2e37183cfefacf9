package report

import (
	"fmt"
	"strings"
)

// besidePeers is what Tollgate costs beside what else does the same.
func (r *Run) besidePeers(out *strings.Builder) {
	fmt.Fprintf(out, "× is how many times the figure of tollgate/keys it is, within a round.\n")
	fmt.Fprintf(out, "\n### An answer of 2 KB\n\n%d connections, each with its next request as soon as it has its answer.\n\n", r.Settings.Connections)
	cpu, cpuTimes := column{"CPU µs", func(s *Summary) string { return s.CPU.String() }}, times(func(r *Ratios) Spread { return r.CPU })
	r.table(out, Answers, []column{
		cpu, cpuTimes,
		{"requests/s", func(s *Summary) string { return s.Rate.String() }},
		times(func(r *Ratios) Spread { return r.Rate }),
		{"resident MB", func(s *Summary) string { return number(s.RAM.Median / 1e6) }},
		times(func(r *Ratios) Spread { return r.RAM }),
	})
	fmt.Fprintf(out, "\n### The same, %.0f requests a second: milliseconds\n\nFrom when a request was due. %s\n\n", r.Settings.Rate, r.leftOut())
	r.table(out, Latency, []column{
		{"p50", func(s *Summary) string { return s.P50.milliseconds() }},
		times(func(r *Ratios) Spread { return r.P50 }),
		{"p99", func(s *Summary) string { return s.P99.milliseconds() }},
		times(func(r *Ratios) Spread { return r.P99 }),
	})
	fmt.Fprintf(out, "\n### A stream, for each event\n\n%d streams at once, %d events each, %s between two. Times in milliseconds.\n\n",
		r.Settings.Streams, r.Settings.Events, r.Settings.Interval)
	r.table(out, Streams, []column{
		cpu, cpuTimes,
		{"events/s", func(s *Summary) string { return s.Rate.String() }},
		times(func(r *Ratios) Spread { return r.Rate }),
		{"first event p50", func(s *Summary) string { return s.FirstP50.milliseconds() }},
		{"gap p99", func(s *Summary) string { return s.GapP99.milliseconds() }},
	})
}

// times is a column of ratios.
func times(of func(r *Ratios) Spread) column {
	return column{"×", func(s *Summary) string {
		if s.Beside == nil {
			return ""
		}
		return of(s.Beside).ratio()
	}}
}
