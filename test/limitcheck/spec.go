package limitcheck

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Spec is the part of a configuration that limits are about.
type Spec struct {
	Dotenv  bool    // it is written as OpenAI-Forward's variables: see Spec.Env
	Limits  []Limit // of routes that name none of their own
	Routes  []Route
	Clients []Client
}

// Route is a path prefix.
type Route struct {
	Prefix       string
	Open         bool // clients need no key
	Spare        bool // no random request goes there
	AnswerTokens uint64
	Limits       []Limit
}

// Client is someone with a key.
type Client struct {
	Name, Key string
	Limits    []Limit
}

// Limit is how many requests or tokens may pass.
type Limit struct {
	Rates    []Rate
	Tokens   bool
	Path     string
	Models   []string // a final * stands for any text
	Per      string   // client, model, path, route
	Strategy string
	Shadow   bool
}

// Query is a request, as far as limits are about it.
type Query struct {
	Client   string // a client's name; empty: who has no key
	Address  string // where it comes from
	Path     string
	Model    string
	Chat     bool   // it asks for tokens
	Prompt   uint64 // the gateway's estimate of its prompt
	MaxAsked uint64 // max_tokens; 0: it does not say
	Answers  uint64 // n; 0: it does not say
	Used     uint64 // what it will have used, if it passes
}

// Takes says what a request takes, after the schema's words.
func (s *Spec) Takes(q *Query) []Take {
	route := s.routeOf(q.Path)
	var takes []Take
	if len(route.Limits) > 0 {
		for i := range route.Limits {
			takes = route.Limits[i].takes(takes, fmt.Sprint("route ", route.Prefix, " ", i), &route, q)
		}
	} else {
		takes = s.firstOfEach(&route, q)
	}
	for i := range s.Clients {
		for j := range s.Clients[i].Limits {
			if s.Clients[i].Name == q.Client {
				takes = s.Clients[i].Limits[j].takes(takes, fmt.Sprint("own ", j), &route, q)
			}
		}
	}
	return takes
}

// firstOfEach are the limits for routes without any: the first of requests and the first of tokens that
// match, and all that are tried out. One for a path counts wherever that path leads.
func (s *Spec) firstOfEach(route *Route, q *Query) (takes []Take) {
	found := map[bool]bool{}
	for i := range s.Limits {
		l := &s.Limits[i]
		if !l.matches(q) || !l.Shadow && found[l.Tokens] {
			continue
		}
		found[l.Tokens] = found[l.Tokens] || !l.Shadow
		where := fmt.Sprint("all ", i)
		switch {
		case s.Dotenv: // a path's count is one, whichever variable names it
			where = "all"
		case l.Path == "" && l.Per != "path":
			where += " " + route.Prefix
		}
		takes = l.takes(takes, where, route, q)
	}
	return takes
}

// routeOf finds the longest prefix.
func (s *Spec) routeOf(path string) (found Route) {
	for _, r := range s.Routes {
		prefix := strings.TrimSuffix(r.Prefix, "/")
		if (path == prefix || strings.HasPrefix(path, prefix+"/")) && len(prefix) >= len(found.Prefix) {
			found = r
		}
	}
	return found
}

func (l *Limit) matches(q *Query) bool {
	if !strings.HasPrefix(q.Path, l.Path) {
		return false
	}
	return len(l.Models) == 0 || slices.ContainsFunc(l.Models, func(pattern string) bool {
		if begin, open := strings.CutSuffix(pattern, "*"); open {
			return strings.HasPrefix(q.Model, begin)
		}
		return q.Model == pattern
	})
}

// takes adds what a request takes of a limit.
func (l *Limit) takes(takes []Take, where string, route *Route, q *Query) []Take {
	if !l.matches(q) || l.Tokens && !q.Chat {
		return takes
	}
	who := q.Client
	if who == "" {
		who = q.Address
	}
	switch l.Per {
	case "route":
		who = "everyone"
	case "model":
		who += " " + strconv.Quote(q.Model)
	case "path":
		who += " " + q.Path
	}
	for _, r := range l.Rates {
		t := Take{
			Counter: fmt.Sprintf("%s: %s, %v", where, who, r.Window), Rate: r,
			Strategy: l.Strategy, Tokens: l.Tokens, Shadow: l.Shadow, Reserved: 1, Used: 1,
		}
		if l.Tokens {
			t.Reserved, t.Used = q.reserves(route, r.Count), q.Used
		}
		takes = append(takes, t)
	}
	return takes
}

