package xds

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/protobuf/types/known/anypb"
)

// shelf is where go-control-plane's server finds what Envoys shall have: for each group every resource encoded
// once, however many Envoys ask for it. The library's own cache encodes them for each Envoy anew, and cannot
// move an Envoy that stays connected to another group.
type shelf struct {
	mu      sync.Mutex
	parts   map[string]*part                         // by group; nil before the first set
	waiting map[string]map[*watch]struct{}           // by type URL
	encoded map[types.Resource]*discoveryv3.Resource // of what lies on the shelf now, and what is to come
}

// part is what the Envoys of one group shall have.
type part struct {
	version   string
	resources map[string]map[string]*discoveryv3.Resource // by type URL and name
	versions  versions
}

// watch is an Envoy that has all that there is of a type, and waits for more.
type watch struct {
	request *discoveryv3.DeltaDiscoveryRequest
	has     cache.Subscription
	answers chan cache.DeltaResponse
}

func newShelf() *shelf {
	return &shelf{waiting: map[string]map[*watch]struct{}{}, encoded: map[types.Resource]*discoveryv3.Resource{}}
}

// groupOf is the group that an Envoy says it belongs to.
func groupOf(node *corev3.Node) string { return node.GetCluster() }

// set puts new parts in the place of the old ones and answers all who wait for a change of theirs, what
// others lead to first: clusters, endpoints, secrets, listeners, routes. Those that have rejected something get all
// of its type again where this is the time to ask them anew.
func (s *shelf) set(parts Parts, anew bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.encoded
	s.encoded, s.parts = map[types.Resource]*discoveryv3.Resource{}, make(map[string]*part, len(parts))
	for name, resources := range parts {
		s.parts[name] = s.encode(resources, before)
	}
	for _, typeURL := range []string{resource.ClusterType, resource.EndpointType, resource.SecretType, resource.ListenerType, resource.RouteType} {
		for w := range s.waiting[typeURL] {
			if answer := s.partOf(groupOf(w.request.GetNode())).answer(w.request, w.has, anew); answer != nil {
				w.answers <- answer // never blocks: the server has room for one of each type
				delete(s.waiting[typeURL], w)
			}
		}
	}
}

// encode makes a part of resources. Those that lay there before are taken as they are.
func (s *shelf) encode(r *Resources, before map[types.Resource]*discoveryv3.Resource) *part {
	p := &part{resources: map[string]map[string]*discoveryv3.Resource{}, versions: versions{}}
	var all strings.Builder
	for kind := range types.UnknownType {
		typeURL, _ := cache.GetResponseTypeURL(kind)
		list := r.byType()[kind]
		named := make(map[string]*discoveryv3.Resource, len(list))
		for _, message := range list {
			if ready := before[message]; ready != nil {
				s.encoded[message] = ready
			}
			ready := s.ready(typeURL, message)
			named[ready.GetName()] = ready
			p.versions.of(typeURL)[ready.GetName()] = ready.GetVersion()
			_, _ = fmt.Fprintf(&all, "%q %q\n", ready.GetName(), ready.GetVersion())
		}
		p.resources[typeURL] = named
	}
	p.version = digestOf([]byte(all.String()))
	return p
}

// ready is a resource as it goes to Envoys. It is encoded once: many routes take a while.
func (s *shelf) ready(typeURL string, message types.Resource) *discoveryv3.Resource {
	if s.encoded[message] == nil {
		wire := encode(message)
		s.encoded[message] = &discoveryv3.Resource{
			Name: cache.GetResourceName(message), Version: digestOf(wire),
			Resource: &anypb.Any{TypeUrl: typeURL, Value: wire},
		}
	}
	return s.encoded[message]
}

// versionsOf says what Envoys of each group must have acknowledged to run parts, which are about to be set.
func (s *shelf) versionsOf(parts Parts) map[string]versions {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]versions, len(parts))
	for name, resources := range parts {
		all[name] = versions{}
		for kind, list := range resources.byType() {
			typeURL, _ := cache.GetResponseTypeURL(kind)
			for _, message := range list {
				ready := s.ready(typeURL, message)
				all[name].of(typeURL)[ready.GetName()] = ready.GetVersion()
			}
		}
	}
	return all
}

// partOf is what a group shall have; nil before the first set.
func (s *shelf) partOf(group string) *part {
	if p := s.parts[group]; p != nil {
		return p
	}
	return s.parts[Others]
}

