package chaos

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"

	"tollgate/test/mock"
)

// callName finds whose answer it is: the mock answers with the call's name, over and over.
func callName(body string) string {
	const prefix, digits = "call-", 5
	at := strings.Index(body, prefix)
	if at < 0 || len(body) < at+len(prefix)+digits {
		return "" // or cut in the middle of the name
	}
	return body[at : at+len(prefix)+digits]
}

// Orders tells the mock how to answer a call, beside faults.
func (c *Call) Orders(h http.Header) {
	h.Set("mock-words", c.Name)
	h.Set("mock-events", strconv.Itoa(c.Events))
	if c.Interval > 0 && c.Streams() {
		h.Set("mock-interval", c.Interval.String())
	}
}

// Sent is what the client gets where nothing goes wrong: what the mock sends for the call.
func (c *Call) Sent() string {
	if c.Kind == Echo {
		return echoed(c)
	}
	body := c.Body()
	forced := c.Route == "/exact" && c.Kind == Stream
	if forced { // the upstream is asked for the usage, and the event that tells it is taken out
		body = strings.Replace(body, "{", `{"stream_options":{"include_usage":true},`, 1)
	}
	path := strings.TrimPrefix(c.Path(), c.Route)
	if c.Query != nil {
		path = "/v1/chat/completions"
	}
	request := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	c.Orders(request.Header)
	request.Header.Del("mock-interval")
	answer := httptest.NewRecorder()
	mock.New(mock.Options{}).ServeHTTP(answer, request)
	if !forced {
		return answer.Body.String()
	}
	events := strings.SplitAfter(answer.Body.String(), "\n\n")
	events = slices.DeleteFunc(events, func(e string) bool { return strings.Contains(e, `"total_tokens"`) })
	return strings.Join(events, "")
}

// echoed is what an upstream answers to what is no API: the mock's own would tell its key.
func echoed(c *Call) string {
	return `{"answer":"` + strings.Repeat(c.Name+" ", c.Events) + `"}`
}

// saidText is the text of a chat or a completion, whichever form it has, and whether it has come to its end.
func saidText(body string) (text string, ended bool) {
	var said struct {
		Choices []struct {
			Message, Delta struct{ Content string }
			Text           string
			FinishReason   string `json:"finish_reason"`
		}
	}
	add := func(document string) bool {
		said.Choices = nil
		if json.Unmarshal([]byte(document), &said) != nil {
			return false
		}
		for _, c := range said.Choices {
			text += c.Message.Content + c.Delta.Content + c.Text
			ended = ended || c.FinishReason != ""
		}
		return true
	}
	if !strings.HasPrefix(body, "data:") {
		return text, add(body) && ended
	}
	for event := range strings.SplitSeq(body, "\n\n") {
		data, ok := strings.CutPrefix(event, "data: ")
		if data == "[DONE]" {
			return text, ended
		}
		if ok && !add(data) {
			return text, false
		}
	}
	return text, false
}
