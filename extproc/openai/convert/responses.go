package convert

import "github.com/tidwall/gjson"

// responsePlain finds the response in the event that ends a stream: it is the plain body.
func responsePlain(stream [][]byte) ([]byte, error) {
	var body string
	items := 0
	_, err := eachEvent(stream, func(name, data string) error {
		if body != "" {
			return refuse("there is more after its end")
		}
		event := gjson.Parse(data)
		if kind := event.Get("type"); kind.Exists() {
			name = kind.Str
		}
		switch name {
		case "response.completed", "response.incomplete":
			body = event.Get("response").Raw
			if body == "" {
				return refuse("its last event has no response")
			}
		case "response.output_item.done":
			items++
		case "response.failed", "error":
			return refuse("it failed")
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if body == "" {
		return nil, refuse("the stream has no end")
	}
	answer, err := parseObject(body, "the response")
	if err != nil {
		return nil, err
	}
	if err := checkResponse(answer); err != nil {
		return nil, err
	}
	// Some upstreams leave the output out here, since the events before had it.
	if len(parseList(answer.value("output"))) < items {
		return nil, refuse("its last event lacks the output")
	}
	return []byte(body), nil
}

// checkResponse wants a response that came to a good end.
func checkResponse(answer object) error {
	if status := answer.text("status"); status != "completed" && status != "incomplete" {
		return refuse("its status is neither completed nor incomplete")
	}
	if !isList(answer.value("output")) || !isEmpty(answer.value("error")) {
		return refuse("it is no answer")
	}
	return nil
}

// story are the events of a response.
type story struct {
	events
	sequence int
}

// begin begins an event, up to its sequence number.
func (s *story) begin(name string) {
	s.add("event: ", name, "\ndata: {", `"type":"`, name, `","sequence_number":`)
	s.number(s.sequence)
	s.sequence++
}

// finish ends it with its own members, names and values in turn.
func (s *story) finish(members ...string) {
	s.members(members)
	s.add("}")
	s.end()
}

// responseStream tells how a response came to be: created, each item opened, filled and closed,
// completed.
func responseStream(answer object) ([][]byte, error) {
	if err := checkResponse(answer); err != nil {
		return nil, err
	}
	s := &story{}
	begun := answer.with("status", `"in_progress"`, "output", "[]", "usage", "null", "incomplete_details", "null", "completed_at", "null").String()
	for _, name := range []string{"response.created", "response.in_progress"} {
		s.begin(name)
		s.finish("response", begun)
	}
	for i, text := range parseList(answer.value("output")) {
		item, err := parseObject(text, "an item")
		if err != nil {
			return nil, err
		}
		if err := s.item(item, i); err != nil {
			return nil, err
		}
	}
	s.begin("response." + answer.text("status"))
	s.finish("response", answer.String())
	return s.list(), nil
}
