package report

import (
	"fmt"
	"strings"
)

// flat is up to how many times the figure of one something may cost that there are many of.
const flat = 1.10

// besideLess is what Tollgate costs with more and more of something.
func (r *Run) besideLess(out *strings.Builder) {
	fmt.Fprintf(out, "× is how many times the figure of the first it is, within a round.\n")
	fmt.Fprintf(out, "\n### With many routes and clients: an answer of 2 KB\n\n%d connections, each with its next request as soon as it has its answer.\n\n",
		r.Settings.Connections)
	r.table(out, Answers, []column{
		{"Envoy", func(s *Summary) string { return number(s.EnvoyCPU.Median) }},
		{"Go", func(s *Summary) string { return number(s.GoCPU.Median) }},
		{"CPU µs", func(s *Summary) string { return s.CPU.String() }},
		times(func(r *Ratios) Spread { return r.CPU }),
	})
	fmt.Fprintf(out, "\n%s\n", r.flatness())
	r.stepTable(out)
	r.openTable(out)
}

// flatness says whether the CPU time of a request grows, by the medians.
func (r *Run) flatness() string {
	var grown []string
	for _, s := range r.Summary {
		if s.Load == Answers && s.Beside != nil && s.Beside.CPU.Median > flat {
			grown = append(grown, fmt.Sprintf("%s: %.2f times", s.Target, s.Beside.CPU.Median))
		}
	}
	if len(grown) == 0 {
		return fmt.Sprintf("No request takes more than %.2f times the CPU time of the first.", flat)
	}
	return fmt.Sprintf("More than %.2f times the CPU time of the first: %s.", flat, strings.Join(grown, "; "))
}

// stepTable shows memory, how much of it each route or client takes, and how long a start and an edit take.
func (r *Run) stepTable(out *strings.Builder) {
	if len(r.Steps) == 0 {
		return
	}
	out.WriteString("\n### The same: memory, start, edit\n\nMemory some seconds after the requests; for each route or client above the first. " +
		"A start is that of all processes; an edit adds a route to the file, and is over when it is served.\n\n" +
		"| target | Envoy MB | Go MB | Envoy KB for each | Go KB for each | start s | edit ms |\n|---|--:|--:|--:|--:|--:|--:|\n")
	first := r.Steps[0]
	for _, s := range r.Steps {
		more := max(s.Routes-first.Routes, s.Clients-first.Clients)
		fmt.Fprintf(out, "| %s | %s | %s | %s | %s | %.1f | %s |\n", s.Target,
			number(float64(s.EnvoyRAM)/1e6), number(float64(s.GoRAM)/1e6),
			each(s.EnvoyRAM-first.EnvoyRAM, more), each(s.GoRAM-first.GoRAM, more), s.Start, spread(s.Edits).times(1e3))
	}
}

// openTable shows what an event costs, and what a stream holds, of the more streams at once.
func (r *Run) openTable(out *strings.Builder) {
	if len(r.Open) == 0 {
		return
	}
	out.WriteString("\n### Streams open at once\n\nOf a route whose tokens are counted. All streams together have as many events a second " +
		"in each row; memory is for each stream above the first, under these events and where none comes for some seconds.\n\n" +
		"| streams | Envoy µs for an event | Go | all | × | Envoy KB for a stream | Go | silent: Envoy KB | Go |\n" +
		"|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	first := r.Open[0]
	for _, o := range r.Open {
		more := int64(o.Streams - first.Streams)
		fmt.Fprintf(out, "| %d | %s | %s | %s | %.2f | %s | %s | %s | %s |\n", o.Streams, number(o.EnvoyCPU/float64(o.Events)), number(o.GoCPU/float64(o.Events)),
			number(o.cpu()), o.cpu()/first.cpu(), each(o.EnvoyRAM-first.EnvoyRAM, more), each(o.GoRAM-first.GoRAM, more),
			each(o.SilentEnvoyRAM-first.SilentEnvoyRAM, more), each(o.SilentGoRAM-first.SilentGoRAM, more))
	}
}

func (o *Open) cpu() float64 { return (o.EnvoyCPU + o.GoCPU) / float64(o.Events) }

// each is kilobytes for each; empty where there is none.
func each(bytes, n int64) string {
	if n == 0 {
		return ""
	}
	return number(float64(bytes) / float64(n) / 1e3)
}

// times is a figure in another unit.
func (s Spread) times(factor float64) string {
	return Spread{s.Min * factor, s.Median * factor, s.Max * factor}.String()
}
