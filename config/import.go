package config

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"buf.build/go/protoyaml"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protopath"
	"google.golang.org/protobuf/reflect/protorange"

	tollgatev1 "tollgate/proto/tollgate/v1"
)

// Import turns OpenAI-Forward's variables, or its openai-forward-config.yaml, into a tollgate.yaml that means
// the same. Where withKeys,
// it holds the keys; else each is a reference to an environment variable, which the comment at the
// top lists. The warnings say what does not carry over.
func Import(file, content string, environment Environment, withKeys bool) (written []byte, warnings []string, err error) {
	config, message, err := parseEnv(file, content, environment)
	if err != nil {
		return nil, nil, err
	}
	escape(message)
	var references []string
	if !withKeys {
		references = refer(message)
	}
	omitDefaults(message)
	body, err := render(message)
	if err != nil {
		return nil, nil, err
	}
	return append([]byte(importHeader(config.Source, references)), body...), config.Warnings, nil
}

// escape makes every ${ in the message mean itself in a tollgate.yaml.
func escape(message *tollgatev1.Config) {
	// The callback never fails, so neither does Range.
	_ = protorange.Range(message.ProtoReflect(), func(values protopath.Values) error {
		if text, ok := values.Index(-1).Value.Interface().(string); ok && strings.Contains(text, "${") {
			set(values, strings.ReplaceAll(text, "${", "$${"))
		}
		return nil
	})
}

// refer puts references to environment variables in the place of keys, and lists these variables.
func refer(message *tollgatev1.Config) (names []string) {
	refer := func(keys []string, i int, name string) {
		keys[i] = "${" + name + "}"
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	numbers := map[string]int{} // an upstream's key has one, however many upstreams have it
	for _, u := range message.GetUpstreams() {
		for i, key := range u.GetKeys() {
			if numbers[key] == 0 {
				numbers[key] = len(numbers) + 1
			}
			refer(u.GetKeys(), i, fmt.Sprintf("OPENAI_API_KEY_%d", numbers[key]))
		}
	}
	for i, c := range message.GetClients() {
		refer(c.GetKeys(), 0, fmt.Sprintf("FORWARD_KEY_%d", i+1))
	}
	if store := message.GetLimitStore(); store.GetRedis() != "" {
		url := []string{store.GetRedis()} // it may hold a password
		refer(url, 0, "REQ_RATE_LIMIT_BACKEND")
		store.Redis = url[0]
	}
	return names
}

// omitDefaults drops what says the schema's defaults: the time to connect, and without clients auth.
func omitDefaults(message *tollgatev1.Config) {
	for _, u := range message.GetUpstreams() {
		if u.GetConnectTimeout().AsDuration() == DefaultConnectTimeout {
			u.ConnectTimeout = nil
		}
	}
	if len(message.GetClients()) > 0 {
		return
	}
	for _, route := range message.GetRoutes() {
		route.Auth = ""
	}
}

// render writes a message as YAML, with a comment where its meaning may surprise.
func render(message *tollgatev1.Config) ([]byte, error) {
	body, err := protoyaml.MarshalOptions{Indent: 2, UseProtoNames: true}.Marshal(message)
	if err != nil {
		return nil, fmt.Errorf("writing the configuration: %w", err)
	}
	var document yaml.Node
	if err := yaml.Unmarshal(body, &document); err != nil {
		return nil, fmt.Errorf("writing the configuration: %w", err)
	}
	if auth := nearest(document.Content[0], "routes[0].auth"); auth.Value == string(AuthPassthrough) {
		auth.LineComment = "a client's key is swapped, any other travels on; required refuses others"
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(&document); err != nil {
		return nil, fmt.Errorf("writing the configuration: %w", err)
	}
	return out.Bytes(), nil
}

func importHeader(source string, references []string) string {
	header := "# Imported from OpenAI-Forward's variables in " + oneLine(source) + ".\n" +
		"# Every field is explained in docs/config.md.\n"
	if len(references) > 0 {
		header += "#\n# Before you start, set these environment variables to the keys:\n"
	}
	for _, name := range references {
		header += "#   " + name + "\n"
	}
	return header + "\n"
}

// oneLine keeps a path with a line end in its name from ending a comment.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
