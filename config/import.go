package config

import (
	"fmt"
	"strings"

	"buf.build/go/protoyaml"
	"google.golang.org/protobuf/proto"

	tollgatev1 "tollgate/proto/tollgate/v1"
)

// Import turns OpenAI-Forward's variables into a tollgate.yaml that means the same. Where withKeys,
// it holds the keys; else each is a reference to an environment variable, which the comment at the
// top lists. The warnings say what does not carry over.
func Import(dotenv, content string, environment Environment, withKeys bool) (yaml []byte, warnings []string, err error) {
	config, err := ParseEnv(dotenv, content, environment)
	if err != nil {
		return nil, nil, err
	}
	message := newVariables(dotenv, content, environment).message()
	tidy(message)
	var names []string
	write := func(key, name string) string {
		if withKeys {
			return strings.ReplaceAll(key, "${", "$${")
		}
		names = append(names, name)
		return "${" + name + "}"
	}
	for _, u := range message.GetUpstreams() {
		u.Keys = append([]string(nil), u.GetKeys()...) // upstreams share the list
		for i, key := range u.GetKeys() {
			u.Keys[i] = write(key, fmt.Sprintf("OPENAI_API_KEY_%d", i+1))
		}
	}
	for i, c := range message.GetClients() {
		c.Keys[0] = write(c.GetKeys()[0], fmt.Sprintf("FORWARD_KEY_%d", i+1))
	}
	body, err := protoyaml.MarshalOptions{Indent: 2, UseProtoNames: true}.Marshal(message)
	if err != nil {
		return nil, nil, fmt.Errorf("writing the configuration: %w", err)
	}
	return append([]byte(importHeader(config.Source, names)), body...), config.Warnings, nil
}

// tidy drops what is empty.
func tidy(m *tollgatev1.Config) {
	if proto.Size(m.GetListener()) == 0 {
		m.Listener = nil
	}
	if proto.Size(m.GetIp()) == 0 {
		m.Ip = nil
	}
}

func importHeader(source string, names []string) string {
	header := "# Imported from " + source + ". The schema: proto/tollgate/v1/config.proto\n"
	if len(names) == 0 {
		return header
	}
	header += "# Set these environment variables to the keys:\n"
	seen := map[string]bool{}
	for _, name := range names {
		if !seen[name] {
			header += "#   " + name + "\n"
		}
		seen[name] = true
	}
	return header
}
