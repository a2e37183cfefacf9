package deploy

import (
	"maps"
	"slices"
	"testing"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	network "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// secrets are those that the user makes, with the keys that must be in them.
var secrets = map[string][]string{"tollgate-keys": {"openai", "team"}, "tollgate-redis": {"password"}}

// deployments are those among the objects.
func deployments(t *testing.T, all []object) []*apps.Deployment {
	t.Helper()
	var found []*apps.Deployment
	for _, o := range all {
		if o.Kind == "Deployment" {
			found = append(found, find[apps.Deployment](t, all, o.Kind, o.Metadata.Name))
		}
	}
	if len(found) == 0 {
		t.Fatal("there is no Deployment")
	}
	return found
}

func containers(d *apps.Deployment) []core.Container {
	return slices.Concat(d.Spec.Template.Spec.InitContainers, d.Spec.Template.Spec.Containers)
}

// TestHardened: no container has more rights, or more of its node, than it needs.
func TestHardened(t *testing.T) {
	t.Parallel()
	for overlay := range uses {
		for _, d := range deployments(t, kustomized(t, overlay)) {
			pod := d.Spec.Template.Spec
			if s := pod.SecurityContext; s == nil || !is(s.RunAsNonRoot) || s.RunAsUser == nil || *s.RunAsUser == 0 ||
				s.SeccompProfile == nil || s.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault {
				t.Errorf("%s: the pods of %s may run as root, or call all of the kernel", overlay, d.Name)
			}
			if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
				t.Errorf("%s: the pods of %s hold a token for Kubernetes", overlay, d.Name)
			}
			for _, c := range containers(d) {
				s := c.SecurityContext
				if s == nil || !is(s.ReadOnlyRootFilesystem) || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation ||
					s.Capabilities == nil || !slices.Equal(s.Capabilities.Drop, []core.Capability{"ALL"}) || len(s.Capabilities.Add) > 0 {
					t.Errorf("%s: %s may write into its image, or gain rights", overlay, c.Name)
				}
				if c.Resources.Requests.Cpu().IsZero() || c.Resources.Requests.Memory().IsZero() || c.Resources.Limits.Memory().IsZero() {
					t.Errorf("%s: %s does not say what it needs", overlay, c.Name)
				}
				if c.Name != "application" && (c.LivenessProbe == nil || c.ReadinessProbe == nil) {
					t.Errorf("%s: nobody notices when %s hangs", overlay, c.Name)
				}
			}
		}
	}
}

func is(b *bool) bool { return b != nil && *b }

// TestEndsLast: Envoy has somebody to ask for as long as it takes requests. Kubernetes tells containers that accompany
// others to end when those have ended, in the reverse of their order: so Tollgate is the first of them, and hears of
// a pod's end when Envoy has drained and is gone. A hook of its own would run beside Envoy's.
func TestEndsLast(t *testing.T) {
	t.Parallel()
	for overlay := range uses {
		pod := find[apps.Deployment](t, kustomized(t, overlay), "Deployment", "tollgate").Spec.Template.Spec
		first := pod.InitContainers[0]
		if first.Name != "tollgate" || first.RestartPolicy == nil || *first.RestartPolicy != core.ContainerRestartPolicyAlways {
			t.Errorf("%s: Tollgate does not accompany all others: Kubernetes would end it while Envoy takes requests", overlay)
		}
		if first.Lifecycle != nil {
			t.Errorf("%s: Tollgate begins to end before Envoy has", overlay)
		}
		drains := slices.ContainsFunc(pod.Containers, func(c core.Container) bool {
			return c.Name == "envoy" && c.Lifecycle != nil && c.Lifecycle.PreStop != nil
		})
		accompanies := slices.ContainsFunc(pod.InitContainers, func(c core.Container) bool {
			return c.Name == "envoy" && c.RestartPolicy != nil && *c.RestartPolicy == core.ContainerRestartPolicyAlways
		})
		if !drains && !accompanies {
			t.Errorf("%s: Envoy neither drains nor ends after who calls it", overlay)
		}
	}
}

