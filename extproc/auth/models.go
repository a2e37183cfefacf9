package auth

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"tollgate/config"
	"tollgate/extproc/exchange"
	"tollgate/extproc/openai"
)

// AdmitModel decides whether a client may ask for what it asks for: all models that a request names must be
// among the client's. asked is nil where there is no body. Its error is an *exchange.Refusal.
func AdmitModel(client *config.Client, request *exchange.Request, asked *openai.Request) error {
	if client == nil || len(client.Models) == 0 {
		return nil
	}
	names, err := ModelsOf(request, asked)
	if err != nil {
		return err
	}
	if asked != nil && len(names) == 0 && asked.API != openai.Other {
		return errNoModel // the upstream would choose one
	}
	for _, name := range names {
		if !client.Models.Match(name) {
			return notAllowed(name)
		}
	}
	return nil
}

// ModelOf is the model that a request is for: that of its path, as Azure and Gemini name it, else of its
// body, else of its query. Empty: it names none. Who asks about a model by GET does not use it.
func ModelOf(request *exchange.Request, asked *openai.Request) string {
	path, query, _ := strings.Cut(request.Path, "?")
	if request.Method != http.MethodGet {
		if names := modelsOf(path, ""); len(names) > 0 {
			return names[0]
		}
	}
	if asked != nil && asked.Model != "" {
		return asked.Model
	}
	if names := modelsOf("", query); len(names) > 0 {
		return names[0]
	}
	return ""
}

// ModelsOf are all models that a request names, in its body, its path and its query: which one counts is the
// upstream's to choose. Its error is an *exchange.Refusal.
func ModelsOf(request *exchange.Request, asked *openai.Request) ([]string, error) {
	path, query, _ := strings.Cut(request.Path, "?")
	names := modelsOf(path, query)
	if asked == nil {
		return names, nil
	}
	if ambiguous(asked) {
		return nil, errAmbiguousModel
	}
	if asked.Model != "" {
		names = append(names, asked.Model)
	}
	return names, nil
}

// ambiguous tells whether a body names its model in a way that upstreams may read differently: twice, by
// a name in other letters, which some take for the same, or as something that is no text.
func ambiguous(asked *openai.Request) bool {
	if asked.Repeated {
		return true
	}
	for name, value := range asked.Fields {
		if strings.EqualFold(name, "model") && (name != "model" || len(value) == 0 || value[0] != '"') {
			return true
		}
	}
	return false
}

// modelsOf finds the models that a path or a query names: /deployments/NAME/ (Azure), /models/NAME and
// /models/NAME:generateContent (Gemini), ?model=NAME (realtime). Escapes count as what they stand for.
func modelsOf(path, query string) []string {
	var names []string
	if plain, err := url.PathUnescape(path); err == nil {
		path = plain
	}
	for above, rest := "", path; rest != ""; {
		above, rest, _ = strings.Cut(rest, "/")
		name := ""
		switch above {
		case "deployments", "engines":
			name, _, _ = strings.Cut(rest, "/")
		case "models":
			name = withoutAction(strings.TrimRight(rest, "/"))
		}
		if name != "" {
			names = append(names, name)
		}
	}
	values, _ := url.ParseQuery(query)
	return append(names, values["model"]...)
}

// withoutAction takes Gemini's verb off a model's name; other names hold colons of their own.
func withoutAction(name string) string {
	i := strings.LastIndexByte(name, ':')
	if i < 0 {
		return name
	}
	switch name[i+1:] {
	case "generateContent", "streamGenerateContent", "embedContent", "batchEmbedContents", "countTokens", "predict":
		return name[:i]
	}
	return name
}

// notAllowed is the answer to a model that is not among the client's.
func notAllowed(model string) *exchange.Refusal {
	return &exchange.Refusal{
		Status: 403, Type: "invalid_request_error", Code: "model_not_allowed",
		Message: fmt.Sprintf("Tollgate: this client may not use the model %.100q. Ask whoever gave you the key which ones it may.", model),
	}
}

var (
	errNoModel = &exchange.Refusal{
		Status: 403, Type: "invalid_request_error", Code: "model_not_allowed",
		Message: "Tollgate: the request names no model, and this client may use only some: name one of them.",
	}
	errAmbiguousModel = &exchange.Refusal{
		Status: 400, Type: "invalid_request_error", Code: "ambiguous_model",
		Message: `Tollgate: the request must name its model once, as a text, and by "model" in small letters.`,
	}
)