// wanted says what an Envoy of a group must have acknowledged to run its part.
func (s *shelf) wanted(group string) versions {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.partOf(group); p != nil {
		return p.versions
	}
	return nil
}

// CreateDeltaWatch answers an Envoy at once, or when there is something new: see cache.ConfigWatcher.
func (s *shelf) CreateDeltaWatch(request *discoveryv3.DeltaDiscoveryRequest, has cache.Subscription, answers chan cache.DeltaResponse) (cancel func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if request.GetErrorDetail() != nil {
		doubt(has)
	}
	forget(has, request)
	if p := s.partOf(groupOf(request.GetNode())); p != nil {
		if answer := p.answer(request, has, false); answer != nil {
			answers <- answer
			return nil, nil
		}
	}
	typeURL := request.GetTypeUrl()
	if s.waiting[typeURL] == nil {
		s.waiting[typeURL] = map[*watch]struct{}{}
	}
	w := &watch{request: request, has: has, answers: answers}
	s.waiting[typeURL][w] = struct{}{}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.waiting[typeURL], w)
	}, nil
}

// doubted stands behind the version of what was sent to an Envoy that rejected some of a type: it may have taken the
// rest, and does not say.
const doubted = "?"

// doubt notes that it is not known what of a type an Envoy has.
func doubt(has cache.Subscription) {
	known := has.ReturnedResources()
	for name, version := range known {
		known[name] = strings.TrimSuffix(version, doubted) + doubted
	}
}

// forget notes what an Envoy asks for once more: it may have dropped it and wanted it back before it could say so
// (DeltaDiscoveryRequest.resource_names_subscribe). What it says it has it keeps.
func forget(has cache.Subscription, request *discoveryv3.DeltaDiscoveryRequest) {
	for _, name := range request.GetResourceNamesSubscribe() {
		if !contains(request.GetInitialResourceVersions(), name) {
			delete(has.ReturnedResources(), name)
		}
	}
}

// answer is what an Envoy lacks, or has too much, and anew what is in doubt; nil: nothing. The first question for
// everything of a type is always answered, or Envoy would wait.
func (p *part) answer(request *discoveryv3.DeltaDiscoveryRequest, has cache.Subscription, anew bool) cache.DeltaResponse {
	typeURL := request.GetTypeUrl()
	offered, known := p.resources[typeURL], has.ReturnedResources()
	all := has.IsWildcard()
	first := all && request.GetResponseNonce() == ""
	if all && !first && maps.Equal(known, p.versions[typeURL]) {
		return nil
	}
	response := &discoveryv3.DeltaDiscoveryResponse{TypeUrl: typeURL, SystemVersionInfo: p.version}
	next := map[string]string{}
	take := func(name string) {
		switch r, was := offered[name], known[name]; {
		case r != nil && (was == r.GetVersion() || !anew && was == r.GetVersion()+doubted):
			next[name] = was
		case r != nil:
			next[name] = r.GetVersion()
			response.Resources = append(response.Resources, r)
		case contains(known, name):
			response.RemovedResources = append(response.RemovedResources, name)
		}
	}
	if all {
		for name := range offered {
			take(name)
		}
		for name := range known {
			if offered[name] == nil {
				take(name)
			}
		}
	} else {
		for name := range has.SubscribedResources() {
			take(name)
		}
	}
	if !first && len(response.Resources) == 0 && len(response.RemovedResources) == 0 {
		return nil
	}
	return &cache.DeltaPassthroughResponse{DeltaRequest: request, NextVersionMap: next, DeltaDiscoveryResponse: response}
}

func contains(known map[string]string, name string) bool {
	_, ok := known[name]
	return ok
}

// errDeltaOnly is for other forms of the protocol than the one that the bootstrap asks for.
var errDeltaOnly = errors.New("tollgate speaks xDS as differences only: use the bootstrap that `tollgate bootstrap` prints")

// CreateWatch refuses the form of xDS that tells everything every time.
func (s *shelf) CreateWatch(*discoveryv3.DiscoveryRequest, cache.Subscription, chan cache.Response) (func(), error) {
	return nil, errDeltaOnly
}

// Fetch refuses xDS over REST.
func (s *shelf) Fetch(context.Context, *discoveryv3.DiscoveryRequest) (cache.Response, error) {
	return nil, errDeltaOnly
}
