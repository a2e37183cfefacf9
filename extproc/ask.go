package extproc

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"tollgate/config"
	"tollgate/extproc/exchange"
	"tollgate/extproc/openai"
)

// maxModel is how much of a model's name goes into Envoy's access log: clients can name any.
const maxModel = 100

// read learns what is asked, where Envoy sends the request's body. Where a policy depends on what it
// says, a body that cannot be read is refused; else the upstream says what is wrong with it.
func (v *visit) read() error {
	if err := v.receive(); err != nil {
		return err
	}
	api := openai.APIOf(v.path)
	depends, byModel := v.depends(api), v.limited(config.Limit.ByModel)
	if !v.comes {
		if depends && !v.bodiless && v.request.Method != http.MethodGet { // that is a WebSocket
			return errors.New("Envoy keeps back a body that must be read")
		}
		return nil
	}
	if len(v.body.bytes) == 0 || api == openai.Other && !depends && !byModel {
		return nil
	}
	asked, err := parse(api, v.request, v.body.bytes)
	if err != nil {
		if depends || byModel && encoded(v.request) {
			return err
		}
		return nil
	}
	v.asked = asked
	v.say(config.ModelKey, shortened(asked.Model))
	return nil
}

// shortened is as much of a model's name as is told. No message may hold a letter that is cut in two.
func shortened(model string) string {
	return strings.ToValidUTF8(model[:min(len(model), maxModel)], "")
}

// depends tells whether a policy must know what a request asks.
func (v *visit) depends(api openai.API) bool {
	client := v.decision.Client
	if client != nil && len(client.Models) > 0 {
		return true
	}
	return api != openai.Other && v.limited(func(l config.Limit) bool { return l.Of.Settled() || l.ByModel() })
}

// limited tells whether the request may be under an enforced limit of a kind.
func (v *visit) limited(kind func(config.Limit) bool) bool {
	enforced := func(l config.Limit) bool { return !l.Shadow && kind(l) }
	client := v.decision.Client
	return slices.ContainsFunc(v.route.Limits, enforced) || client != nil && slices.ContainsFunc(client.Limits, enforced)
}

// encoded tells whether a body is compressed, or the like: the upstream may read what the gate cannot.
func encoded(request *exchange.Request) bool {
	encoding := request.Get("content-encoding")
	return encoding != "" && encoding != "identity"
}

// parse reads a body. Its error is an *exchange.Refusal.
func parse(api openai.API, request *exchange.Request, bytes []byte) (*openai.Request, error) {
	if encoded(request) {
		return nil, &exchange.Refusal{
			Status: 415, Type: "invalid_request_error", Code: "encoded_request",
			Message: "Tollgate: the request's body must be read here: send it without content-encoding.",
		}
	}
	asked, err := openai.ParseRequest(api, request.Get("content-type"), bytes)
	if err != nil {
		return nil, &exchange.Refusal{
			Status: 400, Type: "invalid_request_error", Code: "unreadable_request",
			Message: fmt.Sprintf("Tollgate: the request cannot be read: %s.", err),
		}
	}
	return asked, nil
}
