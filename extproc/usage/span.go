package usage

import (
	"encoding/json"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.40.0"
	"go.opentelemetry.io/otel/trace"

	"tollgate/extproc/exchange"
	"tollgate/extproc/openai"
)

// Span traces one call. It is used by one goroutine.
type Span struct {
	tracer *Tracer
	call   *exchange.Call
	span   trace.Span
	api    openai.API
	first  firstToken
	ended  bool
}

// name is the span's: "chat gpt-4o". What is none of the convention's operations is named after its
// route, as paths are too many.
func name(api openai.API, model string, call *exchange.Call) string {
	switch {
	case api == openai.Other:
		return valid(call.Method + " " + call.Route)
	case model == "":
		return operation(api)
	default:
		return operation(api) + " " + model
	}
}

func (s *Span) setAPI(api openai.API) {
	if api != openai.Other {
		s.span.SetAttributes(
			semconv.GenAIOperationNameKey.String(operation(api)),
			semconv.GenAIProviderNameKey.String(provider(api)))
	}
}

// Asked hears what was asked; nil: it could not be read.
func (s *Span) Asked(request *openai.Request) {
	if request == nil || !s.span.IsRecording() {
		return
	}
	s.api = request.API
	s.setAPI(request.API)
	s.span.SetName(name(request.API, clip(request.Model), s.call))
	s.span.SetAttributes(parameters(request)...)
	if s.tracer.prompts {
		s.span.SetAttributes(prompts(request)...)
	}
}

// parameters are those of a request that the convention names. A value of another type than the
// API's is left out.
func parameters(request *openai.Request) []attribute.KeyValue {
	as := []attribute.KeyValue{attribute.Bool("gen_ai.request.stream", request.Stream)}
	if request.Model != "" {
		as = append(as, semconv.GenAIRequestModel(clip(request.Model)))
	}
	for _, p := range [...]struct {
		field     string
		attribute attribute.Key
	}{
		{"max_tokens", semconv.GenAIRequestMaxTokensKey},
		{"max_completion_tokens", semconv.GenAIRequestMaxTokensKey}, // the newer names win
		{"max_output_tokens", semconv.GenAIRequestMaxTokensKey},
		{"n", semconv.GenAIRequestChoiceCountKey},
		{"seed", semconv.GenAIRequestSeedKey},
	} {
		var n int64
		if given(request, p.field, &n) {
			as = append(as, p.attribute.Int64(n))
		}
	}
	for _, p := range [...]string{"temperature", "top_p", "frequency_penalty", "presence_penalty"} {
		var f float64
		if given(request, p, &f) {
			as = append(as, attribute.Float64("gen_ai.request."+p, f))
		}
	}
	return as
}

// given reads a member of the request's body into a value, if it is there and is not null.
func given(request *openai.Request, field string, value any) bool {
	raw := request.Fields[field]
	return len(raw) > 0 && string(raw) != "null" && json.Unmarshal(raw, value) == nil
}

// Event marks the first token in the span.
func (s *Span) Event(event *openai.Event) {
	if s.span.IsRecording() && s.first.see(event, s.tracer.now) {
		s.span.AddEvent("tollgate.first_token", trace.WithTimestamp(s.first.at))
	}
}

// Words tells whether the span will tell of what was said.
func (s *Span) Words() bool { return s.span.IsRecording() }

// Done ends the span. What comes after the first Done is ignored.
func (s *Span) Done(answer *openai.Answer, end exchange.End) {
	if s.ended {
		return
	}
	s.ended = true
	if s.span.IsRecording() {
		s.ending(answer, end)
		if answer != nil {
			s.answer(answer)
		}
	}
	last := end.Last
	if last.IsZero() {
		last = s.tracer.now()
	}
	s.span.End(trace.WithTimestamp(last))
}

// ending tells how the call ended.
func (s *Span) ending(answer *openai.Answer, end exchange.End) {
	s.span.SetAttributes(attribute.String("tollgate.end", string(end.Cause)))
	s.span.SetAttributes(s.tracer.upstream(end.Upstream)...)
	if end.Status > 0 {
		s.span.SetAttributes(semconv.HTTPResponseStatusCode(end.Status))
	}
	if !s.first.at.IsZero() {
		s.span.SetAttributes(attribute.Float64("gen_ai.response.time_to_first_chunk",
			seconds(s.call.Began, s.first.at)))
	}
	if failure := errorType(answer, end); failure != "" {
		s.span.SetAttributes(semconv.ErrorTypeKey.String(failure))
		s.span.SetStatus(codes.Error, failure)
	}
}

// answer tells what came back.
func (s *Span) answer(answer *openai.Answer) {
	if answer.Model != "" {
		s.span.SetAttributes(semconv.GenAIResponseModel(clip(answer.Model)))
	}
	if answer.ID != "" {
		s.span.SetAttributes(semconv.GenAIResponseID(clip(answer.ID)))
	}
	var reasons []string
	for i := range answer.Choices {
		if r := answer.Choices[i].FinishReason; r != "" {
			reasons = append(reasons, clip(r))
		}
	}
	if len(reasons) > 0 {
		s.span.SetAttributes(semconv.GenAIResponseFinishReasons(reasons...))
	}
	if answer.Usage != nil {
		s.span.SetAttributes(spent(answer.Usage)...)
	}
	if s.tracer.prompts {
		s.span.SetAttributes(answers(answer)...)
	}
}

func spent(u *openai.Usage) []attribute.KeyValue {
	as := []attribute.KeyValue{semconv.GenAIUsageInputTokens(u.Prompt), semconv.GenAIUsageOutputTokens(u.Completion)}
	if u.Cached > 0 {
		as = append(as, semconv.GenAIUsageCacheReadInputTokens(u.Cached))
	}
	if u.Reasoning > 0 {
		as = append(as, attribute.Int("gen_ai.usage.reasoning.output_tokens", u.Reasoning))
	}
	return as
}

// clip shortens what should be short anyway, but was written by others. Exports refuse what is not
// valid UTF-8: a cut rune goes.
func clip(text string) string {
	return valid(text[:min(len(text), maxLength)])
}
