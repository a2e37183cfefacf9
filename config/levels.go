package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	tollgatev1 "tollgate/proto/tollgate/v1"
)

// levels are how OpenAI-Forward 0.7 and 0.8 say who may do what: each forward key has a level, which says
// with which of the upstream's keys it goes on, and, but for level 0, which models it may ask for.
type levels struct {
	keys    map[int][]string // the upstream's, in their order
	clients map[int][]string // by their names, in order
	models  map[int][]string
}

// readLevels reads the variables of levels, names the clients, and gives nil where none of these is set.
func (v *variables) readLevels(m *tollgatev1.Config) *levels {
	keys, forward := v.levelVariable("OPENAI_API_KEY"), v.levelVariable("FORWARD_KEY")
	if keys == "" && forward == "" && v.get("LEVEL_MODELS") == "" {
		return nil
	}
	l := &levels{keys: map[int][]string{}, clients: map[int][]string{}, models: map[int][]string{}}
	for _, key := range v.members(keys, `{"sk-first": [0, 1], "sk-second": [1]}`) {
		for _, level := range v.levelsIn(keys, key.value) {
			l.keys[level] = append(l.keys[level], key.name)
		}
	}
	for _, models := range v.members("LEVEL_MODELS", `{"1": ["gpt-4o"]}`) {
		level, err := strconv.Atoi(models.name)
		if err != nil || json.Unmarshal(models.value, &models.texts) != nil {
			v.problem("LEVEL_MODELS", "each level must be a number, with a list of models")
		}
		l.models[level] = models.texts
	}
	for _, f := range v.members(forward, `{"0": ["fk-first"], "1": ["fk-second"]}`) {
		v.forwardKeys(m, l, forward, f)
	}
	l.warn(v, keys, forward)
	return l
}

// levelVariable names the variable of keys with levels, which has another name since 0.8; empty: none is set.
func (v *variables) levelVariable(name string) string {
	if v.get(name+"_CONFIG") != "" {
		return name + "_CONFIG"
	}
	if strings.HasPrefix(v.get(name), "{") {
		return name
	}
	return ""
}

// levelsIn reads the levels of a key: a number, a list of them, or numbers between commas.
func (v *variables) levelsIn(name string, value json.RawMessage) []int {
	var one int
	var list []int
	var text string
	switch {
	case json.Unmarshal(value, &one) == nil:
		return []int{one}
	case json.Unmarshal(value, &list) == nil:
		return list
	case json.Unmarshal(value, &text) == nil:
		for part := range strings.SplitSeq(strings.ReplaceAll(text, "，", ","), ",") {
			level, err := strconv.Atoi(strings.TrimSpace(part))
			if err != nil {
				v.problem(name, "a level must be a number, or a list of numbers")
			}
			list = append(list, level)
		}
		return list
	}
	v.problem(name, "a level must be a number, or a list of numbers")
	return nil
}

// forwardKeys makes clients of a level and its keys (0.8), or of a key and its level (0.7).
func (v *variables) forwardKeys(m *tollgatev1.Config, l *levels, name string, f member) {
	level, keys := 0, []string{f.name}
	switch {
	case json.Unmarshal(f.value, &level) == nil:
	case json.Unmarshal(f.value, &f.texts) == nil:
		var err error
		if level, err = strconv.Atoi(f.name); err != nil {
			v.problem(name, "a level must be a number, with a list of its keys")
		}
		keys = f.texts
	default:
		v.problem(name, "must hold levels with lists of their keys, or keys with their levels")
		return
	}
	if _, ok := l.models[level]; level != 0 && !ok && len(keys) > 0 {
		v.problem(name, "level %d has keys and no models: write them into LEVEL_MODELS, or give the keys level 0, which may ask for all", level)
	}
	for _, key := range keys {
		v.names[fmt.Sprintf("clients[%d]", len(m.GetClients()))] = name
		c := &tollgatev1.Client{Name: forwardKeyName(key), Keys: []string{key}}
		if level != 0 {
			c.Models = l.models[level]
		}
		m.Clients = append(m.Clients, c)
		l.clients[level] = append(l.clients[level], c.GetName())
	}
}

