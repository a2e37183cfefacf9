package convert

// logprobs are a choice's log probabilities, to be dealt out with its text. In chats each text
// (content, refusal) has a list of its own; in completions lists run side by side.
type logprobs struct {
	raw     string // "" if the choice has no such member
	columns []column
}

// column is one of the lists, or null in its place.
type column struct {
	name, key, raw string
	items          []string
}

func parseLogprobs(raw string) (*logprobs, error) {
	l := &logprobs{raw: raw}
	if raw == "" || raw == "null" {
		return l, nil
	}
	o, err := parseObject(raw, "logprobs")
	if err != nil {
		return nil, err
	}
	for _, m := range o {
		if known := logprobsShape.members[m.name]; known == nil || m.value != "null" && !isList(m.value) {
			return nil, refuse("its logprobs are not known")
		}
		l.columns = append(l.columns, column{m.name, m.key, m.value, parseList(m.value)})
	}
	return l, nil
}

// of is the column with a name, or an empty one.
func (l *logprobs) of(name string) column {
	for _, c := range l.columns {
		if c.name == name {
			return c
		}
	}
	return column{}
}

// cut cuts a text along the tokens of a column.
func (l *logprobs) cut(text, column string) []piece {
	entries := l.of(column).items
	sizes := make([]int, len(entries))
	for i, entry := range entries {
		sizes[i] = tokenSize(entry)
	}
	return cutText(text, sizes, len(entries))
}

// none is what an event without text says of them: nothing, unless there is nothing to deal out.
func (l *logprobs) none() string {
	for _, c := range l.columns {
		if len(c.items) > 0 {
			return "null"
		}
	}
	return l.raw
}

// appendTo writes what an event has of the columns that run along its text.
func (l *logprobs) appendTo(dst []byte, p piece, along func(column) bool) []byte {
	if p.from == p.to {
		return append(dst, l.none()...)
	}
	dst = append(dst, '{')
	for i, c := range l.columns {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(append(dst, c.key...), ':')
		switch {
		case len(c.items) == 0:
			dst = append(dst, c.raw...)
		case !along(c):
			dst = append(dst, "null"...)
		default:
			dst = appendList(dst, c.items[p.from:p.to])
		}
	}
	return append(dst, '}')
}

func appendList(dst []byte, items []string) []byte {
	dst = append(dst, '[')
	for i, item := range items {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, item...)
	}
	return append(dst, ']')
}