// reserves is what is reserved of a limit: the prompt and each answer that is asked for, or as many of the
// route's usual answers, which a small limit cuts.
func (q *Query) reserves(route *Route, count uint64) uint64 {
	answers := max(1, q.Answers)
	if q.MaxAsked > 0 {
		return q.Prompt + answers*q.MaxAsked
	}
	return max(q.Prompt, min(q.Prompt+answers*route.AnswerTokens, count))
}

// YAML writes the limits as tollgate.yaml has them: routes, clients, limits. The upstream is called up.
func (s *Spec) YAML() string {
	var b strings.Builder
	b.WriteString("clients:\n")
	for _, c := range s.Clients {
		fmt.Fprintf(&b, "- {name: %s, keys: [%s], limits: [%s]}\n", c.Name, c.Key, yamlOf(c.Limits))
	}
	b.WriteString("routes:\n")
	for _, r := range s.Routes {
		auth := "required"
		if r.Open {
			auth = "open"
		}
		fmt.Fprintf(&b, "- {prefix: %s, upstream: up, auth: %s, answer_tokens: %d, limits: [%s]}\n", r.Prefix, auth, r.AnswerTokens, yamlOf(r.Limits))
	}
	if len(s.Limits) > 0 {
		fmt.Fprintf(&b, "limits: [%s]\n", yamlOf(s.Limits))
	}
	return b.String()
}

func yamlOf(limits []Limit) string {
	var texts []string
	for _, l := range limits {
		kind := "requests"
		if l.Tokens {
			kind = "tokens"
		}
		text := fmt.Sprintf("{%s: %q, per: %s, strategy: %s", kind, notation(l.Rates), l.Per, l.Strategy)
		if l.Path != "" {
			text += ", path: " + l.Path
		}
		if len(l.Models) > 0 {
			text += `, models: ["` + strings.Join(l.Models, `", "`) + `"]`
		}
		if l.Shadow {
			text += ", shadow: true"
		}
		texts = append(texts, text+"}")
	}
	return strings.Join(texts, ", ")
}

// notation writes rates of whole seconds.
func notation(rates []Rate) string {
	var texts []string
	for _, r := range rates {
		texts = append(texts, fmt.Sprintf("%d/%dseconds", r.Count, r.Window/time.Second))
	}
	return strings.Join(texts, ";")
}

// Env writes the limits as OpenAI-Forward's variables: an object of paths, whose first that begins a
// request's path counts, and the rate of all others.
func (s *Spec) Env(upstream, store string) string {
	var prefixes, urls, keys, paths []string
	global := "inf"
	for _, r := range s.Routes {
		prefixes, urls = append(prefixes, r.Prefix), append(urls, upstream)
	}
	for _, c := range s.Clients {
		keys = append(keys, c.Key)
	}
	for _, l := range s.Limits {
		if l.Path == "" {
			global = notation(l.Rates)
			continue
		}
		paths = append(paths, fmt.Sprintf("%q: %q", l.Path, notation(l.Rates)))
	}
	return "OPENAI_BASE_URL=" + strings.Join(urls, ",") + "\nOPENAI_ROUTE_PREFIX=" + strings.Join(prefixes, ",") +
		"\nOPENAI_API_KEY=sk-real-0123456789\nFORWARD_KEY=" + strings.Join(keys, ",") +
		"\nREQ_RATE_LIMIT={" + strings.Join(paths, ", ") + "}\nGLOBAL_RATE_LIMIT=" + global +
		"\nRATE_LIMIT_STRATEGY=" + s.Limits[0].Strategy + "\nREQ_RATE_LIMIT_BACKEND=" + store + "\n"
}

// Clone makes a copy that can be changed.
func (s *Spec) Clone() *Spec {
	c := *s
	c.Limits, c.Routes, c.Clients = cloned(s.Limits), slices.Clone(s.Routes), slices.Clone(s.Clients)
	for i := range c.Routes {
		c.Routes[i].Limits = cloned(c.Routes[i].Limits)
	}
	return &c
}

func cloned(limits []Limit) []Limit {
	limits = slices.Clone(limits)
	for i := range limits {
		limits[i].Rates = slices.Clone(limits[i].Rates)
	}
	return limits
}
