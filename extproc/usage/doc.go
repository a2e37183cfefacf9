// Package usage is what an operator sees of calls: metrics for Prometheus, and spans for any
// collector that speaks OTLP.
//
// Both hear a call in the same way. Begin gives a listener; it is told what was asked, each event of
// the answer, and the end:
//
//	meter := metrics.Begin(call)    a *Meter
//	span  := tracer.Begin(call)     a *Span
//	  Asked(request)                the model, and in a span the parameters
//	  Event(event)                  the first token, and nothing after that
//	  Done(answer, end)             statuses, times, tokens
//
// What never is a listener's business is told to [Metrics] at once: refusals of the gate, what the tap
// had to skip, configurations, Envoys.
//
// # Names
//
// Where OpenTelemetry's conventions for generative AI have a name, it is used: in spans as it is, in
// metrics with underscores and the unit. All others begin with tollgate_. In series.go are the metrics
// of calls, in process.go those of Tollgate itself; genai.go has what a call is in the conventions'
// words.
//
// # Labels are bounded
//
// Prometheus keeps every series for as long as Tollgate runs, and a client chooses what it calls a
// model. So each label holds a limited number of values, the rest are counted as "other"; a model gets
// a label only when an upstream answered for it; and the sets of labels are limited too (labels.go).
//
// # Nothing secret
//
// Neither metrics nor spans hold a key. Of an upstream's error they hold its type alone: its message
// may quote the key that was refused. Prompts and answers are in spans only where
// [TraceOptions].Prompts asks for it.
package usage
