package xds

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	serverv3 "github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"go.uber.org/zap"
)

// fleet knows the connected Envoys and what each has acknowledged.
type fleet struct {
	log    *zap.Logger
	wanted func(group string) versions // what an Envoy of a group shall run

	mu     sync.Mutex
	envoys map[int64]*envoy // by stream
	goal   *goal            // nil where nothing is awaited
}

// envoy is one connected stream.
type envoy struct {
	node, group  string
	sent         map[string]*discoveryv3.DeltaDiscoveryResponse // by nonce: waiting for their acknowledgement
	acknowledged versions
}

// goal is what all Envoys shall acknowledge. Each message of an Envoy is held against its own part of it only,
// and only as long as it is behind: the time of a change grows with the Envoys, not with their square.
type goal struct {
	wanted  map[string]versions // by group; Others for those of none
	behind  map[*envoy]struct{}
	reached chan error // the end of it: nil, or the first rejection
}

func newFleet(log *zap.Logger, wanted func(group string) versions) *fleet {
	return &fleet{log: log, wanted: wanted, envoys: map[int64]*envoy{}}
}

// callbacks is how go-control-plane tells what happens on its streams.
func (f *fleet) callbacks() serverv3.Callbacks {
	return serverv3.CallbackFuncs{
		DeltaStreamOpenFunc: func(_ context.Context, stream int64, _ string) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.envoys[stream] = &envoy{sent: map[string]*discoveryv3.DeltaDiscoveryResponse{}, acknowledged: versions{}}
			return nil
		},
		DeltaStreamClosedFunc: func(stream int64, node *corev3.Node) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.caughtUp(f.envoys[stream])
			delete(f.envoys, stream)
			f.log.Info("an Envoy has disconnected", zap.String("node", node.GetId()))
		},
		StreamDeltaResponseFunc: func(stream int64, _ *discoveryv3.DeltaDiscoveryRequest, response *discoveryv3.DeltaDiscoveryResponse) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.envoys[stream].sent[response.GetNonce()] = response
		},
		StreamDeltaRequestFunc: func(stream int64, request *discoveryv3.DeltaDiscoveryRequest) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.heard(f.envoys[stream], request)
			return nil
		},
	}
}

// heard takes an Envoy's message: a first word, an acknowledgement or a rejection.
func (f *fleet) heard(e *envoy, request *discoveryv3.DeltaDiscoveryRequest) {
	if e.node == "" && request.GetNode() != nil {
		f.greet(e, request.GetNode())
	}
	has := e.acknowledged.of(request.GetTypeUrl())
	for _, name := range request.GetResourceNamesSubscribe() {
		delete(has, name) // it may have dropped it
	}
	maps.Copy(has, request.GetInitialResourceVersions()) // what it has from a stream before this one
	for _, name := range request.GetResourceNamesUnsubscribe() {
		delete(has, name)
	}
	response, answers := e.sent[request.GetResponseNonce()]
	if !answers {
		return
	}
	delete(e.sent, request.GetResponseNonce())
	if detail := request.GetErrorDetail(); detail != nil {
		f.reject(&Rejected{Node: e.node, Kind: kind(request.GetTypeUrl()), Why: detail.GetMessage()})
		return
	}
	for _, resource := range response.GetResources() {
		has[resource.GetName()] = resource.GetVersion()
	}
	for _, name := range response.GetRemovedResources() {
		delete(has, name)
	}
	if f.goal != nil && f.goal.isBehind(e) && e.runs(f.goal.of(e.group)) {
		f.caughtUp(e)
	}
}

// greet takes in an Envoy's first word. One that comes while something is awaited is awaited, too.
func (f *fleet) greet(e *envoy, node *corev3.Node) {
	e.node, e.group = node.GetId(), groupOf(node)
	log := f.log.With(zap.String("node", e.node), zap.String("group", e.group))
	log.Info("an Envoy has connected", zap.String("version", f.known(node)))
	if wanted := f.wanted(e.group); wanted != nil && wanted.empty() {
		log.Warn("the configuration has groups, and not this Envoy's: it gets no port and no route (see groups in tollgate.yaml, and `tollgate bootstrap --group`)")
	}
	if f.goal != nil {
		f.goal.behind[e] = struct{}{}
	}
}

