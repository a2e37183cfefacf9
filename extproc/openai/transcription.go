package openai

import (
	"bytes"
	"encoding/json"
)

// transcript is an audio answer as JSON, or an event of its stream.
type transcript struct {
	head
	Type  string `json:"type"`
	Text  string `json:"text"`
	Delta string `json:"delta"`
}

// readTranscription reads JSON of both kinds, the stream's events, and text, SRT and VTT bodies.
func (a *Assembler) readTranscription(event *Event) error {
	if event.Whole && !looksJSON(event.Data) {
		a.set(&a.choice(0).text, string(event.Data))
		return nil
	}
	var from transcript
	if err := decode(event, &from); err != nil {
		return err
	}
	a.addHead(&from.head, event)
	if a.answer.Error != nil {
		return nil
	}
	switch {
	case event.Whole || from.Type == "transcript.text.done":
		a.set(&a.choice(0).text, from.Text)
		a.answer.Finished = true
	case from.Type == "transcript.text.delta":
		a.add(&a.choice(0).text, from.Delta)
	}
	return nil
}

// looksJSON tells a JSON answer from text. A list is one of Google's errors, and has an object in it.
func looksJSON(data []byte) bool {
	trimmed := bytes.TrimSpace(data)
	return len(trimmed) > 0 && (trimmed[0] == '{' || trimmed[0] == '[' && json.Valid(trimmed))
}
