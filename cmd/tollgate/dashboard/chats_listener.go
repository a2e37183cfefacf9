package dashboard

import (
	"encoding/json"
	"strings"

	"github.com/tidwall/gjson"

	"tollgate/extproc/exchange"
	"tollgate/extproc/openai"
)

// Listener hears one call for Chats.
type Listener struct{ chat *chat }

// Asked notes the model.
func (l *Listener) Asked(request *openai.Request) {
	l.chat.mu.Lock()
	defer l.chat.mu.Unlock()
	l.chat.model = strings.Clone(request.Model[:min(len(request.Model), 100)]) // it may be a piece of a large body
}

// Event puts together what comes.
func (l *Listener) Event(event *openai.Event) {
	h := l.chat
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.assembler != nil {
		h.assembler.Add(event)
		h.wake()
	}
}

// Words is false: they are read event by event, or come from the chat log.
func (l *Listener) Words() bool { return false }

// Done notes how it ended.
func (l *Listener) Done(answer *openai.Answer, end exchange.End) {
	h := l.chat
	h.mu.Lock()
	h.end, h.ended, h.assembler = end, true, nil
	if answer != nil && answer.Usage != nil {
		usage := *answer.Usage
		h.usage = &usage
	}
	h.wake()
	h.mu.Unlock()
	h.chats.forget(h)
}

// excerpt is the beginning of what was asked last.
func excerpt(request json.RawMessage) string {
	const most = 160
	fields := gjson.ParseBytes(request)
	for _, from := range []string{"messages", "input", "prompt"} {
		if text := lastText(fields.Get(from)); text != "" {
			runes := []rune(strings.Join(strings.Fields(text), " "))
			if len(runes) > most {
				return string(runes[:most]) + "…"
			}
			return string(runes)
		}
	}
	return ""
}

// lastText is the last text in a list of messages, of texts or of parts, or the text itself.
func lastText(value gjson.Result) string {
	switch {
	case value.Type == gjson.String:
		return value.Str
	case value.IsArray():
		items := value.Array()
		for i := len(items) - 1; i >= 0; i-- {
			if text := lastText(items[i]); text != "" {
				return text
			}
		}
	case value.IsObject():
		for _, field := range []string{"content", "text"} {
			if text := lastText(value.Get(field)); text != "" {
				return text
			}
		}
	}
	return ""
}
