package openai_test

import (
	"testing"

	"tollgate/extproc/openai"
)

func TestAPIOf(t *testing.T) {
	for path, want := range map[string]openai.API{
		"/chat/completions":                           openai.Chat,
		"/v1/chat/completions":                        openai.Chat,
		"/v1/chat/completions/":                       openai.Chat,
		"chat/completions":                            openai.Chat,
		"/v1//chat//completions":                      openai.Chat,
		"/openai/deployments/gpt-4o/chat/completions": openai.Chat,
		"/v1/completions":                             openai.Completions,
		"/completions":                                openai.Completions,
		"/wechat/completions":                         openai.Completions,
		"/v1/responses":                               openai.Responses,
		"/v1/responses/resp_1":                        openai.Other,
		"/v1/embeddings":                              openai.Embeddings,
		"/v1/audio/transcriptions":                    openai.Transcriptions,
		"/v1/audio/translations":                      openai.Transcriptions,
		"/v1/transcriptions":                          openai.Other,
		"/v1/audio/speech":                            openai.Other,
		"/v1/messages":                                openai.Messages,
		"/anthropic/v1/messages":                      openai.Messages,
		"/v1/messages/count_tokens":                   openai.Other,
		"/v1/messages/batches":                        openai.Other,
		"/v1/threads/thr_1/messages":                  openai.Other,
		"/v1/models":                                  openai.Other,
		"/":                                           openai.Other,
		"":                                            openai.Other,
		"///":                                         openai.Other,
	} {
		if got := openai.APIOf(path); got != want {
			t.Errorf("APIOf(%q) = %q, want %q", path, got, want)
		}
	}
}

func FuzzAPIOf(f *testing.F) {
	f.Add("/v1/chat/completions")
	f.Fuzz(func(t *testing.T, path string) {
		if got, slashed := openai.APIOf(path), openai.APIOf(path+"/"); got != slashed {
			t.Errorf("APIOf(%q) = %q, with a slash %q", path, got, slashed)
		}
	})
}
