package report

import (
	"errors"
	"fmt"
)

// Loss is an error where a target takes more CPU time for a request, or for an event, than so many times that
// of its base. The least of the rounds are compared: what else the machine does only ever adds.
func (r *Run) Loss(tolerated float64) error {
	base := map[string]string{}
	for _, t := range r.Targets {
		base[t.Name] = t.Base
	}
	least := map[string]float64{}
	for _, s := range r.Summary {
		least[s.Load+" "+s.Target] = s.CPU.Min
	}
	var losses []error
	for _, s := range r.Summary {
		before := least[s.Load+" "+base[s.Target]]
		if s.Load != Latency && before > 0 && s.CPU.Min > tolerated*before {
			losses = append(losses, fmt.Errorf("%s, %s: %.1f microseconds of CPU time, and %.1f before: %.2f times as much, more than %.2f",
				s.Target, s.Load, s.CPU.Min, before, s.CPU.Min/before, tolerated))
		}
	}
	return errors.Join(losses...)
}
