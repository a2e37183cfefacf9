package test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestRender: the Blueprint has no field that is not in Render's reference, and Tollgate reads its variables. What is a key
// is asked for.
func TestRender(t *testing.T) {
	t.Parallel()
	var blueprint struct {
		Services []struct {
			Type, Name, Runtime, Plan string
			DockerfilePath            string `yaml:"dockerfilePath"`
			DockerContext             string `yaml:"dockerContext"`
			HealthCheckPath           string `yaml:"healthCheckPath"`
			EnvVars                   []struct {
				Key, Value string
				Sync       *bool
			} `yaml:"envVars"`
		}
	}
	oneclick(t, "render.yaml", &blueprint)
	if len(blueprint.Services) != 1 {
		t.Fatalf("%d services", len(blueprint.Services))
	}
	service := blueprint.Services[0]
	if service.Type != "web" || service.Runtime != "docker" || service.DockerContext != "." || service.HealthCheckPath != "/healthz" {
		t.Errorf("not a web service that Docker builds of the whole tree: %+v", service)
	}
	dockerfile(t, service.DockerfilePath)
	known, err := os.ReadFile("../docs/migrate.md")
	if err != nil {
		t.Fatal(err)
	}
	var asked []string
	for _, v := range service.EnvVars {
		if v.Sync != nil {
			asked = append(asked, v.Key)
		}
		if v.Key != "PORT" && !bytes.Contains(known, []byte("`"+v.Key+"`")) {
			t.Errorf("Tollgate does not read %s", v.Key)
		}
	}
	if want := []string{"OPENAI_API_KEY", "FORWARD_KEY"}; !slices.Equal(asked, want) {
		t.Errorf("it asks for %q, want %q", asked, want)
	}
}

// TestRailway: the file has no field that is not in Railway's reference.
func TestRailway(t *testing.T) {
	t.Parallel()
	var file struct {
		Schema string `yaml:"$schema"`
		Build  struct {
			Builder        string
			DockerfilePath string `yaml:"dockerfilePath"`
		}
		Deploy struct {
			HealthcheckPath         string `yaml:"healthcheckPath"`
			RestartPolicyType       string `yaml:"restartPolicyType"`
			RestartPolicyMaxRetries int    `yaml:"restartPolicyMaxRetries"`
		}
	}
	oneclick(t, "railway.json", &file)
	if file.Build.Builder != "DOCKERFILE" || file.Deploy.HealthcheckPath != "/healthz" || file.Deploy.RestartPolicyType != "ON_FAILURE" {
		t.Errorf("not what Railway is to do: %+v", file)
	}
	dockerfile(t, file.Build.DockerfilePath)
}

// oneclick reads a file for such a place: YAML, or JSON, which is YAML too.
func oneclick(t *testing.T, name string, into any) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("../deploy/oneclick", name))
	if err != nil {
		t.Fatal(err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	decoder.KnownFields(true)
	if err := decoder.Decode(into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// dockerfile: it is the one that test/compose builds and runs.
func dockerfile(t *testing.T, path string) {
	t.Helper()
	if filepath.Clean(path) != "deploy/oneclick/Dockerfile" {
		t.Errorf("another Dockerfile is named: %s", path)
	}
	if _, err := os.Stat(filepath.Join("..", path)); err != nil {
		t.Error(err)
	}
}
