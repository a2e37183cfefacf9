package auth

import (
	"strconv"
	"time"

	"tollgate/extproc/exchange"
)

// The refusals. Clients read them in OpenAI's shape, so SDKs raise the exceptions that their users
// know; the words say what to do. Never written to.
var (
	errNoKey = &exchange.Refusal{
		Status: 401, Type: "invalid_request_error", Code: "invalid_api_key",
		Message: "Tollgate: no API key: send the key that you were given for this gateway as 'Authorization: Bearer KEY'.",
	}
	errUnknownKey = &exchange.Refusal{
		Status: 401, Type: "invalid_request_error", Code: "invalid_api_key",
		Message: "Tollgate: this API key is not known here: use the one that you were given for this gateway, or ask its operator for one.",
	}
	errKeyInQuery = &exchange.Refusal{
		Status: 400, Type: "invalid_request_error", Code: "api_key_in_query",
		Message: "Tollgate: the API key stands in the URL, where others can read it: send it in a header only.",
	}
	errAddress = &exchange.Refusal{
		Status: 403, Type: "invalid_request_error", Code: "address_not_allowed",
		Message: "Tollgate: your address may not use this route: ask its operator.",
	}
)

// NoKeyLeft refuses a request whose upstream turned down a key, where all others rest for that long.
func NoKeyLeft(wait time.Duration) *exchange.Refusal {
	seconds, milliseconds := (wait+time.Second-1)/time.Second, (wait+time.Millisecond-1)/time.Millisecond
	return &exchange.Refusal{
		Status: 429, Type: "rate_limit_error", Code: "upstream_rate_limit_exceeded",
		Message: "Tollgate: the upstream takes no more requests for now, with none of its keys; come back when retry-after says.",
		Headers: []exchange.Header{
			{Name: "retry-after", Value: strconv.FormatInt(int64(seconds), 10)},
			{Name: "retry-after-ms", Value: strconv.FormatInt(int64(milliseconds), 10)},
		},
	}
}
