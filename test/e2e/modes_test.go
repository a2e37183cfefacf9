package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

// port is the port of a gateway's URL.
func (g *gateway) port() string { return g.url[strings.LastIndexByte(g.url, ':')+1:] }

// TestDotenv: a directory with OpenAI-Forward's .env works as it is.
func TestDotenv(t *testing.T) {
	t.Parallel()
	first, firstSeen := mocktest.Start(t, mock.Options{})
	second, secondSeen := mocktest.Start(t, mock.Options{})
	extra, extraSeen := mocktest.Start(t, mock.Options{})
	g := newGateway(t)
	g.write(t, ".env", `
# as its .env.example
OPENAI_BASE_URL='`+first+`, `+second+`'
OPENAI_ROUTE_PREFIX='/openai, localai/'
OPENAI_API_KEY='sk-one, sk-two'
FORWARD_KEY="fk-one, fk-two"
EXTRA_BASE_URL=`+extra+`
EXTRA_ROUTE_PREFIX=/tts
TIMEOUT=6
ITER_CHUNK_TYPE=one-by-one
TZ=Asia/Shanghai
`)
	g.args = []string{"run", "--port", g.port(), "--admin", strings.TrimPrefix(g.admin, "http://"), "--workers", "1"}
	g.start(t)

	for _, step := range []struct {
		path, key, want string
		upstream        *mock.Server
	}{
		{"/openai/echo/x/", "fk-one", "Bearer sk-one", firstSeen},
		{"/openai//echo", "fk-two", "Bearer sk-two", firstSeen},
		{"/localai/echo", "fk-one", "Bearer sk-one", secondSeen},
		{"/openai/echo", "sk-clients-own", "Bearer sk-clients-own", firstSeen}, // unknown keys travel on
		{"/tts/echo", "sk-clients-own", "Bearer sk-clients-own", extraSeen},
		{"/tts/echo", "fk-one", "", extraSeen}, // extra routes never get an OpenAI key, nor a forward key
	} {
		before := len(step.upstream.Requests())
		got := side{g.url, step.key}.do(t, request{method: http.MethodGet, path: step.path})
		seen := step.upstream.Requests()
		if got.Status != http.StatusOK || len(seen) != before+1 {
			t.Errorf("%s by %s: %d %s", step.path, step.key, got.Status, got.Body)
			continue
		}
		if key := seen[before].Header.Get("Authorization"); key != step.want {
			t.Errorf("%s by %s: the upstream saw %q, want %q", step.path, step.key, key, step.want)
		}
	}
	for _, said := range []string{"base url            " + first, "route prefix        /localai", "api keys            2"} {
		if !strings.Contains(g.output.String(), said) {
			t.Errorf("the banner does not say %q", said)
		}
	}
}

// TestServe: `tollgate serve` on TCP, and an Envoy of one's own that starts with what `tollgate
// bootstrap` prints.
func TestServe(t *testing.T) {
	t.Parallel()
	upstream, _ := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	g := newGateway(t)
	g.write(t, "tollgate.yaml", g.addresses+oneRoute(upstream))
	link := mocktest.FreeAddress(t)
	g.args = []string{"bootstrap", "--gate", link, "--admin", mocktest.FreeAddress(t)}
	bootstrap, err := g.command(t).Output()
	if err != nil {
		t.Fatal(err)
	}
	g.write(t, "envoy.yaml", string(bootstrap))
	envoy := exec.Command(os.Getenv("ENVOY_PATH"), "-c", filepath.Join(g.dir, "envoy.yaml"), "--disable-hot-restart", "-l", "warning")
	envoy.Stdout, envoy.Stderr = g.output, g.output
	if err := envoy.Start(); err != nil {
		t.Fatalf("starting Envoy: %v", err)
	}
	t.Cleanup(func() {
		_ = envoy.Process.Kill()
		_ = envoy.Wait()
	})
	g.args = []string{"serve", "--listen", link, "--local-envoy"}
	g.start(t)
	if got := (side{g.url, clientKey}).do(t, request{method: http.MethodGet, path: "/echo"}); got.Status != http.StatusOK {
		t.Errorf("got %d %s", got.Status, got.Body)
	}
}

