package main

import (
	"time"

	"go.uber.org/zap"

	"tollgate/config/money"
	"tollgate/extproc/exchange"
	"tollgate/extproc/openai"
)

// callLine logs one line a call with what Envoy's access log cannot know: the model and the tokens.
// The id ties the two.
type callLine struct {
	log   *zap.Logger
	call  *exchange.Call
	model string
}

// Asked notes the model.
func (l *callLine) Asked(request *openai.Request) { l.model = request.Model }

// Event is not looked at.
func (l *callLine) Event(*openai.Event) {}

// Words is false: a line has none of them.
func (l *callLine) Words() bool { return false }

// Done writes the line.
func (l *callLine) Done(answer *openai.Answer, end exchange.End) {
	fields := []zap.Field{
		zap.String("call", l.call.ID),
		zap.String("client", l.call.Client),
		zap.String("route", l.call.Route),
		zap.String("path", l.call.Path),
		zap.String("model", l.model),
		zap.String("cause", string(end.Cause)),
		zap.Int("status", end.Status),
		zap.Int("events", end.Events),
		zap.Int64("bytes", end.Bytes),
		zap.Duration("duration", end.Last.Sub(l.call.Began)),
	}
	if l.call.Shadowed {
		fields = append(fields, zap.String("shadow", "refuse"))
	}
	if l.call.Cache != "" {
		fields = append(fields, zap.String("cache", string(l.call.Cache)))
	}
	if end.Code != "" {
		fields = append(fields, zap.String("code", end.Code))
	}
	if !end.First.IsZero() {
		fields = append(fields, zap.Duration("first_byte", end.First.Sub(l.call.Began).Round(time.Microsecond)))
	}
	if answer != nil && answer.Usage != nil {
		fields = append(fields, zap.Int("input_tokens", answer.Usage.Prompt), zap.Int("output_tokens", answer.Usage.Completion))
	}
	if end.Priced {
		fields = append(fields, zap.String("cost_usd", money.Amount(end.Cost).Decimal()))
	}
	if end.Saved > 0 {
		fields = append(fields, zap.String("saved_usd", money.Amount(end.Saved).Decimal()))
	}
	l.log.Info("call", fields...)
}
