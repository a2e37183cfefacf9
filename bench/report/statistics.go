package report

import (
	"math"
	"slices"
	"time"
)

// QuantilesOf sorts times, and reads their quantiles: the smallest time that the share does not exceed. None
// has zeros.
func QuantilesOf(times []time.Duration) Quantiles {
	slices.Sort(times)
	return Quantiles{P50: quantile(times, 0.50), P99: quantile(times, 0.99), P999: quantile(times, 0.999)}
}

func quantile(sorted []time.Duration, share float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(share*float64(len(sorted)))) - 1
	return float64(sorted[max(0, rank)].Nanoseconds()) / 1000
}

// Spread is a figure over the rounds.
type Spread struct {
	Min    float64 `json:"min"`
	Median float64 `json:"median"`
	Max    float64 `json:"max"`
}

// spread is the zero Spread where there are no values.
func spread(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return Spread{Min: sorted[0], Median: (sorted[(n-1)/2] + sorted[n/2]) / 2, Max: sorted[n-1]}
}
