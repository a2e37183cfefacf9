package config

import (
	"encoding/json"

	tollgatev1 "tollgate/proto/tollgate/v1"
)

// forwardConfig is FORWARD_CONFIG, which names upstreams and routes from OpenAI-Forward 0.7 on. Its
// keys stand in variables of levels and models, which notInForce refuses: so no upstream has any.
type forwardConfig []struct {
	BaseURL string `json:"base_url"`
	Route   string `json:"route"`
	Type    string `json:"type"` // openai and general differ in nothing but those keys
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
	}
	for _, earlier := range []string{
		"OPENAI_BASE_URL", "OPENAI_ROUTE_PREFIX", "EXTRA_BASE_URL", "EXTRA_ROUTE_PREFIX", "ROUTE_PREFIX", "OPENAI_API_KEY", "FORWARD_KEY",
	} {
		if v.get(earlier) != "" {
			v.warn("%s has no effect beside FORWARD_CONFIG, as in OpenAI-Forward 0.8", earlier)
		}
	}
	m.Clients = nil
	return true
}
