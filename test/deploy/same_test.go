package deploy

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// TestSame: the chart and the overlay make the same objects.
func TestSame(t *testing.T) {
	t.Parallel()
	for overlay, values := range uses {
		t.Run(overlay, func(t *testing.T) {
			t.Parallel()
			byKustomize, byHelm := contents(t, kustomized(t, overlay)), contents(t, charted(t, values))
			if diff := cmp.Diff(byKustomize, byHelm); diff != "" {
				t.Errorf("they differ (-kustomize +helm):\n%s", diff)
			}
		})
	}
}

// contents are objects by what they are.
func contents(t *testing.T, all []object) map[string]any {
	t.Helper()
	byID := map[string]any{}
	for _, o := range all {
		var content any
		if err := yaml.Unmarshal(o.text, &content); err != nil {
			t.Fatal(err)
		}
		if byID[o.id()] != nil {
			t.Errorf("%s is there twice", o.id())
		}
		byID[o.id()] = content
	}
	return byID
}
