package usage

import (
	"encoding/json"
	"strconv"

	"tollgate/extproc/exchange"
	"tollgate/extproc/openai"
)

const (
	none  = "none"  // no answer was seen
	other = "other" // what has no label of its own
)

// operation is gen_ai.operation.name; the convention has no word for transcriptions.
func operation(api openai.API) string {
	switch api {
	case openai.Chat, openai.Responses, openai.Messages:
		return "chat"
	case openai.Completions:
		return "text_completion"
	case openai.Embeddings:
		return "embeddings"
	case openai.Transcriptions:
		return "transcription"
	default:
		return other
	}
}

// provider is gen_ai.provider.name: whose API is spoken, as far as that can be told.
func provider(api openai.API) string {
	if api == openai.Messages {
		return "anthropic"
	}
	return "openai"
}

// statusClass is the first digit of a status: 2xx.
func statusClass(status int) string {
	if c := status / 100; c >= 1 && c <= 5 {
		return [...]string{"1xx", "2xx", "3xx", "4xx", "5xx"}[c-1]
	}
	return none
}

// errorType is error.type: empty where all went well, else one of few words. It never holds anything
// that an upstream wrote freely.
func errorType(answer *openai.Answer, end exchange.End) string {
	switch {
	case end.Cause == exchange.Refused && end.Code != "":
		return plain(end.Code)
	case end.Status >= 400 && end.Status <= 599:
		return strconv.Itoa(end.Status)
	case answer != nil && len(answer.Error) > 0:
		return errorIn(answer.Error)
	case end.Cause == exchange.Whole:
		return ""
	default:
		return plain(string(end.Cause))
	}
}

// errorIn is the type of an error object, such as overloaded_error.
func errorIn(object json.RawMessage) string {
	var e struct {
		Type string `json:"type"`
	}
	if json.Unmarshal(object, &e) != nil {
		return "_OTHER"
	}
	return plain(e.Type)
}

// plain lets short identifiers through, without digits: whatever else an upstream or a client put
// there, a key it is not. _OTHER is the convention's word for the rest.
func plain(word string) string {
	if word == "" || len(word) > 48 {
		return "_OTHER"
	}
	for _, c := range []byte(word) {
		if c != '_' && (c < 'a' || c > 'z') {
			return "_OTHER"
		}
	}
	return word
}
