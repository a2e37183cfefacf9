package extproc

import (
	"encoding/json"

	"tollgate/extproc/exchange"
)

// errorBody is a refusal in OpenAI's shape: {"error": {"message", "type", "param", "code"}}.
func errorBody(r *exchange.Refusal) []byte {
	type openAIError struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   *string `json:"param"`
		Code    string  `json:"code"`
	}
	// Strings and a nil pointer: encoding cannot fail.
	body, _ := json.Marshal(map[string]openAIError{"error": {Message: r.Message, Type: r.Type, Code: r.Code}})
	return body
}