// TestNames: whatever an object names is there.
func TestNames(t *testing.T) {
	t.Parallel()
	for overlay := range uses {
		all := kustomized(t, overlay)
		for _, d := range deployments(t, all) {
			volumes := map[string]bool{}
			for _, v := range d.Spec.Template.Spec.Volumes {
				volumes[v.Name] = false
				if v.ConfigMap != nil {
					find[core.ConfigMap](t, all, "ConfigMap", v.ConfigMap.Name)
				}
				if v.Secret != nil && secrets[v.Secret.SecretName] == nil {
					t.Errorf("%s: nobody makes the Secret %s", overlay, v.Secret.SecretName)
				}
			}
			for _, c := range containers(d) {
				for _, m := range c.VolumeMounts {
					if _, there := volumes[m.Name]; !there {
						t.Errorf("%s: %s mounts %s, which is no volume", overlay, c.Name, m.Name)
					}
					volumes[m.Name] = true
				}
				for _, e := range c.Env {
					if e.ValueFrom != nil && !slices.Contains(secrets[e.ValueFrom.SecretKeyRef.Name], e.ValueFrom.SecretKeyRef.Key) {
						t.Errorf("%s: nobody makes the Secret for %s", overlay, e.Name)
					}
				}
				for _, p := range []*core.Probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
					if p != nil && p.HTTPGet != nil && !hasPort(c, p.HTTPGet.Port.StrVal) {
						t.Errorf("%s: %s is asked at %s, which is no port of it", overlay, c.Name, &p.HTTPGet.Port)
					}
				}
			}
			for name, mounted := range volumes {
				if !mounted {
					t.Errorf("%s: nothing mounts the volume %s", overlay, name)
				}
			}
			if !labels.SelectorFromSet(d.Spec.Selector.MatchLabels).Matches(labels.Set(d.Spec.Template.Labels)) {
				t.Errorf("%s: %s does not select its own pods", overlay, d.Name)
			}
		}
	}
}

// TestSelectors: what is said of pods is said of some that are there, and names ports that they have.
func TestSelectors(t *testing.T) {
	t.Parallel()
	for overlay := range uses {
		all := kustomized(t, overlay)
		selected := map[string]bool{}
		for _, o := range all {
			switch o.Kind {
			case "Service":
				s := find[core.Service](t, all, o.Kind, o.Metadata.Name)
				for _, d := range pods(t, all, o.id(), s.Spec.Selector) {
					for _, p := range s.Spec.Ports {
						wantPort(t, o.id(), d, p.TargetPort.StrVal)
					}
					selected[o.Kind+" "+d.Name] = true
				}
			case "PodDisruptionBudget":
				b := find[policy.PodDisruptionBudget](t, all, o.Kind, o.Metadata.Name)
				for _, d := range pods(t, all, o.id(), b.Spec.Selector.MatchLabels) {
					selected[o.Kind+" "+d.Name] = true
				}
			case "NetworkPolicy":
				n := find[network.NetworkPolicy](t, all, o.Kind, o.Metadata.Name)
				for _, d := range pods(t, all, o.id(), n.Spec.PodSelector.MatchLabels) {
					for _, rule := range n.Spec.Ingress {
						for _, p := range rule.Ports {
							wantPort(t, o.id(), d, p.Port.StrVal)
						}
						for _, from := range rule.From {
							if from.PodSelector != nil {
								pods(t, all, o.id(), from.PodSelector.MatchLabels)
							}
						}
					}
					selected[o.Kind+" "+d.Name] = true
				}
			}
		}
		if overlay == "sidecar" {
			continue
		}
		for _, wanted := range []string{"Service tollgate", "PodDisruptionBudget tollgate", "NetworkPolicy tollgate"} {
			if !selected[wanted] {
				t.Errorf("%s: there is no %s", overlay, wanted)
			}
		}
		d := find[apps.Deployment](t, all, "Deployment", "tollgate")
		for _, c := range d.Spec.Template.Spec.TopologySpreadConstraints {
			if !maps.Equal(c.LabelSelector.MatchLabels, d.Spec.Selector.MatchLabels) {
				t.Errorf("%s: pods are not spread by %s", overlay, c.TopologyKey)
			}
		}
		if len(d.Spec.Template.Spec.TopologySpreadConstraints) == 0 {
			t.Errorf("%s: pods are not spread", overlay)
		}
	}
}

// pods are the Deployments whose pods a selector finds.
func pods(t *testing.T, all []object, who string, selector map[string]string) []*apps.Deployment {
	t.Helper()
	var found []*apps.Deployment
	for _, d := range deployments(t, all) {
		if labels.SelectorFromSet(selector).Matches(labels.Set(d.Spec.Template.Labels)) {
			found = append(found, d)
		}
	}
	if len(selector) == 0 || len(found) != 1 {
		t.Errorf("%s selects the pods of %d Deployments, want one", who, len(found))
	}
	return found
}

func wantPort(t *testing.T, who string, d *apps.Deployment, name string) {
	t.Helper()
	if !slices.ContainsFunc(containers(d), func(c core.Container) bool { return hasPort(c, name) }) {
		t.Errorf("%s names the port %q, which %s does not have", who, name, d.Name)
	}
}

func hasPort(c core.Container, name string) bool {
	return slices.ContainsFunc(c.Ports, func(p core.ContainerPort) bool { return p.Name == name })
}
