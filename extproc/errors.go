package extproc

import (
	"encoding/json"
	"fmt"

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

// errNowhere is the answer to what Envoy found no route for, whatever its path: CONNECT, and the like.
func errNowhere() error {
	return &exchange.Refusal{
		Status: 404, Type: "invalid_request_error", Code: "unknown_route",
		Message: "Tollgate: no route of this gateway takes this request.",
	}
}

// errUnknown is the end of a stream on a route of another configuration than those that are known, or of a path that
// the route is not for.
func errUnknown(name string) error {
	return fmt.Errorf("Envoy names a route that is not known here: %q", name)
}
