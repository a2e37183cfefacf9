package e2e

import (
	"fmt"
	"strings"
	"testing"

	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

// tlsRoute is oneRoute with an authority of the upstream's own, and more settings for the upstream.
func tlsRoute(upstream, ca, more string) string {
	return strings.Replace(oneRoute(upstream), "name: openai,", fmt.Sprintf("name: openai, ca_file: %q, %s", ca, more), 1)
}

// TestTLSUpstream negotiates what the upstream speaks.
func TestTLSUpstream(t *testing.T) {
	t.Parallel()
	for _, protocols := range [][]string{{"h2", "http/1.1"}, {"h2"}, {"http/1.1"}} {
		t.Run(strings.Join(protocols, " "), func(t *testing.T) {
			t.Parallel()
			url, ca, upstream := mocktest.StartTLS(t, mock.Options{Keys: []string{upstreamKey}}, protocols...)
			gateway := side{start(t, tlsRoute(url, ca, "")), clientKey}
			got := gateway.do(t, request{
				method: "POST", path: "/v1/chat/completions", body: strings.NewReader(chatStream),
				headers: []header{{"mock-trailers", "x-a: 1"}},
			})
			if got.Status != 200 || got.Err != "" || !strings.HasSuffix(got.Body, "data: [DONE]\n\n") || got.Trailer.Get("x-a") != "1" {
				t.Errorf("got %+v", got)
			}
			if alpn := upstream.Requests()[0].ALPN; alpn != protocols[0] {
				t.Errorf("they speak %q", alpn)
			}
			broken := gateway.do(t, request{
				method: "POST", path: "/v1/chat/completions", body: strings.NewReader(chatStream), headers: []header{{"mock-break", "mid-body"}},
			})
			if broken.Err != "unexpected EOF" {
				t.Errorf("a broken stream ends with %q", broken.Err)
			}
		})
	}
}

// TestTLSUpstreamNotTrusted sends nothing to an upstream that cannot prove its name.
func TestTLSUpstreamNotTrusted(t *testing.T) {
	t.Parallel()
	url, ca, upstream := mocktest.StartTLS(t, mock.Options{})
	_, otherCA, _ := mocktest.StartTLS(t, mock.Options{})
	tests := map[string]struct {
		ca, more string
		trusted  bool
	}{
		"another name that it has": {ca, "server_name: mock.test,", true},
		"another authority":        {otherCA, "", false},
		"a name that it has not":   {ca, "server_name: other.test,", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gateway := side{start(t, tlsRoute(url, test.ca, test.more)), clientKey}
			got := gateway.do(t, request{method: "GET", path: "/v1/models/" + strings.ReplaceAll(name, " ", "-")})
			if test.trusted {
				if got.Status != 404 || got.Header.Get("x-request-id") != "req_mock" {
					t.Errorf("got %+v", got)
				}
				return
			}
			got.isError(t, 503, "upstream_unreachable", "Envoy")
			for _, r := range upstream.Requests() {
				if strings.Contains(r.URI, strings.ReplaceAll(name, " ", "-")) {
					t.Errorf("it got the request %+v", r)
				}
			}
		})
	}
}
