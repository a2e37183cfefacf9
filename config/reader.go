package config

import (
	"fmt"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"

	tollgatev1 "tollgate/proto/tollgate/v1"
)

// Reader reads a tollgate.yaml again and again, as it is edited. Most of what reading takes is for routes, where there
// are many, and an edit changes few of them: those whose text is as it was are taken from the last time. What comes
// of it is what [Load] would say, which is asked whenever that is in doubt. No text of keys is kept.
//
// Its zero value is ready. It is not for several goroutines at once.
type Reader struct {
	known map[string]*tollgatev1.Route // by their text in the file that was read last
}

// Load is like [Load].
func (r *Reader) Load(path string, environment Environment) (*Config, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return r.Parse(path, content, environment)
}

// Parse is like [Parse].
func (r *Reader) Parse(file string, content []byte, environment Environment) (*Config, error) {
	all := splitRoutes(content)
	if config := r.changed(file, all, environment); config != nil {
		config.from(file, content)
		return config, nil
	}
	r.known = nil
	p, err := parse(file, content, environment)
	if err != nil {
		return nil, err
	}
	if all != nil && all.areItems(p.document, all.texts) {
		r.keep(all, p.message.GetRoutes())
	}
	return p.config, nil
}

// changed reads what is new in a file, beside the first route, which says that the list is one. It gives nil where
// that cannot be done.
func (r *Reader) changed(file string, all *routeTexts, environment Environment) *Config {
	if all == nil || len(r.known) == 0 {
		return nil
	}
	fresh := all.texts[:1:1]
	for _, text := range all.texts[1:] {
		if r.known[text] == nil {
			fresh = append(fresh, text)
		}
	}
	if len(fresh) == len(all.texts) {
		return nil
	}
	part := []byte(all.before + strings.Join(fresh, "") + all.after)
	p, err := read(file, part, environment)
	if err != nil || !all.areItems(p.document, fresh) || len(violations(p.message)) > 0 {
		return nil
	}
	read, routes := p.message.GetRoutes(), make([]*tollgatev1.Route, 0, len(all.texts))
	for i, text := range all.texts {
		if known := r.known[text]; i > 0 && known != nil {
			routes = append(routes, known)
		} else {
			routes, read = append(routes, read[0]), read[1:]
		}
	}
	p.message.Routes = routes
	if problems := p.resolve(environment); len(problems) > 0 {
		return nil
	}
	r.keep(all, routes)
	return p.config
}

// keep remembers routes by their texts, where these mean the same in every file: they name no anchor, no tag and no
// variable.
func (r *Reader) keep(all *routeTexts, routes []*tollgatev1.Route) {
	r.known = make(map[string]*tollgatev1.Route, len(routes))
	for i, text := range all.texts {
		if !strings.ContainsAny(text, "&*!$") {
			r.known[text] = routes[i]
		}
	}
}

// routeTexts are a file's list of routes, an item on a line of its own each, and what stands around it.
type routeTexts struct {
	before, after string
	texts         []string // at least one: of each item, to the beginning of the next
}

// splitRoutes finds them by their lines; nil: there is no such list. Whether that is what the file means, areItems
// tells.
func splitRoutes(content []byte) *routeTexts {
	const key = "routes:\n"
	text := string(content)
	for _, end := range []string{"\r", "\u0085", "\u2028", "\u2029"} { // which YAML takes for ends of lines, too
		if strings.Contains(text, end) {
			return nil
		}
	}
	at := 0
	if !strings.HasPrefix(text, key) {
		if at = strings.Index(text, "\n"+key) + 1; at == 0 {
			return nil
		}
	}
	start := at + len(key)
	indent := len(text) - start - len(strings.TrimLeft(text[start:], " "))
	dash := strings.Repeat(" ", indent) + "- "
	if !strings.HasPrefix(text[start:], dash) {
		return nil
	}
	all := &routeTexts{before: text[:start]}
	item, end := start, start
	for line := range strings.Lines(text[start:]) {
		words := strings.TrimLeft(line, " ")
		deep := len(line) - len(words)
		switch {
		case end > start && strings.HasPrefix(line, dash):
			all.texts = append(all.texts, text[item:end])
			item = end
		case words != "\n" && !strings.HasPrefix(words, "#") && deep <= indent && end > start:
			all.texts, all.after = append(all.texts, text[item:end]), text[end:]
			return all
		}
		end += len(line)
	}
	all.texts = append(all.texts, text[item:])
	return all
}

// areItems tells whether texts between the same before and after are the items of a document's list of routes: whether
// each begins where it should, and what comes after them, so that none reaches into another.
func (all *routeTexts) areItems(d *document, texts []string) bool {
	root := unalias(d.root)
	if root.Kind != yaml.MappingNode {
		return false
	}
	line := 1 + strings.Count(all.before, "\n")
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value != "routes" {
			continue
		}
		list := root.Content[i+1]
		if root.Content[i].Line != line-1 || list.Kind != yaml.SequenceNode || len(list.Content) != len(texts) {
			return false
		}
		for k, item := range list.Content {
			if item.Line != line {
				return false
			}
			line += strings.Count(texts[k], "\n")
		}
		if i+2 < len(root.Content) {
			return root.Content[i+2].Line == line
		}
		return all.after == ""
	}
	return false
}
