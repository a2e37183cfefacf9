package config

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// isForwardYAML tells by a file's name whether it is an openai-forward-config.yaml, not a .env.
func isForwardYAML(file string) bool {
	ext := strings.ToLower(filepath.Ext(file))
	return ext == ".yaml" || ext == ".yml"
}

// forwardYAML is where openai-forward-config.yaml (0.8) says what variables say: their names by the path of the
// field. What is below a field is written into its variable as JSON.
var forwardYAML = map[string]string{
	"api_key.forward_key":                 "FORWARD_KEY_CONFIG",
	"api_key.level":                       "LEVEL_MODELS",
	"api_key.openai_key":                  "OPENAI_API_KEY_CONFIG",
	"benchmark_mode":                      "BENCHMARK_MODE",
	"cache.backend":                       "CACHE_BACKEND",
	"cache.default_request_caching_value": "DEFAULT_REQUEST_CACHING_VALUE",
	"cache.general":                       "CACHE_GENERAL",
	"cache.openai":                        "CACHE_OPENAI",
	"cache.root_path_or_url":              "CACHE_ROOT_PATH_OR_URL",
	"cache.routes":                        "CACHE_ROUTES",
	"chat_completion_route":               "CHAT_COMPLETION_ROUTE",
	"completion_route":                    "COMPLETION_ROUTE",
	"custom_general_route":                "CUSTOM_GENERAL_ROUTE",
	"custom_model_config":                 "CUSTOM_MODEL_CONFIG",
	"default_stream_response":             "DEFAULT_STREAM_RESPONSE",
	"embedding_route":                     "EMBEDDING_ROUTE",
	"forward":                             "FORWARD_CONFIG",
	"ip_blacklist":                        "IP_BLACKLIST",
	"ip_whitelist":                        "IP_WHITELIST",
	"log.general":                         "LOG_GENERAL",
	"log.openai":                          "LOG_OPENAI",
	"log_cache_db_info":                   "LOG_CACHE_DB_INFO",
	"print_chat":                          "PRINT_CHAT",
	"proxy":                               "PROXY",
	"rate_limit.backend":                  "REQ_RATE_LIMIT_BACKEND",
	"rate_limit.global_rate_limit":        "GLOBAL_RATE_LIMIT",
	"rate_limit.iter_chunk":               "ITER_CHUNK_TYPE",
	"rate_limit.req_rate_limit":           "REQ_RATE_LIMIT",
	"rate_limit.req_rate_limit_backend":   "REQ_RATE_LIMIT_BACKEND",
	"rate_limit.strategy":                 "RATE_LIMIT_STRATEGY",
	"rate_limit.token_rate_limit":         "TOKEN_RATE_LIMIT",
	"req_rate_limit":                      "REQ_RATE_LIMIT",
	"req_rate_limit_backend":              "REQ_RATE_LIMIT_BACKEND",
	"timeout":                             "TIMEOUT",
	"timezone":                            "TZ",
	"tz":                                  "TZ",
	"webui_log_port":                      "WEBUI_LOG_PORT",
	"webui_restart_port":                  "WEBUI_RESTART_PORT",
}

// readForwardYAML gives the variables that an openai-forward-config.yaml stands for, and what is wrong with it.
func readForwardYAML(file, content string) (map[string]binding, Problems) {
	variables := map[string]binding{}
	document, err := parseYAML(file, []byte(content))
	if err != nil {
		return variables, err.(Problems) //nolint:errorlint,forcetypeassert // it is nothing else
	}
	var problems Problems
	var walk func(node *yaml.Node, path string)
	walk = func(node *yaml.Node, path string) {
		for i := 0; i+1 < len(node.Content); i += 2 {
			key, value := node.Content[i], node.Content[i+1]
			at := join(path, key.Value)
			switch name := forwardYAML[at]; {
			case value.Tag == "!!null":
			case name != "":
				variables[name] = binding{name: name, value: variableText(name, value), set: true, line: key.Line, field: at}
			case value.Kind == yaml.MappingNode && path == "":
				walk(value, at)
			default:
				problems = append(problems, Problem{
					File: file, Line: key.Line, Column: key.Column, Field: at,
					Message: "is no field of openai-forward-config.yaml: correct its name, or take it out",
				})
			}
		}
	}
	if document.root.Kind != yaml.MappingNode {
		return variables, Problems{{File: file, Line: 1, Column: 1, Message: "must hold fields, as openai-forward-config.yaml does"}}
	}
	if alias := firstAlias(document.root); alias != nil {
		return variables, Problems{{File: file, Line: alias.Line, Column: alias.Column, Message: "an alias, which is not understood here: write out what it stands for"}}
	}
	walk(document.root, "")
	return variables, problems
}

// firstAlias finds an alias. One could hold itself.
func firstAlias(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		return node
	}
	for _, child := range node.Content {
		if found := firstAlias(child); found != nil {
			return found
		}
	}
	return nil
}

// variableText writes a value as its variable has it.
func variableText(name string, value *yaml.Node) string {
	switch name {
	case "IP_BLACKLIST", "IP_WHITELIST":
		var items []string
		for _, item := range value.Content {
			items = append(items, item.Value)
		}
		return strings.Join(items, ",")
	case "REQ_RATE_LIMIT", "TOKEN_RATE_LIMIT": // a list of {route, value}
		if value.Kind == yaml.SequenceNode {
			value = byRoute(value)
		}
	}
	if value.Kind == yaml.ScalarNode {
		return value.Value
	}
	return jsonText(value)
}

// byRoute makes a mapping of a list of routes and their values.
func byRoute(list *yaml.Node) *yaml.Node {
	mapping := &yaml.Node{Kind: yaml.MappingNode}
	for _, item := range list.Content {
		route, value := childOf(item, "route"), childOf(item, "value")
		if route == nil || value == nil {
			return list // which is complained about
		}
		mapping.Content = append(mapping.Content, route, value)
	}
	return mapping
}

// jsonText writes a value as JSON, in the order of the file.
func jsonText(node *yaml.Node) string {
	var out bytes.Buffer
	switch node.Kind {
	case yaml.MappingNode:
		out.WriteByte('{')
		for i := 0; i+1 < len(node.Content); i += 2 {
			if i > 0 {
				out.WriteByte(',')
			}
			out.WriteString(quoted(node.Content[i].Value) + ":" + jsonText(node.Content[i+1]))
		}
		out.WriteByte('}')
	case yaml.SequenceNode:
		out.WriteByte('[')
		for i, item := range node.Content {
			if i > 0 {
				out.WriteByte(',')
			}
			out.WriteString(jsonText(item))
		}
		out.WriteByte(']')
	default:
		var value any
		if node.Decode(&value) == nil {
			if text, err := json.Marshal(value); err == nil {
				return string(text)
			}
		}
		return quoted(node.Value)
	}
	return out.String()
}

func quoted(text string) string {
	encoded, _ := json.Marshal(text) // a string can always be
	return string(encoded)
}
