package convert

import (
	"slices"

	"github.com/tidwall/gjson"
)

// messagePlain makes Anthropic's plain message of a stream.
func messagePlain(stream [][]byte) ([]byte, error) {
	a := &messageAnswer{}
	_, err := eachEvent(stream, func(_, data string) error {
		event, err := parseObject(data, "an event")
		if err != nil {
			return err
		}
		return a.add(event)
	})
	if err != nil {
		return nil, err
	}
	return a.finish()
}

// messageAnswer is a message put together.
type messageAnswer struct {
	message object
	usage   object
	blocks  []*block
	stopped bool
}

func (a *messageAnswer) add(event object) error {
	kind := event.text("type")
	if a.stopped || kind != "message_start" && kind != "ping" && a.message == nil {
		return refuse("its events are not in order")
	}
	switch kind {
	case "ping":
		return nil
	case "message_start":
		return a.start(event)
	case "content_block_start":
		return a.startBlock(event)
	case "content_block_delta", "content_block_stop":
		return a.goOn(event, kind)
	case "message_delta":
		return a.change(event)
	case "message_stop":
		a.stopped = true
		return nil
	}
	return refuse("an event of its type is not known")
}

func (a *messageAnswer) start(event object) (err error) {
	if a.message != nil {
		return refuse("it begins twice")
	}
	if a.message, err = parseObject(event.value("message"), "the message"); err != nil {
		return err
	}
	if !a.message.has("usage") {
		return nil
	}
	a.usage, err = parseObject(a.message.value("usage"), "usage")
	return err
}

func (a *messageAnswer) startBlock(event object) error {
	if !isIndex(event.value("index"), len(a.blocks)) {
		return refuse("its blocks are not in order")
	}
	o, err := parseObject(event.value("content_block"), "a block")
	if err != nil {
		return err
	}
	if blockTexts(o) == nil && !isWhole(o) {
		return refuse("a block of its type is not known")
	}
	a.blocks = append(a.blocks, &block{object: o, texts: map[string][]byte{}, citations: parseList(o.value("citations"))})
	return nil
}

// goOn takes a piece of a block, or its end.
func (a *messageAnswer) goOn(event object, kind string) error {
	at := gjson.Parse(event.value("index"))
	if at.Type != gjson.Number || at.Num < 0 || at.Num >= float64(len(a.blocks)) || a.blocks[int(at.Num)].stopped {
		return refuse("a block that is not open goes on")
	}
	b := a.blocks[int(at.Num)]
	if kind == "content_block_stop" {
		b.stopped = true
		return nil
	}
	delta, err := parseObject(event.value("delta"), "a delta")
	if err != nil {
		return err
	}
	return b.add(delta)
}

// change takes what a message_delta tells: the members of the message, and counts so far. Null says
// no more than what is known.
func (a *messageAnswer) change(event object) error {
	for _, m := range event {
		var err error
		switch m.name {
		case "type":
		case "delta":
			err = overlay(&a.message, m)
		case "usage":
			err = overlay(&a.usage, m)
		case "context_management":
			a.message.set(m.name, m.value)
		default:
			err = refuse("%s is not known", m.key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func overlay(onto *object, m member) error {
	if m.value == "null" {
		return nil
	}
	news, err := parseObject(m.value, m.name)
	if err != nil {
		return err
	}
	for _, told := range news {
		if told.name == "content" || told.name == "usage" {
			return refuse("a delta has %s", told.key)
		}
		at := slices.IndexFunc(*onto, func(known member) bool { return known.name == told.name })
		switch {
		case at < 0:
			*onto = append(*onto, told)
		case told.value != "null":
			(*onto)[at].value = told.value
		}
	}
	return nil
}

func (a *messageAnswer) finish() ([]byte, error) {
	if !a.stopped || isEmpty(a.message.value("stop_reason")) || !isString(a.message.value("stop_reason")) {
		return nil, refuse("the stream has no end")
	}
	content := make([]string, len(a.blocks))
	for i, b := range a.blocks {
		if err := b.finish(); err != nil {
			return nil, err
		}
		content[i] = b.String()
	}
	a.message.set("content", string(appendList(nil, content)))
	if a.usage != nil {
		a.message.set("usage", a.usage.String())
	}
	return a.message.appendTo(nil), nil
}
