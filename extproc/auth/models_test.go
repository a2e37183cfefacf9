package auth_test

import (
	"errors"
	"strings"
	"testing"

	"tollgate/config"
	"tollgate/extproc/auth"
	"tollgate/extproc/exchange"
	"tollgate/extproc/openai"
)

func TestAdmitModel(t *testing.T) {
	t.Parallel()
	client := &config.Client{Models: config.Patterns{"gpt-4o*", "meta/llama", "llama3:8b"}}
	for _, test := range []struct{ path, body, code string }{
		{"/v1/chat/completions", `{"model":"gpt-4o-mini"}`, ""},
		{"/v1/chat/completions", `{"model":"gpt-4"}`, "model_not_allowed"},
		{"/v1/chat/completions", `{}`, "model_not_allowed"},
		{"/v1/chat/completions", `{"model":""}`, "model_not_allowed"},
		{"/v1/chat/completions", `{"model":null}`, "ambiguous_model"},
		{"/v1/chat/completions", `{"model":"gpt-4o","MODEL":"gpt-4"}`, "ambiguous_model"},
		{"/v1/moderations", `{}`, ""},
		{"/v1/moderations", `{"model":"omni"}`, "model_not_allowed"},
		{"/v1/models", "", ""},
		{"/v1/models/", "", ""},
		{"/v1/models/gpt-4o", "", ""},
		{"/v1/models/gpt-4", "", "model_not_allowed"},
		{"/v1/models/meta%2Fllama", "", ""},
		{"/v1/models/meta/llama/", "", ""},
		{"/v1/models/llama3:8b", "", ""},
		{"/v1/models/llama3:70b", "", "model_not_allowed"},
		{"/v1beta/models/gpt-4o:generateContent", "", ""},
		{"/v1beta/models/gemini:streamGenerateContent", "", "model_not_allowed"},
		{"/openai/deployments/gpt-4o/chat/completions?api-version=1", `{}`, ""},
		{"/openai/deployments/gpt-4/chat/completions", `{"model":"gpt-4o"}`, "model_not_allowed"},
		{"/openai/deployments/gpt-4o/chat/completions", `{"model":"gpt-4"}`, "model_not_allowed"},
		{"/openai/deployments%2fgpt-4/chat/completions", `{"model":"gpt-4o"}`, "model_not_allowed"},
		{"/v1/engines/davinci/completions", `{}`, "model_not_allowed"},
		{"/v1/realtime?model=gpt-4o-realtime", "", ""},
		{"/v1/realtime?model=gpt-4o&model=gpt-4", "", "model_not_allowed"},
		{"/v1/realtime?mod%65l=gpt-4", "", "model_not_allowed"},
	} {
		var asked *openai.Request
		if test.body != "" {
			var err error
			if asked, err = openai.ParseRequest(openai.APIOf(test.path), "application/json", []byte(test.body)); err != nil {
				t.Fatal(err)
			}
		}
		err := auth.AdmitModel(client, &exchange.Request{Path: test.path}, asked)
		var refusal *exchange.Refusal
		if got := errors.As(err, &refusal); got != (test.code != "") || got && refusal.Code != test.code {
			t.Errorf("%s %s: got %v, want %q", test.path, test.body, err, test.code)
		}
		if err := auth.AdmitModel(&config.Client{}, &exchange.Request{Path: test.path}, asked); err != nil {
			t.Errorf("%s %s: who may use all models is refused: %v", test.path, test.body, err)
		}
	}
}

func TestModelOf(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ method, path, body, want string }{
		{"POST", "/v1/chat/completions", `{"model":"o3"}`, "o3"},
		{"POST", "/v1/chat/completions", `{}`, ""},
		{"POST", "/v1/images/generations", `{"model":"dall-e-3"}`, "dall-e-3"},
		{"POST", "/openai/deployments/gpt-4o/chat/completions", `{"model":"o3"}`, "gpt-4o"},
		{"POST", "/v1beta/models/gemini:generateContent", `{}`, "gemini"},
		{"GET", "/v1/models/gpt-4o", "", ""},
		{"GET", "/v1/realtime?model=gpt-realtime", "", "gpt-realtime"},
		{"GET", "/v1/files", "", ""},
	} {
		var asked *openai.Request
		if test.body != "" {
			var err error
			if asked, err = openai.ParseRequest(openai.APIOf(test.path), "application/json", []byte(test.body)); err != nil {
				t.Fatal(err)
			}
		}
		if got := auth.ModelOf(&exchange.Request{Method: test.method, Path: test.path}, asked); got != test.want {
			t.Errorf("%s %s %s: got %q, want %q", test.method, test.path, test.body, got, test.want)
		}
	}
}

// TestModelIsNamed: who is refused hears which model was meant, of several the one at fault, and not all of a long one.
func TestModelIsNamed(t *testing.T) {
	t.Parallel()
	client := &config.Client{Models: config.Patterns{"gpt-4o*"}}
	for model, want := range map[string]string{"o3": `"o3"`, strings.Repeat("x", 1000): `"` + strings.Repeat("x", 100) + `"`} {
		err := auth.AdmitModel(client, &exchange.Request{Path: "/v1/realtime?model=gpt-4o&model=" + model}, nil)
		var refusal *exchange.Refusal
		if !errors.As(err, &refusal) || !strings.Contains(refusal.Message, "the model "+want+".") {
			t.Errorf("got %v, want %s in it", err, want)
		}
	}
}