// known says which version an Envoy is of, and where it is too old that it is.
func (f *fleet) known(node *corev3.Node) string {
	version := node.GetUserAgentBuildVersion().GetVersion()
	known := fmt.Sprintf("%d.%d.%d", version.GetMajorNumber(), version.GetMinorNumber(), version.GetPatch())
	if version != nil && TooOld(version.GetMajorNumber(), version.GetMinorNumber()) {
		f.log.Error("this Envoy is too old, and will reject its configuration",
			zap.String("node", node.GetId()), zap.String("version", known), zap.String("lowest", LowestEnvoy()))
	}
	return known
}

func (f *fleet) reject(r *Rejected) {
	f.log.Error("an Envoy rejects its configuration",
		zap.String("node", r.Node), zap.String("kind", r.Kind), zap.String("why", r.Why))
	if f.goal != nil {
		f.goal.end(r)
	}
}

// caughtUp takes an Envoy from those that are behind; the last one reaches the goal.
func (f *fleet) caughtUp(e *envoy) {
	if f.goal == nil || !f.goal.isBehind(e) {
		return
	}
	delete(f.goal.behind, e)
	if len(f.goal.behind) == 0 {
		f.goal.end(nil)
	}
}

// expect begins to look out for acknowledgements of what is about to be set, by group, by all that are connected now
// or come later. What it returns waits until all have them, with the first rejection or the context's error.
func (f *fleet) expect(wanted map[string]versions) (reached func(context.Context) error) {
	g := &goal{wanted: wanted, behind: map[*envoy]struct{}{}, reached: make(chan error, 1)}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range f.envoys {
		if e.node != "" && !e.runs(g.of(e.group)) {
			g.behind[e] = struct{}{}
		}
	}
	f.goal = g
	if len(g.behind) == 0 {
		g.end(nil)
	}
	return func(ctx context.Context) error {
		select {
		case err := <-g.reached:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (f *fleet) expectNothing() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.goal = nil
}

// lagging names some of the Envoys that are behind.
func (f *fleet) lagging() []string {
	const enough = 10
	f.mu.Lock()
	defer f.mu.Unlock()
	var nodes []string
	if f.goal != nil {
		for e := range f.goal.behind {
			if len(nodes) < enough {
				nodes = append(nodes, e.node)
			}
		}
	}
	return nodes
}

// end says how it ended; only the first word counts.
func (g *goal) end(err error) {
	select {
	case g.reached <- err:
	default:
	}
}

func (g *goal) isBehind(e *envoy) bool {
	_, behind := g.behind[e]
	return behind
}

func (g *goal) of(group string) versions {
	if wanted, ok := g.wanted[group]; ok {
		return wanted
	}
	return g.wanted[Others]
}

func (f *fleet) size() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.envoys)
}

// anyRuns tells whether at least one Envoy has acknowledged what it shall run, and that is something.
func (f *fleet) anyRuns() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range f.envoys {
		if wanted := f.wanted(e.group); e.node != "" && !wanted.empty() && e.runs(wanted) {
			return true
		}
	}
	return false
}

func (e *envoy) runs(wanted versions) bool {
	for typeURL, resources := range wanted {
		has := e.acknowledged.of(typeURL)
		for name, version := range resources {
			if has[name] != version {
				return false
			}
		}
	}
	return true
}

// empty tells whether there is nothing.
func (v versions) empty() bool {
	for _, resources := range v {
		if len(resources) > 0 {
			return false
		}
	}
	return true
}

// of gives the versions of one type, ready to be written to.
func (v versions) of(typeURL string) map[string]string {
	if v[typeURL] == nil {
		v[typeURL] = map[string]string{}
	}
	return v[typeURL]
}

// kind shortens a type URL to the name of its message.
func kind(typeURL string) string { return typeURL[strings.LastIndexByte(typeURL, '.')+1:] }
