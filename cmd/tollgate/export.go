package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"tollgate/xds/mesh"
)

func exportCommand() *cobra.Command {
	var from source
	var target string
	istio := mesh.Istio{Side: mesh.Gateway}
	gateway := mesh.EnvoyGateway{}
	cmd := &cobra.Command{
		Use:   "export --for istio|envoy-gateway",
		Short: "Print Tollgate as objects of a mesh, whose Envoys are not ours to configure",
		Long: `Export prints what another control plane needs to know so that its Envoys ask 'tollgate serve'. Run that
with the same configuration: a gate refuses routes that it does not know. No key is printed.`,
		Example: `  tollgate export --for istio --workload app=llm-gateway --port 8000 | kubectl apply -f -
  tollgate export --for istio --side inbound --workload app=vllm --port 8080
  tollgate export --for istio --side outbound --workload app=chat --host api.openai.com --port 80
  tollgate export --for envoy-gateway --gateway llm --listener http`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := from.load()
			if err != nil {
				return err
			}
			gateway.Namespace, gateway.Gate = istio.Namespace, istio.Gate
			var manifests []byte
			switch target {
			case "istio":
				manifests, err = istio.Export(c)
			case "envoy-gateway":
				manifests, err = gateway.Export(c)
			default:
				err = fmt.Errorf("--for %q: it must be istio or envoy-gateway", target)
			}
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(manifests)
			return err //nolint:wrapcheck // standard output
		},
	}
	from.ungrouped = true
	from.addFileFlags(cmd.Flags())
	flags := cmd.Flags()
	flags.StringVar(&target, "for", "", "whose objects: `istio` or envoy-gateway")
	flags.StringVar(&istio.Gate, "gate", "unix:///run/tollgate/tollgate.sock", "where 'tollgate serve' listens: `unix:///PATH` in the Envoys' own pods, or HOST:PORT")
	flags.StringVar(&istio.Namespace, "namespace", "default", "of the objects, and of what they are for")
	flags.StringVar((*string)(&istio.Side), "side", "gateway", "Istio: what goes by way of tollgate: `gateway`, inbound or outbound of a sidecar")
	flags.StringToStringVar(&istio.Workload, "workload", nil, "Istio: `label=value` of the pods whose Envoys get the filters")
	flags.Uint16Var(&istio.Port, "port", 0, "Istio: the `port` of the gateway's server, of the workload, or of --host")
	flags.StringVar(&istio.Host, "host", "", "Istio: which `host` a workload calls, by plain HTTP, where the side is outbound")
	flags.StringVar(&gateway.Gateway, "gateway", "", "Envoy Gateway: the Gateway's `name`")
	flags.StringVar(&gateway.Listener, "listener", "http", "Envoy Gateway: the `name` of its listener")
	return cmd
}
