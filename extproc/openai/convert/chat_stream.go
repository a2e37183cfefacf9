package convert

import (
	"slices"

	"tollgate/extproc/openai"
)

// chunks are the events of a chat or a completion.
type chunks struct {
	events
	head  string // the members of each, up to its choices
	once  string // what the first has beside
	usage string // `,"usage":null` where usage was asked for
}

// headMembers are those that each chunk has.
var headMembers = []string{"id", "object", "created", "model", "service_tier", "system_fingerprint"}

// chatStream makes the events of a plain chat completion or text completion.
func chatStream(api openai.API, answer object, o Options) ([][]byte, error) {
	c := &chunks{}
	if err := c.begin(api, answer); err != nil {
		return nil, err
	}
	usage := answer.value("usage")
	if o.IncludeUsage && usage != "" {
		c.usage = `,"usage":null`
	}
	choices := parseList(answer.value("choices"))
	c.reserve(len(answer.value("choices")), len(c.head))
	if len(choices) == 0 {
		return nil, refuse("it has no choice")
	}
	for i, choice := range choices {
		if err := c.choice(api, choice, i); err != nil {
			return nil, err
		}
	}
	if o.IncludeUsage && usage != "" && usage != "null" {
		c.add("data: {", c.head, `"choices":[],"usage":`, usage, "}")
		c.end()
	}
	c.add("data: [DONE]")
	c.end()
	return c.list(), nil
}

// begin reads what the answer has beside choices and usage.
func (c *chunks) begin(api openai.API, answer object) error {
	if is := answer.value("object"); is != "" && is != objects[api].plain {
		return refuse("its object is not known")
	}
	if !isEmpty(answer.value("error")) || answer.has("obfuscation") {
		return refuse("it is no answer")
	}
	if groq := answer.value("x_groq"); groq != "" && groq != "null" {
		if o, err := parseObject(groq, "x_groq"); err != nil || o.has("usage") {
			return refuse("it has usage where streams have it")
		}
	}
	for _, m := range answer.with("object", objects[api].chunk) {
		text := m.key + ":" + m.value + ","
		switch {
		case slices.Contains(headMembers, m.name):
			c.head += text
		case m.name != "choices" && m.name != "usage":
			c.once += text
		}
	}
	return nil
}

// choice writes the events of one choice.
func (c *chunks) choice(api openai.API, text string, index int) error {
	choice, err := parseObject(text, "a choice")
	if err != nil {
		return err
	}
	if !isIndex(choice.value("index"), index) {
		return refuse("its choices are not in order")
	}
	if isEmpty(choice.value("finish_reason")) || !isString(choice.value("finish_reason")) {
		return refuse("choice %d has no finish_reason", index)
	}
	logprobs, err := parseLogprobs(choice.value("logprobs"))
	if err != nil {
		return err
	}
	w := &choiceWriter{chunks: c, index: index, logprobs: logprobs}
	if api == openai.Completions {
		return w.completion(choice)
	}
	return w.chat(choice)
}

// choiceWriter writes the events of one choice.
type choiceWriter struct {
	*chunks
	index    int
	logprobs *logprobs
}

// open begins an event, up to the delta or text.
func (w *choiceWriter) open() {
	w.add("data: {", w.head, w.once, `"choices":[{"index":`)
	w.once = ""
	w.number(w.index)
	w.add(",")
}

// close ends an event with the log probabilities of its piece, if it has one.
func (w *choiceWriter) close(p piece, along func(column) bool) {
	if w.logprobs.raw != "" {
		w.add(`,"logprobs":`)
		w.buf = w.logprobs.appendTo(w.buf, p, along)
	}
	w.add(`,"finish_reason":null}]`, w.usage, "}")
	w.end()
}

// finish writes the last event of a choice, with all that the choice has beside its text.
func (w *choiceWriter) finish(delta string, choice object, told ...string) {
	w.open()
	w.add(delta)
	for _, m := range choice {
		if m.name == "index" || slices.Contains(told, m.name) {
			continue
		}
		value := m.value
		if m.name == "logprobs" {
			value = w.logprobs.none()
		}
		w.add(",", m.key, ":", value)
	}
	w.add("}]", w.usage, "}")
	w.end()
}

// completion writes a choice that is a text.
func (w *choiceWriter) completion(choice object) error {
	text := choice.value("text")
	if !isString(text) || choice.has("delta") || choice.has("message") {
		return refuse("choice %d is none of a completion", w.index)
	}
	tokens := len(w.logprobs.of("tokens").items)
	for _, column := range w.logprobs.columns {
		if n := len(column.items); n != 0 && n != tokens {
			return refuse("the logprobs of choice %d differ in length", w.index)
		}
	}
	for _, p := range w.logprobs.cut(within(text), "tokens") {
		w.open()
		w.add(`"text":"`, p.text, `"`)
		w.close(p, func(column) bool { return true })
	}
	w.finish(`"text":""`, choice, "text")
	return nil
}
