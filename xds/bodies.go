package xds

import (
	"maps"
	"slices"
	"strconv"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	bodysizev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/body_size_limit/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"tollgate/config"
)

// bodyFilter bounds requests' bodies: it counts what streams by, and holds nothing.
const bodyFilter = "tollgate.body"

// bodyLimits are the filters that bound requests' bodies, one for each size that some route names, since Envoy
// knows no other settings of this filter for a route than on and off. That of the listener is on.
func bodyLimits(c *config.Config) []*hcmv3.HttpFilter {
	filters := []*hcmv3.HttpFilter{bodyLimit(bodyFilter, c.Listener.MaxBody)}
	others := map[uint64]bool{}
	for _, route := range c.Routes {
		if route.MaxBody != c.Listener.MaxBody {
			others[route.MaxBody] = true
		}
	}
	for _, size := range slices.Sorted(maps.Keys(others)) {
		filter := bodyLimit(bodyFilterOf(size), size)
		filter.Disabled = true
		filters = append(filters, filter)
	}
	return filters
}

func bodyLimit(name string, size uint64) *hcmv3.HttpFilter {
	return httpFilter(name, &bodysizev3.BodySizeLimit{MaxRequestBytes: wrapperspb.UInt64(size)})
}

func bodyFilterOf(size uint64) string { return bodyFilter + "." + strconv.FormatUint(size, 10) }

// limitBodies has a route of ours bound bodies by its own size.
func limitBodies(routes []*routev3.Route, route *config.Route, l *config.Listener) {
	if route.MaxBody == l.MaxBody {
		return
	}
	for _, r := range routes {
		if r.TypedPerFilterConfig == nil {
			r.TypedPerFilterConfig = map[string]*anypb.Any{}
		}
		r.TypedPerFilterConfig[bodyFilter] = off()
		r.TypedPerFilterConfig[bodyFilterOf(route.MaxBody)] = anyOf(&routev3.FilterConfig{Config: &anypb.Any{}}) // on
	}
}
