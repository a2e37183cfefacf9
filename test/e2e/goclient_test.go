package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/ssestream"
	"github.com/openai/openai-go/v3/responses"
	"github.com/openai/openai-go/v3/shared"

	"tollgate/test/mock"
)

// goSeen is what the SDK's user sees, and below it each answer's status and headers in their order.
type goSeen struct {
	t       *testing.T
	ctx     context.Context
	Results []string
	Answers []string
}

// goClient makes a fixed list of calls and returns all it saw.
func goClient(t *testing.T, s side) (results, answers []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	saw := &goSeen{t: t, ctx: ctx}
	client := openai.NewClient(
		option.WithBaseURL(s.url+"/v1"), option.WithAPIKey(s.key), option.WithMaxRetries(0),
		option.WithUnsafeAllowHTTP(), option.WithMiddleware(saw.answer),
	)
	saw.chats(&client)
	saw.media(&client)
	saw.files(&client)
	saw.models(&client)
	saw.responses(&client)
	saw.errors(&client)
	return saw.Results, saw.Answers
}

// answer notes an answer, but for the time of day; a refusal's own words and headers are the gateway's.
func (s *goSeen) answer(r *http.Request, next option.MiddlewareNext) (*http.Response, error) {
	response, err := next(r)
	if err == nil {
		h := response.Header.Clone()
		h.Del("date")
		if response.StatusCode == http.StatusUnauthorized {
			h = nil
		}
		s.Answers = append(s.Answers, fmt.Sprint(r.Method, " ", r.URL.EscapedPath(), " ", response.Status, " ", h))
	}
	return response, err
}

// add notes a result, which must be there.
func (s *goSeen) add(name, raw string, err error) {
	s.t.Helper()
	if err != nil || raw == "" {
		s.t.Errorf("%s: got %q, %v", name, raw, err)
	}
	s.Results = append(s.Results, name+": "+raw)
}

// fail notes an error of the API's.
func (s *goSeen) fail(name string, err error, whole bool) {
	s.t.Helper()
	var api *openai.Error
	if !errors.As(err, &api) {
		s.t.Errorf("%s: got %T %v", name, err, err)
		return
	}
	result := fmt.Sprint(name, ": ", api.StatusCode, " ", api.Type, " ", api.Code)
	if whole {
		result += " " + api.RawJSON()
	}
	s.Results = append(s.Results, result)
}

// drain notes each event of a stream.
func drain[T interface{ RawJSON() string }](s *goSeen, name string, stream *ssestream.Stream[T]) {
	s.t.Helper()
	events := 0
	for stream.Next() {
		s.add(fmt.Sprint(name, " ", events), stream.Current().RawJSON(), nil)
		events++
	}
	if err := stream.Err(); err != nil || events < 5 {
		s.t.Errorf("%s: %d events, then %v", name, events, err)
	}
	_ = stream.Close()
}

func (s *goSeen) chats(client *openai.Client) {
	params := openai.ChatCompletionNewParams{
		Model:    "gpt-4o-mini",
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("What is the answer? Grüße, 世界 🌍")},
	}
	chat, err := client.Chat.Completions.New(s.ctx, params)
	s.add("chat", chat.RawJSON(), err)
	counted := params
	counted.StreamOptions.IncludeUsage = openai.Bool(true)
	drain(s, "stream", client.Chat.Completions.NewStreaming(s.ctx, counted, option.WithHeader("mock-events", "40")))

	params.Tools = []openai.ChatCompletionToolUnionParam{
		openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{Name: "weather"}),
		openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{Name: "time"}),
	}
	called, err := client.Chat.Completions.New(s.ctx, params)
	s.add("tools", called.RawJSON(), err)
	stream := client.Chat.Completions.NewStreaming(s.ctx, params)
	var whole openai.ChatCompletionAccumulator
	for stream.Next() {
		whole.AddChunk(stream.Current())
	}
	if len(whole.Choices) != 1 || len(whole.Choices[0].Message.ToolCalls) != 2 {
		s.t.Fatalf("the streamed tool calls are %+v, %v", whole.Choices, stream.Err())
	}
	for _, call := range whole.Choices[0].Message.ToolCalls {
		s.add("tool "+call.Function.Name, call.Function.Arguments, stream.Err())
	}

	completion, err := client.Completions.New(s.ctx, openai.CompletionNewParams{
		Model: "m", Prompt: openai.CompletionNewParamsPromptUnion{OfString: openai.String("one")},
	})
	s.add("completion", completion.RawJSON(), err)
}

