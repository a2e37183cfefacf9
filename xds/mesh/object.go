package mesh

import (
	"bytes"
	"fmt"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"tollgate/envoy"
	"tollgate/xds"
)

// fields is an object of YAML. Printed, its keys are in alphabetical order.
type fields = map[string]any

// object is a Kubernetes object. Its content is a spec, but for few kinds.
func object(apiVersion, kind, namespace, name string, spec fields) fields {
	return fields{
		"apiVersion": apiVersion,
		"kind":       kind,
		"metadata":   fields{"name": name, "namespace": namespace},
		"spec":       spec,
	}
}

// documents prints objects below a comment.
func documents(comment string, objects []fields) ([]byte, error) {
	out := bytes.NewBufferString(comment)
	encoder := yaml.NewEncoder(out)
	encoder.SetIndent(2)
	for _, o := range objects {
		if err := encoder.Encode(o); err != nil {
			return nil, fmt.Errorf("printing a manifest: %w", err)
		}
	}
	return out.Bytes(), nil
}

// plain gives a message of Envoy's with the field names of Envoy's documentation.
func plain(m proto.Message) (fields, error) {
	asJSON, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("printing a %s: %w", m.ProtoReflect().Descriptor().Name(), err)
	}
	var value fields
	if err := yaml.Unmarshal(asJSON, &value); err != nil {
		return nil, fmt.Errorf("printing a %s: %w", m.ProtoReflect().Descriptor().Name(), err)
	}
	return value, nil
}

// gateCluster is the cluster that leads to `tollgate serve`, as it stands in the bootstrap of an Envoy of
// our own.
func gateCluster(gate string) (fields, error) {
	text, err := envoy.Bootstrap{Gate: gate}.YAML()
	if err != nil {
		return nil, err //nolint:wrapcheck // it says which address
	}
	var bootstrap struct {
		Static struct {
			Clusters []fields `yaml:"clusters"`
		} `yaml:"static_resources"`
	}
	if err := yaml.Unmarshal(text, &bootstrap); err != nil {
		return nil, fmt.Errorf("reading the bootstrap: %w", err)
	}
	for _, c := range bootstrap.Static.Clusters {
		if c["name"] == xds.GateCluster {
			return c, nil
		}
	}
	return nil, fmt.Errorf("bug: the bootstrap has no cluster %s", xds.GateCluster)
}