// TestTLSListener: clients by HTTPS, HTTP/2 and HTTP/1.1.
func TestTLSListener(t *testing.T) {
	t.Parallel()
	upstream, _ := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	authority, certificate, key := mocktest.Certificate(t)
	g := newGateway(t)
	addresses := strings.Replace(g.addresses, "}\n", ", tls: {certificate_file: "+certificate+", private_key_file: "+key+"}}\n", 1)
	g.write(t, "tollgate.yaml", addresses+oneRoute(upstream))
	g.args = []string{"run"}
	g.start(t)

	pem, err := os.ReadFile(authority)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	for _, http2 := range []bool{true, false} {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: http2}
		t.Cleanup(transport.CloseIdleConnections)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://127.0.0.1:"+g.port()+"/echo", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+clientKey)
		response, err := transport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK || (response.ProtoMajor == 2) != http2 {
			t.Errorf("HTTP/2 %v: got %s %s", http2, response.Proto, response.Status)
		}
	}
}

// TestProxy: upstreams behind an HTTP proxy, with TLS inside and without.
func TestProxy(t *testing.T) {
	t.Parallel()
	proxy := newProxy(t)
	plain, plainSeen := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	secure, ca, secureSeen := mocktest.StartTLS(t, mock.Options{Keys: []string{upstreamKey}})
	g := launch(t, `
clients: [{name: alice, keys: [`+clientKey+`]}]
upstreams:
  - {name: plain, url: "`+plain+`", keys: [`+upstreamKey+`], proxy: "`+proxy.url+`"}
  - {name: secure, url: "`+secure+`", keys: [`+upstreamKey+`], proxy: "`+proxy.url+`", ca_file: "`+ca+`"}
routes: [{prefix: /plain, upstream: plain}, {prefix: /secure, upstream: secure}]
`)
	for path, upstream := range map[string]*mock.Server{"/plain/echo": plainSeen, "/secure/echo": secureSeen} {
		got := side{g.url, clientKey}.do(t, request{method: http.MethodGet, path: path})
		if got.Status != http.StatusOK || len(upstream.Requests()) != 1 {
			t.Errorf("%s: got %d %s", path, got.Status, got.Body)
		}
	}
	asked := proxy.asked()
	for _, want := range []string{"GET " + plain + "/echo", "CONNECT " + strings.TrimPrefix(secure, "https://")} {
		if !strings.Contains(asked, want) {
			t.Errorf("the proxy was asked\n%s, want %q among it", asked, want)
		}
	}
	if strings.Contains(asked, clientKey) {
		t.Error("the proxy saw the client's key")
	}
}

// proxy is a forward proxy as companies run them: CONNECT, and requests in absolute form.
type proxy struct {
	url string

	mu    sync.Mutex
	lines []string
}

func newProxy(t *testing.T) *proxy {
	t.Helper()
	p := &proxy{}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.url = "http://" + listener.Addr().String()
	server := &http.Server{Handler: p}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return p
}

func (p *proxy) asked() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines, "\n")
}

// ServeHTTP does what the request line asks.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.lines = append(p.lines, r.Method+" "+r.RequestURI)
	p.mu.Unlock()
	if r.Method == http.MethodConnect {
		tunnel(w, r)
		return
	}
	target, err := url.Parse(r.RequestURI)
	if err != nil || !target.IsAbs() {
		http.Error(w, "a proxy wants the absolute form", http.StatusBadRequest)
		return
	}
	r.RequestURI = ""
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer func() { _ = response.Body.Close() }()
	w.WriteHeader(response.StatusCode)
	_, _ = io.Copy(w, response.Body)
}

// tunnel connects the client with the host that it names.
func tunnel(w http.ResponseWriter, r *http.Request) {
	upstream, err := (&net.Dialer{}).DialContext(r.Context(), "tcp", r.Host)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.WriteHeader(http.StatusOK)
	client, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		_ = upstream.Close()
		return
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	go func() { _, err := io.Copy(upstream, buffered); cancel(errors.Join(err, io.EOF)) }()
	go func() { _, err := io.Copy(client, upstream); cancel(errors.Join(err, io.EOF)) }()
	<-ctx.Done()
	_, _ = client.Close(), upstream.Close()
}
