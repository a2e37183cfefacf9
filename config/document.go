package config

import (
	"regexp"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// document is a parsed YAML file: it knows where each field stands.
type document struct {
	file string
	root *yaml.Node
}

// locate says of each problem where in the file it is.
func (d *document) locate(problems Problems) Problems {
	for i := range problems {
		p := &problems[i]
		p.File = d.file
		if p.Line == 0 && p.Field != "" {
			node := nearest(d.root, p.Field)
			p.Line, p.Column = node.Line, node.Column
		}
	}
	slices.SortStableFunc(problems, func(a, b Problem) int { return a.Line - b.Line })
	return problems
}

// step is one step of a field path: a name, or an index in brackets.
var step = regexp.MustCompile(`[^.\[\]]+`)

// nearest follows a field path such as routes[0].upstream down the document, as far as it goes.
func nearest(node *yaml.Node, path string) *yaml.Node {
	for _, name := range step.FindAllString(path, -1) {
		child := childOf(node, name)
		if child == nil {
			break
		}
		node = child
	}
	return node
}

func childOf(node *yaml.Node, name string) *yaml.Node {
	switch node = unalias(node); node.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == name {
				return node.Content[i+1]
			}
		}
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(name); err == nil && i < len(node.Content) {
			return node.Content[i]
		}
	}
	return nil
}

// unalias gives what an alias stands for.
func unalias(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}
