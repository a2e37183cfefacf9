package openai

import (
	"bytes"
	"encoding/json"

	"github.com/tidwall/gjson"
)

// maxFlat is how many arrays and objects may begin, in strings too, for gjson to say whether JSON is valid: so it cannot
// be deeper. gjson is several times faster than encoding/json, but calls itself for each that is in another, without a
// bound, and a program whose stack overflows is over.
const maxFlat = 64 << 10

// Valid tells whether data is JSON, however deep it is: with gjson alone, a client could end the program.
func Valid(data []byte) bool {
	if len(data) <= maxFlat || bytes.Count(data, []byte("["))+bytes.Count(data, []byte("{")) <= maxFlat {
		return gjson.ValidBytes(data)
	}
	return json.Valid(data) // which gives up at a depth of 10,000
}
