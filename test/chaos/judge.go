package chaos

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"tollgate/test/mock"
)

// Judge says what is wrong with what clients and upstreams saw; nothing where all promises were kept.
func (h *History) Judge() []string {
	var problems []string
	say := func(o *Outcome, problem string) {
		if problem != "" {
			problems = append(problems, fmt.Sprintf("%s: %s\n\tsent %v, ended %v: %d %q, %d bytes: %.200q", o.Call, problem,
				o.Sent, o.Ended, o.Status, o.Err, len(o.Body), o.Body))
		}
	}
	calls := map[string]*Call{}
	for _, o := range h.Outcomes {
		calls[o.Name] = o.Call
	}
	for _, o := range h.Outcomes {
		say(o, h.answer(calls, o))
		say(o, h.failed(o))
		say(o, h.repeated(o))
	}
	return append(problems, h.limits()...)
}

// answer says what is wrong with an answer, as far as it came.
func (h *History) answer(calls map[string]*Call, o *Outcome) string {
	switch {
	case o.Hung:
		return "it hangs"
	case o.Status == 0:
		return "" // the connection was cut
	case o.Behaviour == Stranger && o.Status != http.StatusUnauthorized && o.Status < 500:
		return "a key that nobody has opened the door"
	case o.Status != http.StatusOK:
		return dishonest(o)
	}
	hit := strings.Contains(o.Header.Get("cache-status"), "; hit")
	of := o.Call
	if name := callName(o.Body); name != "" && o.Kind != Embedding {
		if of = calls[name]; of == nil {
			return "nobody asked for this answer"
		}
	}
	if !o.SharesWith(of) {
		return "it is the answer of " + of.Name
	}
	if hit && o.Kind != Embedding && !h.healthy(of.Name) {
		return "a broken answer was kept: that of " + of.Name
	}
	return h.compare(o, of, hit)
}

// dishonest says what is wrong with an error.
func dishonest(o *Outcome) string {
	if !o.whole() {
		return ""
	}
	var body struct {
		Error *struct {
			Message, Type string
			Code          *string
		}
	}
	err := json.Unmarshal([]byte(o.Body), &body)
	switch {
	case o.Status < 400 || o.Status > 599:
		return "it is no status of an error"
	case err != nil || body.Error == nil || body.Error.Message == "" || body.Error.Type == "":
		return "it is no error in OpenAI's shape"
	case !strings.HasPrefix(o.Header.Get("content-type"), "application/json"):
		return "the error has the content type " + o.Header.Get("content-type")
	case body.Error.Code == nil:
		return ""
	}
	switch *body.Error.Code {
	case "gate_without_verdict", "unknown_route", "bad_request", "request_too_large", "headers_too_large", "bad_mock_header":
		return "nothing in this run can lead to that"
	}
	return ""
}

// compare says where an answer differs from what the upstream sent for a call.
func (h *History) compare(o *Outcome, of *Call, hit bool) string {
	want, body := of.Sent(), strings.Replace(o.Body, mock.Noise, "", 1)
	begins := strings.HasPrefix(want, body) || strings.HasPrefix(want, strings.TrimSuffix(body, mock.Noise[:1]))
	switch {
	case body == want:
		return ""
	case !o.whole() && begins:
		return "" // cut, honestly
	case h.last(of.Name).Fault.Does() == Garbage && !hit:
		return h.garbage(o, body, want, begins)
	case hit && (of.Kind != o.Kind || of.Streams()):
		return otherForm(o, want)
	case begins:
		return fmt.Sprintf("it ends in good order, and is not all: %d of %d bytes", len(body), len(want))
	}
	return fmt.Sprintf("it is not what the upstream sent: %.300q", want)
}

// garbage allows for what an upstream sent that way itself.
func (h *History) garbage(o *Outcome, body, want string, begins bool) string {
	at := len(body)
	for at > 0 && !strings.HasPrefix(want, body[:at]) {
		at--
	}
	if begins || !o.whole() && strings.HasPrefix(mock.Noise, body[at:]) {
		return ""
	}
	return fmt.Sprintf("it is not even the garbage that the upstream sent: %.300q", want)
}

// otherForm compares an answer from the cache with one that was kept in another form.
func otherForm(o *Outcome, want string) string {
	wanted, _ := saidText(want)
	text, ended := saidText(o.Body)
	if o.whole() && (text != wanted || !ended) || !strings.HasPrefix(wanted, text) {
		return fmt.Sprintf("the text is %.100q, and was kept as %.100q (ended: %v)", text, wanted, ended)
	}
	return ""
}

// failed says why a call should have succeeded that did not.
func (h *History) failed(o *Outcome) string {
	if o.good() || o.Behaviour != Patient && o.Behaviour != Slow || h.excused(o) != nil {
		return ""
	}
	if o.Query != nil && o.refused() {
		if len(h.Arrivals[o.Name]) > 0 {
			return "it was refused, and arrived"
		}
		return "" // limits are judged by themselves
	}
	before := 0
	for _, f := range o.Faults {
		switch f.Does() {
		case Harmless:
		case Before:
			before++
		default:
			return ""
		}
	}
	if before > 2 || before > 0 && o.Size > 900_000 {
		return ""
	}
	if o.Route == "/shared" && h.followed(o) {
		return ""
	}
	if before > 0 && strings.Contains(o.Body, "upstream_rate_limit_exceeded") {
		return "" // a request that is tried again when all keys rest is not: others have used them up
	}
	return "nothing was in its way, and it failed"
}

// followed tells whether a call may have shared the fate of another.
func (h *History) followed(o *Outcome) bool {
	for _, other := range h.Outcomes {
		if other != o && o.SharesWith(other.Call) && other.Sent <= o.Ended && o.Sent <= other.Ended {
			return true
		}
	}
	return false
}

// repeated says that a call was sent again without a reason.
func (h *History) repeated(o *Outcome) string {
	list := h.Arrivals[o.Name]
	if len(list) < 2 || h.excused(o) != nil {
		return ""
	}
	for _, a := range list[:len(list)-1] {
		if does := a.Fault.Does(); does != Before && does != Refuses {
			return fmt.Sprintf("it was sent %d times, and the first attempts met %v", len(list), h.met(o.Name))
		}
	}
	return ""
}

func (h *History) met(name string) (met []Fault) {
	for _, a := range h.Arrivals[name] {
		met = append(met, a.Fault)
	}
	return met
}
