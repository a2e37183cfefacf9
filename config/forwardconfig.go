package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	tollgatev1 "tollgate/proto/tollgate/v1"
)

// forwardConfig is FORWARD_CONFIG, which names upstreams and routes from OpenAI-Forward 0.7 on. Keys come from
// levels alone, and go to upstreams of the type openai alone.
type forwardConfig []struct {
	BaseURL string `json:"base_url"`
	Route   string `json:"route"`
	Type    string `json:"type"` // openai or general, which is what EXTRA_BASE_URL names
}

// forwarded adds what FORWARD_CONFIG names, and tells whether it is set. Then the variables of
// earlier versions count for nothing. Other than there, / may stand beside other prefixes.
func (v *variables) forwarded(m *tollgatev1.Config, upstream func(url string) *tollgatev1.Upstream) bool {
	const name = "FORWARD_CONFIG"
	if v.get(name) == "" {
		return false
	}
	var entries forwardConfig
	if err := json.Unmarshal([]byte(v.get(name)), &entries); err != nil || len(entries) == 0 {
		v.problem(name, `must be a JSON list such as [{"base_url": "https://api.openai.com", "route": "/", "type": "openai"}]`)
	}
	for i, entry := range entries {
		if entry.BaseURL == "" || entry.Route == "" || entry.Type != "openai" && entry.Type != "general" {
			v.problem(name, "entry %d must hold base_url, route and a type, which is openai or general", i+1)
		}
		v.add(m, name, name, entry.Route, AuthPassthrough, upstream(entry.BaseURL))
		switch {
		case entry.Type == "general":
			v.isGeneral(m)
		case v.levels != nil:
			v.levels.direct(m)
		}
	}
	for _, earlier := range []string{
		"OPENAI_BASE_URL", "OPENAI_ROUTE_PREFIX", "EXTRA_BASE_URL", "EXTRA_ROUTE_PREFIX", "ROUTE_PREFIX", "OPENAI_API_KEY", "FORWARD_KEY",
	} {
		if v.get(earlier) != "" && v.levelVariable(earlier) != earlier {
			v.warn("%s has no effect beside FORWARD_CONFIG, as in OpenAI-Forward 0.8", earlier)
		}
	}
	if v.levels == nil {
		m.Clients = nil
	}
	return true
}

// customModels is CUSTOM_MODEL_CONFIG (0.8): requests for some models go to an Ollama, by other names. Other than
// there only those of forward keys do: a key of a client's own is for whom the client meant it.
func (v *variables) customModels(m *tollgatev1.Config) {
	const name = "CUSTOM_MODEL_CONFIG"
	var custom struct {
		Backend  string            `json:"backend"`
		ModelMap map[string]string `json:"model_map"`
		APIBase  string            `json:"api_base"`
	}
	if v.get(name) == "" || v.get(name) == "{}" {
		return
	}
	if json.Unmarshal([]byte(v.get(name)), &custom) != nil || custom.Backend != "ollama" || len(custom.ModelMap) == 0 || custom.APIBase == "" {
		v.problem(name, `must be like {"backend": "ollama", "model_map": {"gpt-3.5-turbo": "qwen2:7b"}, "api_base": "http://localhost:11434"}`)
		return
	}
	if len(m.GetClients()) == 0 {
		v.warn("%s is for forward keys alone here, and there are none: no request goes to %s", name, custom.APIBase)
		return
	}
	u := &tollgatev1.Upstream{Name: upstreamName("/"+custom.Backend, m.GetUpstreams()), Url: custom.APIBase}
	rule := &tollgatev1.ModelRule{Upstreams: []*tollgatev1.Target{{Name: u.GetName()}}}
	for _, asked := range slices.Sorted(maps.Keys(custom.ModelMap)) {
		u.Rename = append(u.Rename, &tollgatev1.Rename{Model: asked, To: custom.ModelMap[asked]})
		rule.Match = append(rule.Match, asked)
	}
	for _, called := range slices.Sorted(maps.Values(custom.ModelMap)) {
		if !slices.Contains(rule.GetMatch(), called) {
			rule.Match = append(rule.Match, called)
		}
	}
	for _, c := range m.GetClients() {
		rule.Clients = append(rule.Clients, c.GetName())
	}
	v.names[fmt.Sprintf("upstreams[%d].url", len(m.GetUpstreams()))] = name
	m.Upstreams = append(m.Upstreams, u)
	for i, route := range m.GetRoutes() {
		if !v.general[i] {
			route.Models = append([]*tollgatev1.ModelRule{proto.CloneOf(rule)}, route.GetModels()...)
		}
	}
}
