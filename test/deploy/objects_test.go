package deploy

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

const (
	deployDir = "../../deploy"
	release   = "tollgate"
)

// uses are the ways in which Tollgate is installed: the overlay, and the chart's values that mean the same.
var uses = map[string]string{
	"gateway": "",
	"redis":   "helm/redis.yaml",
	"sidecar": "helm/sidecar.yaml",
}

// object is an object of Kubernetes as it is written.
type object struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name   string            `json:"name"`
		Labels map[string]string `json:"labels"`
	} `json:"metadata"`

	text []byte
}

func (o object) id() string { return o.APIVersion + " " + o.Kind + " " + o.Metadata.Name }

// kustomized are the objects of an overlay.
func kustomized(t *testing.T, overlay string) []object {
	t.Helper()
	options := krusty.MakeDefaultOptions()
	options.Reorder = krusty.ReorderOptionNone
	made, err := krusty.MakeKustomizer(options).Run(filesys.MakeFsOnDisk(), filepath.Join(deployDir, "kubernetes", "overlays", overlay))
	if err != nil {
		t.Fatal(err)
	}
	text, err := made.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return objects(t, text)
}

// charted are the objects that the chart makes of a file of values.
func charted(t *testing.T, values string, changes ...string) []object {
	t.Helper()
	chart, err := loader.Load(filepath.Join(deployDir, "helm", "tollgate"))
	if err != nil {
		t.Fatal(err)
	}
	given := chartutil.Values{}
	if values != "" {
		if given, err = chartutil.ReadValuesFile(filepath.Join(deployDir, values)); err != nil {
			t.Fatal(err)
		}
	}
	for _, change := range changes {
		changed, err := chartutil.ReadValues([]byte(change))
		if err != nil {
			t.Fatal(err)
		}
		given = chartutil.CoalesceTables(changed, given)
	}
	render, err := chartutil.ToRenderValues(chart, given, chartutil.ReleaseOptions{Name: release, Namespace: "default"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	files, err := engine.Engine{Strict: true}.Render(chart, render)
	if err != nil {
		t.Fatal(err)
	}
	var all []object
	for name, text := range files {
		if strings.HasSuffix(name, ".yaml") {
			all = append(all, objects(t, []byte(text))...)
		}
	}
	return all
}

// checkedIn are the objects of the files that match, below deploy.
func checkedIn(t *testing.T, pattern string) []object {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(deployDir, filepath.FromSlash(pattern)))
	if err != nil || len(files) == 0 {
		t.Fatalf("no file matches %s: %v", pattern, err)
	}
	var all []object
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, objects(t, text)...)
	}
	return all
}

// objects takes a file apart. What has no kind is none of them: a configuration of Tollgate's, or nothing.
func objects(t *testing.T, text []byte) []object {
	t.Helper()
	var all []object
	for documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text))); ; {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		o := object{text: document}
		if err := yaml.Unmarshal(document, &o); err != nil {
			t.Fatalf("%v in:\n%s", err, document)
		}
		if o.Kind != "" {
			all = append(all, o)
		}
	}
}

// find returns the object of a kind and name, decoded.
func find[T any](t *testing.T, all []object, kind, name string) *T {
	t.Helper()
	for _, o := range all {
		if o.Kind == kind && o.Metadata.Name == name {
			found := new(T)
			if err := yaml.UnmarshalStrict(o.text, found); err != nil {
				t.Fatal(err)
			}
			return found
		}
	}
	t.Fatalf("there is no %s %s", kind, name)
	return nil
}
