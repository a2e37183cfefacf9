package chaos

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// checkKeys searches everything for keys.
func (w *world) checkKeys(h *History) {
	var keys []string
	for _, list := range upstreamKeys() {
		keys = append(keys, list...)
	}
	for _, o := range h.Outcomes { // clients show their own keys, and get none
		w.search("the answer to "+o.Name, o.Body+fmt.Sprint(o.Header), keys)
	}
	for _, c := range w.plan.Spec.Clients {
		keys = append(keys, c.Key)
	}
	keys = append(keys, Key("fk-stranger"))
	w.search("the gateway's output", w.gateway.output.String(), keys)
	w.search("/metrics", w.page(w.gateway.admin+"/metrics", nil), keys)
	for _, page := range []string{"/config_dump?include_eds", "/clusters", "/certs", "/stats", "/server_info", "/listeners"} {
		w.search("Envoy's "+page, w.page("http://envoy"+page, w.envoyAdmin()), keys)
	}
	found := false
	err := filepath.WalkDir(w.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if entry.Name() == "tollgate.yaml" {
			found = strings.Contains(string(content), keys[0])
			return err
		}
		w.search(path, string(content), keys)
		return err
	})
	if err != nil || !found {
		w.t.Errorf("the search does not find a key where there is one: %v", err)
	}
}

func (w *world) search(where, text string, keys []string) {
	for _, key := range keys {
		if i := strings.Index(text, key); i >= 0 {
			w.t.Errorf("%s shows a key: …%s…", where, text[max(0, i-80):min(len(text), i+80)])
		}
	}
}

// checkOutput looks for what a gateway never says.
func (w *world) checkOutput(h *History) {
	said := w.gateway.output.String()
	for _, never := range []string{"panic", "bug:", "DATA RACE", "could not decide", "Segmentation", "assert failure", "fatal error", "pool.go"} {
		if i := strings.Index(said, never); i >= 0 {
			w.t.Errorf("the gateway says …%s…", said[max(0, i-200):min(len(said), i+500)])
		}
	}
	killed := 0
	for line := range strings.Lines(said) {
		switch {
		case !strings.Contains(line, "a process died"):
		case strings.Contains(line, "signal: killed"):
			killed++
		case strings.Contains(line, `"process":"serve"`) && strings.Contains(line, "exit status 78") && h.had(BadEdit):
			// started again while its configuration cannot be used
		default:
			w.t.Errorf("a process died by itself: %s", line)
		}
	}
	if killed > w.deaths {
		w.t.Errorf("%d processes were killed, %d of them by this test", killed, w.deaths)
	}
}

// page reads a page; empty where nobody answers.
func (w *world) page(url string, transport http.RoundTripper) string {
	request, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, url, nil)
	if err != nil {
		w.t.Error(err)
		return ""
	}
	if transport == nil {
		transport = w.probes.Transport
	}
	response, err := (&http.Client{Transport: transport, Timeout: 10 * time.Second}).Do(request)
	if err != nil {
		return ""
	}
	defer func() { _ = response.Body.Close() }()
	body, _ := io.ReadAll(response.Body)
	return string(body)
}

// envoyAdmin reaches Envoy's administration.
func (w *world) envoyAdmin() http.RoundTripper {
	sockets, _ := filepath.Glob(filepath.Join(w.gateway.runtime, "tollgate-*", "envoy.sock"))
	if len(sockets) != 1 {
		w.t.Errorf("Envoy has the sockets %q", sockets)
		return nil
	}
	return &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", sockets[0])
	}}
}
