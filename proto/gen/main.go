// Command gen turns the schema, proto/tollgate/v1/config.proto, into what is made of it: Go code and a JSON
// Schema beside it, and the reference for people, docs/config.md.
//
// It is protoc and protoc-gen-go in one process, from Go modules alone: the compiler is
// protocompile, the imported buf/validate/validate.proto comes as the descriptor that
// protovalidate's Go package carries. Run it by `make proto`.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/cmd/protoc-gen-go/internal_gengo"
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/pluginpb"
)

const schema = "tollgate/v1/config.proto"

func main() {
	if err := generate("proto", "docs"); err != nil {
		fmt.Fprintln(os.Stderr, "generating from the schema:", err)
		os.Exit(1)
	}
}

// generate compiles the schema below root, writes Go code and JSON Schema beside it, and the reference into docs.
func generate(root, docs string) error {
	request, err := compile(root)
	if err != nil {
		return err
	}
	plugin, err := protogen.Options{}.New(request)
	if err != nil {
		return fmt.Errorf("reading the compiled schema: %w", err)
	}
	file := plugin.FilesByPath[schema]
	internal_gengo.GenerateFile(plugin, file)
	forEditors, err := jsonSchema(file)
	if err != nil {
		return err
	}
	beside := filepath.Join(root, filepath.Dir(schema))
	for path, content := range map[string][]byte{
		filepath.Join(beside, "config.pb.go"):         []byte(plugin.Response().GetFile()[0].GetContent()),
		filepath.Join(beside, "tollgate.schema.json"): forEditors,
		filepath.Join(docs, "config.md"):              referencePage(file),
	} {
		if err := os.WriteFile(path, content, 0o644); err != nil { //nolint:gosec // no secrets
			return fmt.Errorf("writing what was generated: %w", err)
		}
	}
	return nil
}

// compile gives what protoc would hand to a plugin.
func compile(root string) (*pluginpb.CodeGeneratorRequest, error) {
	compiler := protocompile.Compiler{
		Resolver: protocompile.CompositeResolver{
			&protocompile.SourceResolver{ImportPaths: []string{root}},
			protocompile.ResolverFunc(linkedIn),
		},
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	files, err := compiler.Compile(context.Background(), schema)
	if err != nil {
		return nil, fmt.Errorf("compiling the schema: %w", err)
	}
	request := &pluginpb.CodeGeneratorRequest{FileToGenerate: []string{schema}}
	seen := map[string]bool{}
	var add func(protoreflect.FileDescriptor) error
	add = func(file protoreflect.FileDescriptor) error {
		if seen[file.Path()] {
			return nil
		}
		seen[file.Path()] = true
		for i := range file.Imports().Len() {
			if err := add(file.Imports().Get(i).FileDescriptor); err != nil {
				return err
			}
		}
		// Options come out of the compiler as dynamic messages: a round trip gives them their Go types.
		descriptor := &descriptorpb.FileDescriptorProto{}
		wire, err := proto.Marshal(protodesc.ToFileDescriptorProto(file))
		if err != nil {
			return fmt.Errorf("encoding %s: %w", file.Path(), err)
		}
		if err := proto.Unmarshal(wire, descriptor); err != nil {
			return fmt.Errorf("decoding %s: %w", file.Path(), err)
		}
		request.ProtoFile = append(request.ProtoFile, descriptor)
		return nil
	}
	for _, file := range files {
		if err := add(file); err != nil {
			return nil, err
		}
	}
	return request, nil
}

// linkedIn finds the files that the schema imports among those linked into this program.
func linkedIn(path string) (protocompile.SearchResult, error) {
	for _, file := range []protoreflect.FileDescriptor{
		validate.File_buf_validate_validate_proto,
		descriptorpb.File_google_protobuf_descriptor_proto,
		durationpb.File_google_protobuf_duration_proto,
		timestamppb.File_google_protobuf_timestamp_proto,
	} {
		if file.Path() == path {
			return protocompile.SearchResult{Desc: file}, nil
		}
	}
	return protocompile.SearchResult{}, os.ErrNotExist
}
