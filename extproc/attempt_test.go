package extproc_test

import (
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"

	"tollgate/config"
	"tollgate/extproc"
)

// twoKeys is a gate before an upstream with two keys, and the id of its route.
func twoKeys(t *testing.T, options extproc.Options) (gate *extproc.Gate, route string) {
	t.Helper()
	c := parse(t, "clients: [{name: alice, keys: ["+client+"]}]\n"+
		"upstreams: [{name: up, url: http://192.0.2.1, keys: ["+real+", sk-second-0123456789]}]\n"+
		"routes: [{prefix: /, upstream: up}]\n")
	gate = extproc.NewGate(options)
	gate.Configure(c)
	return gate, c.Routes[0].ID
}

// withSaid adds to a message what was said of its request before: names and values.
func withSaid(message *extprocv3.ProcessingRequest, pairs ...string) *extprocv3.ProcessingRequest {
	fields := map[string]*structpb.Value{}
	for i := 0; i < len(pairs); i += 2 {
		fields[pairs[i]] = structpb.NewStringValue(pairs[i+1])
	}
	message.MetadataContext = &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{config.MetadataNamespace: {Fields: fields}}}
	return message
}

// turnedDown is what Envoy tells of an answer that turns a key down.
func turnedDown(key, code string) *extprocv3.ProcessingRequest {
	return withSaid(&extprocv3.ProcessingRequest{
		ObservabilityMode: true,
		Request: &extprocv3.ProcessingRequest_ResponseHeaders{ResponseHeaders: &extprocv3.HttpHeaders{Headers: &corev3.HeaderMap{
			Headers: []*corev3.HeaderValue{{Key: ":status", RawValue: []byte(code)}, {Key: "retry-after", RawValue: []byte("20")}},
		}}},
	}, config.KeyKey, key)
}

func fingerprint(key string) string { return config.NewSecret(key).Fingerprint() }

// TestAttempt: an attempt goes with another key than the one before it, and is refused where all rest.
func TestAttempt(t *testing.T) {
	t.Parallel()
	var told []string
	gate, route := twoKeys(t, extproc.Options{Log: zap.NewNop(), KeyAnswered: func(u *config.Upstream, key string, _ int) {
		told = append(told, u.Name+" "+key)
	}})
	attempt := func(after string) *extprocv3.ProcessingResponse {
		answer, _ := ask(t, gate, route, withSaid(head(t), config.KeyKey, fingerprint(after), config.IntoKey, "authorization"), config.UpstreamHeader, "up")
		return answer
	}
	answer := attempt(real)
	set := answer.GetRequestHeaders().GetResponse().GetHeaderMutation().GetSetHeaders()
	if len(set) != 1 || string(set[0].GetHeader().GetRawValue()) != "Bearer sk-second-0123456789" {
		t.Errorf("the headers set are %v", set)
	}
	fields := answer.GetDynamicMetadata().GetFields()[config.MetadataNamespace].GetStructValue().GetFields()
	if len(fields) != 1 || fields[config.KeyKey].GetStringValue() != fingerprint("sk-second-0123456789") {
		t.Errorf("it says %v: the key's fingerprint, and nothing else", fields)
	}
	for _, key := range []string{real, "sk-second-0123456789"} {
		if answer, _ := ask(t, gate, route, turnedDown(fingerprint(key), "429"), config.UpstreamHeader, "up"); answer != nil {
			t.Errorf("it answers what it was only told: %v", answer)
		}
	}
	refused := attempt(real).GetImmediateResponse()
	if refused.GetStatus().GetCode() != 429 || len(told) != 2 {
		t.Errorf("with no key left: %v; told were %v", refused, told)
	}
	var resting int
	for _, k := range gate.KeyRests() {
		if k.Upstream == "up" && k.For > 10*time.Second {
			resting++
		}
	}
	if resting != 2 {
		t.Errorf("%d keys rest: %v", resting, gate.KeyRests())
	}
}

// TestAttemptFailures: what an attempt goes with is never guessed, and what is logged holds no key.
func TestAttemptFailures(t *testing.T) {
	t.Parallel()
	core, logged := observer.New(zapcore.DebugLevel)
	gate, route := twoKeys(t, extproc.Options{Log: zap.New(core)})
	into := []string{config.IntoKey, "authorization"}
	for name, test := range map[string]struct {
		route, upstream string
		message         *extprocv3.ProcessingRequest
	}{
		"an unknown route":     {"/@0", "up", withSaid(head(t), into...)},
		"an unknown upstream":  {route, "other", withSaid(head(t), into...)},
		"nothing said":         {route, "up", head(t)},
		"not where":            {route, "up", withSaid(head(t), config.KeyKey, fingerprint(real))},
		"a body":               {route, "up", withSaid(&extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestBody{RequestBody: &extprocv3.HttpBody{}}}, into...)},
		"an answer of nowhere": {"/@0", "up", turnedDown(fingerprint(real), "401")},
	} {
		answer, err := ask(t, gate, test.route, test.message, config.UpstreamHeader, test.upstream)
		if answer != nil || err == nil || status.Code(err) == codes.OK {
			t.Errorf("%s: %v, %v", name, answer, err)
		}
	}
	for _, entry := range logged.All() {
		if line := entry.Message + strings.Join(fields(entry), " "); strings.Contains(line, client) || strings.Contains(line, real) {
			t.Errorf("a key is logged: %s", line)
		}
	}
}
