package tokens

import (
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/tiktoken-go/tokenizer/codec"
)

const (
	// counted is how many bytes of a prompt, and of an answer, are tokenized.
	counted = 64 << 10
	// piece is how many bytes are tokenized at once: there are texts that take a time that grows with the
	// square of their length.
	piece = 1 << 10
)

// vocabulary is how a family of models turns text into tokens.
type vocabulary struct {
	codec func() *codec.Codec // loads it when it is first asked for
	costs *costs
}

var (
	o200k  = &vocabulary{codec: sync.OnceValue(codec.NewO200kBase), costs: costsByScript(false)}
	cl100k = &vocabulary{codec: sync.OnceValue(codec.NewCl100kBase), costs: costsByScript(true)}
)

// OpenAI's models by how their names begin: first the older ones.
var (
	withCL100k = []string{"gpt-4-", "gpt-3.5", "gpt-35", "text-embedding-", "davinci-002", "babbage-002"}
	withO200k  = []string{"gpt-", "chatgpt-", "o1", "o3", "o4", "codex-", "computer-use"}
)

// vocabularyOf is the vocabulary of a model; false: it is not known to be that one.
func vocabularyOf(model string) (v *vocabulary, known bool) {
	name := bare(model)
	starts := func(prefix string) bool { return strings.HasPrefix(name, prefix) }
	switch {
	case name == "gpt-4", slices.ContainsFunc(withCL100k, starts):
		return cl100k, true
	case slices.ContainsFunc(withO200k, starts):
		return o200k, true
	}
	return o200k, false
}

// bare is a model's name without its provider, without what fine-tuning adds, and without a variant:
// gpt-4o of openai/gpt-4o, of ft:gpt-4o:acme::7p4lURel and of openai/gpt-4o:extended.
func bare(model string) string {
	head, _, _ := strings.Cut(model, ":")
	name := strings.TrimPrefix(model[strings.LastIndexByte(head, '/')+1:], "ft:")
	name, _, _ = strings.Cut(name, ":")
	return name
}

// count counts the tokens of texts; where they are too long, those of parts that are spread over them,
// and takes the rest for alike.
func (v *vocabulary) count(texts []string) int {
	total := 0
	for _, text := range texts {
		total += len(text)
	}
	every := 1 + total/counted
	tokens, seen, passed := 0, 0, 0
	for _, text := range texts {
		for text != "" {
			n := cut(text)
			if seen*every <= passed {
				seen += n
				tokens += v.exact(text[:n])
			}
			passed += n
			text = text[n:]
		}
	}
	if seen == passed {
		return tokens
	}
	return tokens * passed / seen
}

// cut returns where the first piece of a text ends: before a word, so that it is cut where the tokenizer
// cuts, too; else within a word, which can make a token more.
func cut(s string) int {
	if len(s) <= piece {
		return len(s)
	}
	for i := piece; i > piece/2; i-- {
		if s[i] == ' ' && s[i-1] > ' ' {
			return i
		}
	}
	for i := piece; i > piece-utf8.UTFMax; i-- {
		if utf8.RuneStart(s[i]) {
			return i
		}
	}
	return piece
}

// exact tokenizes a piece. The library splits it with a regular expression that backtracks, and it is text of
// anybody's: where that fails, whatever it does, the piece is estimated.
func (v *vocabulary) exact(s string) (n int) {
	defer func() {
		if recover() != nil {
			n = v.costs.estimate(s)
		}
	}()
	n, err := v.codec().Count(s)
	if err != nil {
		return v.costs.estimate(s)
	}
	return n
}
