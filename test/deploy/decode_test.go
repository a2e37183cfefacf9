package deploy

import (
	"testing"

	envoygateway "github.com/envoyproxy/gateway/api/v1alpha1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	istio "istio.io/api/networking/v1alpha3"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	network "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	gateway "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"
)

// kinds are the APIs' own types.
var kinds = map[string]func() any{
	"v1 ConfigMap":                       func() any { return new(core.ConfigMap) },
	"v1 Service":                         func() any { return new(core.Service) },
	"apps/v1 Deployment":                 func() any { return new(apps.Deployment) },
	"policy/v1 PodDisruptionBudget":      func() any { return new(policy.PodDisruptionBudget) },
	"networking.k8s.io/v1 NetworkPolicy": func() any { return new(network.NetworkPolicy) },

	"gateway.networking.k8s.io/v1 HTTPRoute":              func() any { return new(gateway.HTTPRoute) },
	"gateway.envoyproxy.io/v1alpha1 Backend":              func() any { return new(envoygateway.Backend) },
	"gateway.envoyproxy.io/v1alpha1 HTTPRouteFilter":      func() any { return new(envoygateway.HTTPRouteFilter) },
	"gateway.envoyproxy.io/v1alpha1 EnvoyExtensionPolicy": func() any { return new(envoygateway.EnvoyExtensionPolicy) },
	"gateway.envoyproxy.io/v1alpha1 EnvoyPatchPolicy":     func() any { return new(envoygateway.EnvoyPatchPolicy) },
	"networking.istio.io/v1alpha3 EnvoyFilter":            func() any { return &istioObject{Spec: message{new(istio.EnvoyFilter)}} },
	"networking.istio.io/v1 ServiceEntry":                 func() any { return &istioObject{Spec: message{new(istio.ServiceEntry)}} },
}

// istioObject is an object whose content is a message of protocol buffers. Istio's own type for it lets unknown
// fields pass.
type istioObject struct {
	meta.TypeMeta   `json:",inline"`
	meta.ObjectMeta `json:"metadata"`

	Spec message `json:"spec"`
}

type message struct{ proto.Message }

// UnmarshalJSON refuses unknown fields.
func (m message) UnmarshalJSON(text []byte) error { return protojson.Unmarshal(text, m.Message) }

// everyObject is all that deploy holds for Kubernetes, by where it comes from.
func everyObject(t *testing.T) map[string][]object {
	t.Helper()
	all := map[string][]object{
		"istio":         checkedIn(t, "istio/*.yaml"),
		"envoy-gateway": checkedIn(t, "envoy-gateway/*.yaml"),
	}
	for overlay, values := range uses {
		all["kustomize "+overlay] = kustomized(t, overlay)
		all["helm "+overlay] = charted(t, values)
	}
	return all
}

// TestDecode: every object is one of the API that it names, and no field in it is unknown or written twice.
func TestDecode(t *testing.T) {
	t.Parallel()
	for from, all := range everyObject(t) {
		if len(all) == 0 {
			t.Errorf("%s holds no object", from)
		}
		for _, o := range all {
			kind, known := kinds[o.APIVersion+" "+o.Kind]
			if !known {
				t.Errorf("%s: %s is of a kind that this test does not know", from, o.id())
				continue
			}
			if err := yaml.UnmarshalStrict(o.text, kind()); err != nil {
				t.Errorf("%s: %s: %v", from, o.id(), err)
			}
		}
	}
}

// TestDecodeRefuses: what TestDecode would not notice is not checked by it.
func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	for id, kind := range kinds {
		for _, wrong := range []string{`{"spec": {"nonsense": 1}}`, `{"nonsense": 1}`} {
			if err := yaml.UnmarshalStrict([]byte(wrong), kind()); err == nil {
				t.Errorf("%s takes %s", id, wrong)
			}
		}
	}
}
