package report

import (
	"errors"
	"fmt"
)

// grows is up to how many times the memory of its second quarter a soak may end with: collectors of garbage do not
// leave the same each time.
const grows = 1.10

// Soak is the resident memory of processes, in bytes, over a long time under load.
type Soak struct {
	Seconds float64
	Envoy   []float64
	Go      []float64
}

// quarter is the median of one of the four quarters, from 0.
func quarter(samples []float64, n int) float64 {
	at := func(n int) int { return n * len(samples) / 4 }
	return spread(samples[at(n):at(n+1)]).Median
}

// Markdown is the median of each quarter.
func (s *Soak) Markdown() string {
	line := func(name string, samples []float64) string {
		return fmt.Sprintf("| %s | %s | %s | %s | %s | %.2f |\n", name,
			number(quarter(samples, 0)/1e6), number(quarter(samples, 1)/1e6), number(quarter(samples, 2)/1e6), number(quarter(samples, 3)/1e6),
			quarter(samples, 3)/quarter(samples, 1))
	}
	return fmt.Sprintf("Resident MB over %.0f seconds, the median of each quarter:\n\n"+
		"| | first | second | third | last | last ÷ second |\n|---|--:|--:|--:|--:|--:|\n", s.Seconds) +
		line("Envoy", s.Envoy) + line("Go", s.Go)
}

// Grown is an error where memory has not been flat since the second quarter. The first fills what has a bound.
func (s *Soak) Grown() error {
	var grown []error
	for name, samples := range map[string][]float64{"Envoy": s.Envoy, "Go": s.Go} {
		if before, after := quarter(samples, 1), quarter(samples, 3); after > grows*before {
			grown = append(grown, fmt.Errorf("the memory of %s has grown from %.1f MB in the second quarter to %.1f MB in the last", name, before/1e6, after/1e6))
		}
	}
	return errors.Join(grown...)
}
