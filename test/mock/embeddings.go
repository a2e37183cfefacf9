package mock

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
)

const (
	usualDimensions = 8
	mostDimensions  = 1 << 16
)

// embeddings makes numbers of each input's digest.
func (c *call) embeddings() {
	var request struct {
		Model          string          `json:"model"`
		Input          json.RawMessage `json:"input"`
		Dimensions     int             `json:"dimensions"`
		EncodingFormat string          `json:"encoding_format"`
	}
	if !c.read(&request) {
		return
	}
	if request.Dimensions == 0 {
		request.Dimensions = usualDimensions
	}
	if request.Dimensions < 0 || request.Dimensions > mostDimensions {
		c.badRequest("dimensions", "The number of dimensions is not possible.")
		return
	}
	var inputs []json.RawMessage
	if json.Unmarshal(request.Input, &inputs) != nil {
		inputs = []json.RawMessage{request.Input}
	}
	data, counted := make([]object, len(inputs)), 0
	for i, input := range inputs {
		vector := embed(input, request.Dimensions)
		data[i] = object{"object": "embedding", "index": i, "embedding": vector}
		if request.EncodingFormat == "base64" {
			data[i]["embedding"] = packed(vector)
		}
		counted += tokens(text(input))
	}
	c.sendJSON(0, object{
		"object": "list", "data": data, "model": request.Model,
		"usage": object{"prompt_tokens": counted, "total_tokens": counted},
	})
}

// embed is between -1 and 1 in each dimension, in steps that a float32 holds exactly.
func embed(input []byte, dimensions int) []float32 {
	digest := sha256.Sum256(input)
	vector := make([]float32, dimensions)
	for i := range vector {
		vector[i] = (float32(digest[i%len(digest)]) - 128) / 128
	}
	return vector
}

// packed is how OpenAI sends vectors as base64: little-endian float32.
func packed(vector []float32) string {
	raw := make([]byte, 0, 4*len(vector))
	for _, x := range vector {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
	}
	return base64.StdEncoding.EncodeToString(raw)
}
