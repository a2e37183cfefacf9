package tokens

import (
	"strings"
	"sync"

	"github.com/tiktoken-go/tokenizer"
)

// maxCounted bounds the text that is given to the tokenizer for one request, in bytes: a tenth of a second.
// What is beyond counts like what was counted.
const maxCounted = 512 << 10

// counter counts by a tokenizer.
type counter struct {
	codec   tokenizer.Codec // nil: there is none
	tokens  int
	counted int // bytes that the tokenizer had
	rest    int // bytes that it had not
	guess   estimate
}

// codecs are the tokenizers, each loaded at its first use.
var codecs = map[tokenizer.Encoding]func() tokenizer.Codec{
	tokenizer.O200kBase:  loader(tokenizer.O200kBase),
	tokenizer.Cl100kBase: loader(tokenizer.Cl100kBase),
}

func loader(encoding tokenizer.Encoding) func() tokenizer.Codec {
	return sync.OnceValue(func() tokenizer.Codec {
		codec, err := tokenizer.Get(encoding)
		if err != nil {
			return nil // they are built in
		}
		return codec
	})
}

func newCounter(model string) *counter { return &counter{codec: codecs[encodingOf(model)]()} }

// encodingOf is the vocabulary of a model's tokenizer: for models that are not OpenAI's the latest.
func encodingOf(model string) tokenizer.Encoding {
	model = strings.ToLower(model)
	model = strings.TrimPrefix(model[strings.LastIndexByte(model, '/')+1:], "ft:")
	for _, newer := range []string{"gpt-4o", "gpt-4.1", "gpt-4.5"} {
		if strings.HasPrefix(model, newer) {
			return tokenizer.O200kBase
		}
	}
	for _, older := range []string{"gpt-4", "gpt-3.5", "gpt-35", "text-embedding-", "davinci-002", "babbage-002"} {
		if strings.HasPrefix(model, older) {
			return tokenizer.Cl100kBase
		}
	}
	return tokenizer.O200kBase
}

func (c *counter) flat(tokens int) { c.tokens += tokens }

func (c *counter) text(text []byte) {
	if len(text) == 0 {
		return
	}
	if room := maxCounted - c.counted; len(text) > room {
		c.rest += len(text) - room
		text = text[:room]
	}
	c.counted += len(text)
	n, ok := c.count(string(text))
	if !ok {
		c.guess.text(text)
		return
	}
	c.tokens += n
}

// count asks the tokenizer. Where it fails, whatever it does, the text is estimated.
func (c *counter) count(text string) (n int, ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	if c.codec == nil {
		return 0, false
	}
	n, err := c.codec.Count(text)
	return n, err == nil
}

func (c *counter) total() int {
	total := c.tokens + c.guess.total()
	if c.rest > 0 && c.counted > 0 {
		total += int(float64(total) * float64(c.rest) / float64(c.counted))
	}
	return max(0, total)
}
