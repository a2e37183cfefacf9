package tokens

import (
	"strings"

	"github.com/tidwall/gjson"
)

// What is not text takes tokens by its pixels, seconds and pages, which nobody measures here: each
// takes a flat figure.
const (
	audioTokens = 600  // OpenAI's token for each 100 ms that a user says, for a minute
	fileTokens  = 3000 // what Anthropic names as the upper end for a page of a PDF

	// spokenToken is how many tokens an answer's speech takes for each token of its transcript: one, and
	// one for each 50 ms, at three tokens of text a second.
	spokenToken = 1 + 20/3
)

// picture is what an image takes, at "detail": "low" and else. That is by OpenAI's formula for an image
// whose long side is at most twice its short one: the base and six tiles, or 1536 patches times the
// model's factor.
type picture struct {
	model     string // what its name has in it
	low, high int
}

// pictures are in the order in which they are looked for.
var pictures = []picture{
	{"gpt-4o-mini", 2833, 2833 + 6*5667},
	{"-mini", 2642, 2642}, // o4-mini's factor of 1.72; the others have less
	{"-nano", 3779, 3779},
	{"gpt-5.", 1844, 1844},
	{"gpt-5", 70, 70 + 6*140},
	{"gpt-", 85, 85 + 6*170},
	{"o1", 75, 75 + 6*150},
	{"o3", 75, 75 + 6*150},
}

// others is for all other models: what Anthropic's take at most, and Llama's tile.
var others = picture{low: 1600, high: 1600}

func pictureOf(model string) picture {
	name := bare(model)
	for _, p := range pictures {
		if strings.Contains(name, p.model) {
			return p
		}
	}
	return others
}

// media adds what a part takes that is not text, by its type.
func (p *prompt) media(kind string, part gjson.Result, depth int) {
	switch kind {
	case "image_url", "input_image", "image", "image_file", "computer_screenshot", "image_generation_call":
		picture := pictureOf(p.model)
		if part.Get("image_url.detail").Str == "low" || part.Get("detail").Str == "low" {
			p.flat += picture.low
			return
		}
		p.flat += picture.high
	case "input_audio", "audio", "audio_url":
		p.flat += audioTokens
	case "document":
		p.document(part, depth)
	case "file", "input_file", "video", "video_url", "input_video":
		p.flat += fileTokens
	}
}

// document adds one of Anthropic's documents, which can be text.
func (p *prompt) document(part gjson.Result, depth int) {
	switch source := part.Get("source"); source.Get("type").Str {
	case "text":
		p.text(source.Get("data").Str)
	case "content":
		p.value(source.Get("content"), depth)
	default:
		p.flat += fileTokens
	}
}
