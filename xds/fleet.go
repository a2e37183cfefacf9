package xds

import (
	"context"
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
	log *zap.Logger

	mu       sync.Mutex
	envoys   map[int64]*envoy // by stream
	rejected *Rejected        // the first since forgetRejections
	changed  chan struct{}    // closed, and made anew, whenever anything above changes
}

// envoy is one connected stream.
type envoy struct {
	node         string
	sent         map[string]*discoveryv3.DeltaDiscoveryResponse // by nonce: waiting for their acknowledgement
	acknowledged versions
}

func newFleet(log *zap.Logger) *fleet {
	return &fleet{log: log, envoys: map[int64]*envoy{}, changed: make(chan struct{})}
}

// callbacks is how go-control-plane tells what happens on its streams.
func (f *fleet) callbacks() serverv3.Callbacks {
	return serverv3.CallbackFuncs{
		DeltaStreamOpenFunc: func(_ context.Context, stream int64, _ string) error {
			f.update(func() {
				f.envoys[stream] = &envoy{sent: map[string]*discoveryv3.DeltaDiscoveryResponse{}, acknowledged: versions{}}
			})
			return nil
		},
		DeltaStreamClosedFunc: func(stream int64, node *corev3.Node) {
			f.update(func() { delete(f.envoys, stream) })
			f.log.Info("an Envoy has disconnected", zap.String("node", node.GetId()))
		},
		StreamDeltaResponseFunc: func(stream int64, _ *discoveryv3.DeltaDiscoveryRequest, response *discoveryv3.DeltaDiscoveryResponse) {
			f.update(func() { f.envoys[stream].sent[response.GetNonce()] = response })
		},
		StreamDeltaRequestFunc: func(stream int64, request *discoveryv3.DeltaDiscoveryRequest) error {
			f.update(func() { f.heard(f.envoys[stream], request) })
			return nil
		},
	}
}

// heard takes an Envoy's message: a first word, an acknowledgement or a rejection.
func (f *fleet) heard(e *envoy, request *discoveryv3.DeltaDiscoveryRequest) {
	if e.node == "" && request.GetNode() != nil {
		e.node = request.GetNode().GetId()
		f.log.Info("an Envoy has connected", zap.String("node", e.node))
	}
	has := e.acknowledged.of(request.GetTypeUrl())
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
}

func (f *fleet) reject(r *Rejected) {
	f.log.Error("an Envoy rejects its configuration",
		zap.String("node", r.Node), zap.String("kind", r.Kind), zap.String("why", r.Why))
	if f.rejected == nil {
		f.rejected = r
	}
}

// update changes the fleet under its lock and wakes whoever waits.
func (f *fleet) update(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *fleet) forgetRejections() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rejected = nil
}

func (f *fleet) size() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.envoys)
}

// await returns when every connected Envoy has acknowledged what is wanted, with the first
// rejection, or with the context's error.
func (f *fleet) await(ctx context.Context, wanted versions) error {
	for {
		f.mu.Lock()
		rejected, changed, done := f.rejected, f.changed, true
		for _, e := range f.envoys {
			done = done && e.runs(wanted)
		}
		f.mu.Unlock()
		switch {
		case rejected != nil:
			return rejected
		case done:
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// anyRuns tells whether at least one Envoy has acknowledged what is wanted.
func (f *fleet) anyRuns(wanted versions) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range f.envoys {
		if e.runs(wanted) {
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

// of gives the versions of one type, ready to be written to.
func (v versions) of(typeURL string) map[string]string {
	if v[typeURL] == nil {
		v[typeURL] = map[string]string{}
	}
	return v[typeURL]
}

// kind shortens a type URL to the name of its message.
func kind(typeURL string) string { return typeURL[strings.LastIndexByte(typeURL, '.')+1:] }