// forwardKeyName is what a client of a forward key is called. Not by its place: limits and caches know a
// client by its name, and an edit moves others there.
func forwardKeyName(key string) string { return "forward-key-" + NewSecret(key).Fingerprint() }

// warn says which keys lead nowhere.
func (l *levels) warn(v *variables, keys, forward string) {
	for _, level := range sortedLevels(l.clients) {
		if len(l.keys[level]) == 0 {
			v.warn("no upstream's key is of level %d: whoever sends a forward key of it reaches the upstream without any key", level)
		}
	}
	if forward == "" && keys != "" {
		v.warn("%s has no effect without forward keys, as in OpenAI-Forward: any key travels on as it is", keys)
		clear(l.keys)
		return
	}
	for _, level := range sortedLevels(l.keys) {
		if len(l.clients[level]) == 0 {
			v.warn("no forward key is of level %d: who needs the upstream's keys of that level is not known", level)
		}
	}
}

// direct sends each level on with its own keys: by the route's upstream, which has those of level 0, or by
// one more upstream at the same address for all levels with the same keys.
func (l *levels) direct(m *tollgatev1.Config) {
	route, base := m.GetRoutes()[len(m.GetRoutes())-1], m.GetUpstreams()[len(m.GetUpstreams())-1]
	base.Keys = slices.Clone(l.keys[0])
	rules := map[string]*tollgatev1.ModelRule{}
	for _, level := range sortedLevels(l.clients) {
		keys := l.keys[level]
		if slices.Equal(keys, base.GetKeys()) {
			continue
		}
		joined := strings.Join(keys, "\n")
		if rules[joined] == nil {
			u := proto.CloneOf(base)
			u.Name, u.Keys = upstreamName(fmt.Sprintf("%s-level-%d", base.GetName(), level), m.GetUpstreams()), slices.Clone(keys)
			m.Upstreams = append(m.Upstreams, u)
			rules[joined] = &tollgatev1.ModelRule{Upstreams: []*tollgatev1.Target{{Name: u.GetName()}}}
			route.Models = append(route.Models, rules[joined])
		}
		rules[joined].Clients = append(rules[joined].Clients, l.clients[level]...)
	}
}

// each gives a rate to whom it is for, of rates by level: the clients of each level but 0, and, without
// names, all others. A level that has no rate of its own has the one for all other paths.
func (l *levels) each(rates []levelRate, otherwise string, add func(rate string, clients []string)) {
	of := func(level int) string {
		for _, r := range rates {
			if r.Level == level || r.everyone {
				return r.Limit
			}
		}
		return otherwise
	}
	if l != nil {
		for _, level := range sortedLevels(l.clients) {
			if rate := of(level); rate != of(0) {
				add(rate, l.clients[level])
			}
		}
	}
	add(of(0), nil)
}

func sortedLevels(of map[int][]string) []int {
	var all []int
	for level := range of {
		all = append(all, level)
	}
	slices.Sort(all)
	return all
}

// levelRate is how much a level may have of something.
type levelRate struct {
	Level int    `json:"level"`
	Limit string `json:"limit"`

	everyone bool // of whatever level
}

// UnmarshalJSON reads a rate for everyone, too: a text.
func (r *levelRate) UnmarshalJSON(data []byte) error {
	type plain levelRate
	if err := json.Unmarshal(data, (*plain)(r)); err != nil || r.Limit == "" {
		return errors.New("not a rate of a level")
	}
	return nil
}

// member is a member of a JSON object.
type member struct {
	name  string
	value json.RawMessage
	texts []string // its value, where that is what it is for
}

// members reads a variable that is a JSON object, in its own order.
func (v *variables) members(name, example string) []member {
	text := v.get(name)
	if text == "" {
		return nil
	}
	wrong := func() []member {
		v.problem(name, "must be a JSON object such as %s", example)
		return nil
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return wrong()
	}
	var members []member
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return wrong()
		}
		m := member{name: key.(string)} //nolint:forcetypeassert // a key is a string
		if decoder.Decode(&m.value) != nil {
			return wrong()
		}
		members = append(members, m)
	}
	if _, err := decoder.Token(); err != nil || decoder.More() {
		return wrong()
	}
	return members
}
