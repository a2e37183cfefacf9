package xds

import (
	"crypto/sha256"
	"encoding/hex"
	"net"
	"strconv"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

const (
	// ListenerName is the listener for clients.
	ListenerName = "clients"

	// RouteName is its route configuration.
	RouteName = "routes"

	// SharedName is the listener for calls that several requests share, and its route configuration.
	SharedName = "shared"

	// GateCluster is the cluster of the bootstrap that leads to `tollgate serve`.
	GateCluster = "tollgate"

	// AttemptCluster leads there as well, for what is asked about attempts.
	AttemptCluster = "tollgate-attempts"
)

// nameOf names a resource after its own whole content, so that a change makes a new one: NAME@HASH.
func nameOf(name string, content ...proto.Message) string {
	return name + "@" + hashOf(content...)
}

// hashOf is 12 hex digits of the SHA-256 over the messages' deterministic encoding.
func hashOf(content ...proto.Message) string {
	digest := sha256.New()
	for _, m := range content {
		digest.Write(encode(m))
	}
	return hex.EncodeToString(digest.Sum(nil)[:6])
}

// digestOf is the same of what is encoded.
func digestOf(wire []byte) string {
	digest := sha256.Sum256(wire)
	return hex.EncodeToString(digest[:6])
}

// encode cannot fail on messages that this package builds: they hold valid UTF-8 and no required fields.
func encode(m proto.Message) []byte {
	wire, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic("bug: a resource that cannot be encoded: " + err.Error())
	}
	return wire
}

// anyOf packs a message. Deterministic, so that equal content has equal hashes.
func anyOf(m proto.Message) *anypb.Any {
	return &anypb.Any{
		TypeUrl: "type.googleapis.com/" + string(m.ProtoReflect().Descriptor().FullName()),
		Value:   encode(m),
	}
}

func socketAddress(host string, port uint16) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address:       host,
		PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(port)},
	}}}
}

// hostPort joins for people; IPv6 addresses get their brackets.
func hostPort(host string, port uint16) string {
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}

// byADS says that a resource comes on the same stream as all others.
func byADS() *corev3.ConfigSource {
	return &corev3.ConfigSource{
		ResourceApiVersion:    corev3.ApiVersion_V3,
		ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
	}
}

// lowestMinor is the oldest Envoy that takes the resources: 1.40 came with the filter that bounds bodies as they
// stream by.
const lowestMinor = 40

// LowestEnvoy is the oldest Envoy that works, as people call it.
func LowestEnvoy() string { return "1." + strconv.Itoa(lowestMinor) }

// TooOld tells whether an Envoy of a version is older than that.
func TooOld(major, minor uint32) bool { return major < 1 || major == 1 && minor < lowestMinor }
