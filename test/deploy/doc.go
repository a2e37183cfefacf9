// Package deploy checks what deploy holds for Kubernetes: that its objects are what the APIs take, that Helm and
// Kustomize say the same, that no object names something that is not there, and that Envoy and Tollgate, started as
// the pods say, serve.
//
// It is a module of its own: the types of Kubernetes, Istio and Envoy Gateway, and Helm, are nothing that the program
// needs. It asks the program itself (bin/tollgate) and a real Envoy, never its packages.
package deploy
