package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"tollgate/extproc/codec"
)

// sharedSocket is where Envoy takes the calls that several requests share: beside the socket on which it
// reaches Tollgate. Empty where they share no file system.
func sharedSocket(listen string) string {
	const longest = 100 // the kernel's is 107
	path, isUnix := strings.CutPrefix(listen, "unix://")
	path = strings.TrimSuffix(path, ".sock") + "-shared.sock"
	if !isUnix || len(path) > longest {
		return ""
	}
	return path
}

// portHint says what to do about a port that cannot be opened; where says what names another.
func portHint(err error, where string) string {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return "is another tollgate running? stop it, or choose another address by " + where
	case errors.Is(err, os.ErrPermission):
		return "ports below 1024 are for root and for programs with CAP_NET_BIND_SERVICE: choose another by " + where
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "this machine has no such address: 0.0.0.0 stands for all that it has, by " + where
	}
	return "choose another address by " + where
}

// local tells whether an address can be reached from this machine only.
func local(address string) bool {
	host, _, _ := net.SplitHostPort(address)
	ip, err := netip.ParseAddr(host)
	return strings.HasPrefix(address, "unix://") || host == "localhost" || err == nil && ip.IsLoopback()
}

const (
	// maxMessage is of Envoy's messages: a chunk of a body is as large as its buffers.
	maxMessage = 64 << 20

	// streamWindow and connectionWindow are how much Envoy may send ahead. That they are fixed spares the pings
	// by which gRPC would find out what the connection could carry, after each message that came alone.
	streamWindow, connectionWindow = 1 << 20, 16 << 20

	// streamWorkers is how many goroutines wait for streams, with stacks that have grown: what comes while all
	// are busy gets one of its own.
	streamWorkers = 128
)

// newGRPCServer is a server for peers that open a stream a request, and are trusted.
func newGRPCServer(secured ...grpc.ServerOption) *grpc.Server {
	return grpc.NewServer(append(secured,
		grpc.ForceServerCodecV2(codec.New()),
		grpc.InitialWindowSize(streamWindow),
		grpc.InitialConnWindowSize(connectionWindow),
		grpc.NumStreamWorkers(streamWorkers),
		grpc.MaxConcurrentStreams(1<<30),
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.ConnectionTimeout(5*time.Second), // a graceful stop waits for who connects and says nothing
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
	)...)
}

// listenOn opens unix:///PATH with mode 0600, or IP:PORT. A socket file that a dead process left
// is replaced; one that still answers is not.
func listenOn(ctx context.Context, address string) (net.Listener, error) {
	path, isUnix := strings.CutPrefix(address, "unix://")
	if !isUnix {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if err != nil {
			return nil, withHint(fmt.Errorf("listening for Envoy: %w", err), portHint(err, "--listen"))
		}
		return listener, nil
	}
	if answered(path) {
		return nil, withHint(fmt.Errorf("listening for Envoy: another process answers at %s", path), "stop it, choose another --listen, or take its place by --take-over")
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("listening for Envoy: taking away a socket that is left over: %w", err)
	}
	listener, err := listenAt(path)
	if err != nil {
		return nil, err
	}
	listener.SetUnlinkOnClose(false) // by then another process's may be in its place
	return listener, nil
}

// listenAt opens a Unix socket for this user alone.
func listenAt(path string) (*net.UnixListener, error) {
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listening for Envoy: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = listener.Close()
		return nil, fmt.Errorf("listening for Envoy: closing the socket to others: %w", err)
	}
	return listener, nil
}
