package xds

import (
	"tollgate/config"
)

// lead is where some requests of a route begin, and where they go on when that fails. Each has Envoy routes of
// its own, of which the gate chooses by what it says; where it says nothing, it is the last.
type lead struct {
	id     string // config.LeadID; empty: the last
	first  *config.Upstream
	choice *config.Choice

	clusters          // for most requests
	own      clusters // for those with their client's own key, where they go apart

	attempts bool // what attempts go with is asked
}

// several tells whether another upstream stands in where one fails.
func (l *lead) several() bool { return l.choice != nil && l.choice.Several() }

// clusters are those of one upstream, or of several, for one purpose.
type clusters struct {
	http      string
	webSocket string // the same by HTTP/1.1 only; equal to http where that is so already
}

// leading makes the clusters of leads, each once, however many routes lead there.
type leading struct {
	*Resources

	systemCA string
	made     map[single]string
	chained  map[string]string
}

// single is what a cluster of one upstream is made of.
type single struct {
	upstream *config.Upstream
	speak    protocol
	use      purpose
}

func newLeading(r *Resources, systemCA string) *leading {
	return &leading{Resources: r, systemCA: systemCA, made: map[single]string{}, chained: map[string]string{}}
}

// leads gives a route's leads, and adds what they lead to.
func (l *leading) leads(route *config.Route) ([]lead, error) {
	var leads []lead
	var last lead
	for c := range route.Choices {
		choice := &route.Choices[c]
		for t := range choice.Targets {
			made, err := l.lead(route, choice, t)
			if err != nil {
				return nil, err
			}
			if c == len(route.Choices)-1 && t == 0 {
				last = made
				continue
			}
			made.id = config.LeadID(c, t)
			leads = append(leads, made)
		}
	}
	return append(leads, last), nil
}

func (l *leading) lead(route *config.Route, choice *config.Choice, target int) (lead, error) {
	made := lead{first: choice.Targets[target].Upstream, choice: choice}
	var err error
	switch {
	case choice.Several():
		made.attempts = true
		made.clusters, err = l.chain(choice.Targets, target)
	case route.Needs().Gate && len(made.first.Keys) > 1:
		made.attempts = true
		made.clusters, err = l.clusters(made.first, keyed)
		if err == nil && route.Auth == config.AuthPassthrough {
			made.own, err = l.clusters(made.first, direct)
		}
	default:
		made.clusters, err = l.clusters(made.first, direct)
	}
	return made, err
}

// clusters adds what an upstream needs: its cluster, the one for WebSockets, their endpoints.
func (l *leading) clusters(u *config.Upstream, use purpose) (clusters, error) {
	webSocket, err := l.cluster(single{u, http1, use})
	if err != nil || !u.TLS {
		return clusters{http: webSocket, webSocket: webSocket}, err
	}
	http, err := l.cluster(single{u, byALPN, use})
	return clusters{http: http, webSocket: webSocket}, err
}

func (l *leading) cluster(s single) (string, error) {
	if name, ok := l.made[s]; ok {
		return name, nil
	}
	by, err := l.trust(s.upstream, l.systemCA)
	if err != nil {
		return "", err
	}
	name := l.addCluster(s.upstream, by, s.speak, s.use)
	l.made[s] = name
	return name, nil
}

// chain adds the upstreams of which one stands in for the other, beginning at one of them.
func (l *leading) chain(targets []config.Target, first int) (clusters, error) {
	var http, webSocket []string
	label := ""
	for n := range targets {
		u := targets[(first+n)%len(targets)].Upstream
		one, err := l.clusters(u, member)
		if err != nil {
			return clusters{}, err
		}
		http, webSocket = append(http, one.http), append(webSocket, one.webSocket)
		label += "+" + u.Name
	}
	return clusters{http: l.addChain(label[1:], http), webSocket: l.addChain(label[1:], webSocket)}, nil
}

func (l *leading) addChain(label string, members []string) string {
	c := chain(label, members)
	if _, ok := l.chained[c.GetName()]; !ok {
		l.chained[c.GetName()] = label
		l.Clusters = append(l.Clusters, c)
	}
	return c.GetName()
}
