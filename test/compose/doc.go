// Package compose runs docker-compose.yml: a daemon of its own, the image that deploy/Dockerfile makes, and OpenAI's
// SDK as the client.
//
// The daemon lives in namespaces of its own, so that nothing of it is left: no network, no rule of a firewall, no
// process. No image can be pulled there. What docker-compose.yml and the Dockerfile name are stand-ins under the same
// names, made of this machine's programs: Go, Envoy, Redis, Prometheus. For Grafana there is none.
//
// `make test-compose` gets what is needed. Where no daemon can be had, the test is skipped, and says why. It is a
// module of its own, so that `go test ./...` goes by.
package compose
