package report

import "fmt"

// bare is the target that all are compared with.
const bare = "bare"

// Summary is what a target's rounds under one load come to. CPU time is in microseconds for each request, and
// of streams for each event. Ratios are of all CPU time, within a round.
type Summary struct {
	Target string `json:"target"`
	Load   string `json:"load"`

	EnvoyCPU Spread `json:"envoy_cpu_us"`
	GoCPU    Spread `json:"go_cpu_us"`
	CPU      Spread `json:"cpu_us"`
	ToBare   Spread `json:"ratio_to_bare"`
	ToFloor  Spread `json:"ratio_to_floor"`
	ToBase   Spread `json:"ratio_to_base"`

	Rate Spread `json:"per_second"`
	P50  Spread `json:"latency_p50_us"`
	P99  Spread `json:"latency_p99_us"`
	P999 Spread `json:"latency_p99_9_us"`

	AddedP50 Spread `json:"latency_p50_above_bare_us"`
	AddedP99 Spread `json:"latency_p99_above_bare_us"`

	FirstP50 Spread `json:"first_event_p50_us"`
	FirstP99 Spread `json:"first_event_p99_us"`
	GapP50   Spread `json:"gap_p50_us"`
	GapP99   Spread `json:"gap_p99_us"`

	EnvoyRAM Spread `json:"envoy_resident_bytes"`
	GoRAM    Spread `json:"go_resident_bytes"`
	RAM      Spread `json:"resident_bytes"`

	Beside *Ratios `json:"beside,omitempty"` // nil: there is nothing that it is compared with
}

// Ratios are to the target that the suite is about, within a round.
type Ratios struct {
	CPU  Spread `json:"cpu"`
	Rate Spread `json:"per_second"`
	P50  Spread `json:"latency_p50"`
	P99  Spread `json:"latency_p99"`
	RAM  Spread `json:"resident_bytes"`
}

// Summarize computes the summary from the samples.
func (r *Run) Summarize() {
	at := map[string]*Sample{}
	for i := range r.Samples {
		s := &r.Samples[i]
		if 2*s.LeftOut > s.Requests {
			continue // what is left says nothing of the quantiles
		}
		at[key(s.Target, s.Load, s.Round)] = s
	}
	r.Summary = nil
	for _, load := range []string{Answers, Latency, Streams} {
		for _, t := range r.Targets {
			var rounds []round
			for i := range r.Settings.Rounds {
				if s := at[key(t.Name, load, i)]; s != nil {
					rounds = append(rounds, round{
						Sample: s, bare: at[key(bare, load, i)], floor: at[key(t.Floor, load, i)], base: at[key(t.Base, load, i)],
						beside: at[key(t.Beside, load, i)],
					})
				}
			}
			if len(rounds) > 0 {
				r.Summary = append(r.Summary, summarize(t.Name, load, rounds))
			}
		}
	}
}

func key(target, load string, round int) string { return fmt.Sprint(target, " ", load, " ", round) }

// round is a sample and those that it is compared with; nil: none.
type round struct {
	*Sample

	bare, floor, base, beside *Sample
}

func summarize(target, load string, rounds []round) Summary {
	over := func(f func(round) (value float64, ok bool)) Spread {
		var values []float64
		for _, r := range rounds {
			if value, ok := f(r); ok {
				values = append(values, value)
			}
		}
		return spread(values)
	}
	each := func(f func(*Sample) float64) Spread {
		return over(func(r round) (float64, bool) { return f(r.Sample), true })
	}
	ratio := func(to func(round) *Sample) Spread {
		return over(func(r round) (float64, bool) { return r.ratio(to(r)) })
	}
	above := func(f func(*Sample) float64) Spread {
		return over(func(r round) (float64, bool) {
			if r.bare == nil || r.bare == r.Sample {
				return 0, false
			}
			return f(r.Sample) - f(r.bare), true
		})
	}
	var beside *Ratios
	if rounds[0].beside != nil {
		times := func(f func(*Sample) float64) Spread {
			return over(func(r round) (float64, bool) { return f(r.Sample) / f(r.beside), f(r.beside) > 0 })
		}
		beside = &Ratios{
			CPU: times((*Sample).cpu), Rate: times((*Sample).rate), RAM: times((*Sample).ram),
			P50: times(func(s *Sample) float64 { return s.Latency.P50 }),
			P99: times(func(s *Sample) float64 { return s.Latency.P99 }),
		}
	}
	return Summary{
		Target: target, Load: load, Beside: beside,
		EnvoyCPU: each(func(s *Sample) float64 { return s.EnvoyCPU / s.units() }),
		GoCPU:    each(func(s *Sample) float64 { return s.GoCPU / s.units() }),
		CPU:      each((*Sample).cpu),
		ToBare:   ratio(func(r round) *Sample { return r.bare }),
		ToFloor:  ratio(func(r round) *Sample { return r.floor }),
		ToBase:   ratio(func(r round) *Sample { return r.base }),
		Rate:     each((*Sample).rate),
		P50:      each(func(s *Sample) float64 { return s.Latency.P50 }),
		P99:      each(func(s *Sample) float64 { return s.Latency.P99 }),
		P999:     each(func(s *Sample) float64 { return s.Latency.P999 }),
		AddedP50: above(func(s *Sample) float64 { return s.Latency.P50 }),
		AddedP99: above(func(s *Sample) float64 { return s.Latency.P99 }),
		FirstP50: each(func(s *Sample) float64 { return s.First.P50 }),
		FirstP99: each(func(s *Sample) float64 { return s.First.P99 }),
		GapP50:   each(func(s *Sample) float64 { return s.Gap.P50 }),
		GapP99:   each(func(s *Sample) float64 { return s.Gap.P99 }),
		EnvoyRAM: each(func(s *Sample) float64 { return float64(s.EnvoyRAM) }),
		GoRAM:    each(func(s *Sample) float64 { return float64(s.GoRAM) }),
		RAM:      each((*Sample).ram),
	}
}

// units are what a load's CPU time is divided by.
func (s *Sample) units() float64 {
	if s.Load == Streams {
		return float64(s.Events)
	}
	return float64(s.Requests)
}

// cpu is all of it, for each unit.
func (s *Sample) cpu() float64 { return (s.EnvoyCPU + s.GoCPU) / s.units() }

func (s *Sample) rate() float64 { return s.units() / s.Seconds }

func (s *Sample) ram() float64 { return float64(s.EnvoyRAM + s.GoRAM) }

// ratio is false where there is nothing to compare with.
func (s *Sample) ratio(to *Sample) (float64, bool) {
	if to == nil || to == s || to.cpu() == 0 {
		return 0, false
	}
	return s.cpu() / to.cpu(), true
}