func (s *goSeen) media(client *openai.Client) {
	vectors, err := client.Embeddings.New(s.ctx, openai.EmbeddingNewParams{
		Model: "text-embedding-3-small", Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"one", "two"}},
	})
	s.add("embeddings", vectors.RawJSON(), err)
	image, err := client.Images.Generate(s.ctx, openai.ImageGenerateParams{
		Prompt: "a toll gate", ResponseFormat: openai.ImageGenerateParamsResponseFormatB64JSON,
	})
	s.add("image", image.RawJSON(), err)
	if _, err := base64.StdEncoding.DecodeString(image.Data[0].B64JSON); err != nil {
		s.t.Errorf("the image: %v", err)
	}
	heard, err := client.Audio.Transcriptions.New(s.ctx, openai.AudioTranscriptionNewParams{
		Model: "whisper-1", File: openai.File(newPattern(76_800), "a.wav", "audio/wav"),
	})
	s.add("transcription", heard.RawJSON(), err)
	spoken, err := client.Audio.Speech.New(s.ctx, openai.AudioSpeechNewParams{
		Model: "tts-1", Input: "hello", Voice: openai.AudioSpeechNewParamsVoiceUnion{OfString: openai.String("alloy")},
	}, option.WithHeader("mock-size", "300000"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = spoken.Body.Close() }()
	s.add("speech", digestOf(s.t, spoken.Body), nil)
}

func (s *goSeen) files(client *openai.Client) {
	uploaded, err := client.Files.New(s.ctx, openai.FileNewParams{
		File: openai.File(bytes.NewReader(mock.Pattern(0, 100_000)), "ümläut.jsonl", "application/jsonl"), Purpose: openai.FilePurposeBatch,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.add("uploaded", uploaded.RawJSON(), nil)
	list, err := client.Files.List(s.ctx, openai.FileListParams{})
	s.add("listed", list.RawJSON(), err)
	retrieved, err := client.Files.Get(s.ctx, uploaded.ID)
	s.add("retrieved", retrieved.RawJSON(), err)
	content, err := client.Files.Content(s.ctx, uploaded.ID)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = content.Body.Close() }()
	s.add("content", digestOf(s.t, content.Body), nil)
	deleted, err := client.Files.Delete(s.ctx, uploaded.ID)
	s.add("deleted", deleted.RawJSON(), err)
}

func (s *goSeen) models(client *openai.Client) {
	list, err := client.Models.List(s.ctx)
	s.add("models", list.RawJSON(), err)
	for _, name := range []string{"gpt-4o-mini", "meta/llama"} {
		model, err := client.Models.Get(s.ctx, name)
		s.add("model", model.RawJSON(), err)
	}
}

func (s *goSeen) responses(client *openai.Client) {
	params := responses.ResponseNewParams{
		Model: "gpt-4o-mini", Input: responses.ResponseNewParamsInputUnion{OfString: openai.String("Who are you?")},
	}
	response, err := client.Responses.New(s.ctx, params)
	s.add("response", response.RawJSON(), err)
	drain(s, "response stream", client.Responses.NewStreaming(s.ctx, params))
}

func (s *goSeen) errors(client *openai.Client) {
	_, err := client.Models.List(s.ctx, option.WithAPIKey("wrong-key-0123456789"))
	s.fail("wrong key", err, false)
	_, err = client.Models.Get(s.ctx, "none")
	s.fail("not found", err, true)
	for _, status := range []string{"400", "403", "409", "422", "429", "500", "503"} {
		_, err = client.Models.List(s.ctx, option.WithHeader("mock-status", status), option.WithHeader("mock-header", "retry-after: 1"))
		s.fail(status, err, true)
	}
}
