package report

import (
	"encoding/xml"
	"fmt"
	"strings"
)

// The plot's measures, in pixels.
const (
	plotWidth = 860
	barsFrom  = 250
	barsWidth = 500
	barStep   = 22
	barHeight = 14
)

// SVG draws the CPU time of each target for a request and for an event, Envoy's and Go's end to end. It needs
// no background: its colours show on light and on dark.
func (r *Run) SVG() string {
	var body strings.Builder
	y := 24
	for _, chart := range []struct{ load, title string }{
		{Answers, "CPU microseconds per request, an answer of 2 KB"},
		{Streams, "CPU microseconds per event of a stream"},
	} {
		y = r.chart(&body, chart.load, chart.title, y)
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">
<style>
text { fill: #57606a } .envoy { fill: #8250df } .go { fill: #1a7f9c }
@media (prefers-color-scheme: dark) { text { fill: #adbac7 } .envoy { fill: #b083f0 } .go { fill: #39c5cf } }
</style>
<rect class="envoy" x="%d" y="2" width="12" height="12"/><text x="%d" y="12">Envoy</text>
<rect class="go" x="%d" y="2" width="12" height="12"/><text x="%d" y="12">Go</text>
%s</svg>
`, plotWidth, y, plotWidth-130, plotWidth-114, plotWidth-60, plotWidth-44, body.String())
}

// chart draws one load's bars from y on, and returns where it ends.
func (r *Run) chart(out *strings.Builder, load, title string, y int) int {
	var rows []*Summary
	most := 0.0
	for i := range r.Summary {
		if s := &r.Summary[i]; s.Load == load && s.CPU.Median > 0 {
			rows, most = append(rows, s), max(most, s.EnvoyCPU.Median+s.GoCPU.Median)
		}
	}
	if len(rows) == 0 {
		return y
	}
	fmt.Fprintf(out, `<text x="10" y="%d" font-weight="bold">%s</text>`+"\n", y, title)
	for _, s := range rows {
		y += barStep
		envoy, golang := barsWidth*s.EnvoyCPU.Median/most, barsWidth*s.GoCPU.Median/most
		fmt.Fprintf(out, `<text x="%d" y="%d" text-anchor="end">%s</text>`, barsFrom-8, y, escaped(s.Target))
		fmt.Fprintf(out, `<rect class="envoy" x="%d" y="%d" width="%.1f" height="%d"/>`, barsFrom, y-11, envoy, barHeight)
		fmt.Fprintf(out, `<rect class="go" x="%.1f" y="%d" width="%.1f" height="%d"/>`, barsFrom+envoy, y-11, golang, barHeight)
		fmt.Fprintf(out, `<text x="%.1f" y="%d">%s</text>`+"\n", barsFrom+envoy+golang+6, y, number(s.CPU.Median))
	}
	return y + 2*barStep
}

func escaped(text string) string {
	var out strings.Builder
	_ = xml.EscapeText(&out, []byte(text)) // into memory: cannot fail
	return out.String()
}
