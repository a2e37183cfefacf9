package dashboard

import (
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestToken: with a token nothing is shown without it, but health and metrics; a browser logs in, and out.
func TestToken(t *testing.T) {
	t.Parallel()
	g := start(t, `, token: "`+token+`"`)
	admin := "http://" + g.admin
	for path, want := range map[string]int{
		"/healthz": 200, "/readyz": 200, "/metrics": 200, "/dashboard/login.html": 200, "/dashboard/style.css": 200,
		"/": 303, "/dashboard/": 303, "/cache": 401, "/dashboard/app.js": 401, "/dashboard/api/state": 401, "/dashboard/api/points": 401,
		"/dashboard/api/stream": 401, "/dashboard/api/chats": 401, "/dashboard/api/config": 401, "/nothing": 401,
	} {
		if status, body := ask(t, http.MethodGet, admin+path, ""); status != want {
			t.Errorf("%s without the token: got %d %s", path, status, body)
		}
	}
	if status, _ := ask(t, http.MethodDelete, admin+"/cache", ""); status != http.StatusUnauthorized {
		t.Errorf("emptying the cache without the token: got %d", status)
	}
	for shown, want := range map[string]int{"Bearer " + token: 200, "Bearer " + token + "x": 401, "Bearer ": 401, "Basic " + token: 401} {
		if status, _ := ask(t, http.MethodGet, admin+"/dashboard/api/state", "", "authorization: "+shown); status != want {
			t.Errorf("with %q: got %d", shown, status)
		}
	}
	for _, session := range []string{"", "9999999999.", "9999999999.00", "1." + strings.Repeat("0", 64)} {
		if status, _ := ask(t, http.MethodGet, admin+"/dashboard/api/state", "", "cookie: tollgate_session="+session); status != http.StatusUnauthorized {
			t.Errorf("with the session %q: got %d", session, status)
		}
	}
	if status, _ := ask(t, http.MethodPost, admin+"/dashboard/login", "token="+token, "content-type: application/x-www-form-urlencoded", "sec-fetch-site: cross-site"); status != http.StatusForbidden {
		t.Errorf("a login that another site posts: got %d", status)
	}
	for variable, want := range map[string]bool{"TOLLGATE_ADMIN_TOKEN=" + token: true, "TOLLGATE_ADMIN_TOKEN=wrong": false} {
		for _, verb := range [][]string{{"top", "--once"}, {"cache", "stats"}} {
			cmd := exec.CommandContext(t.Context(), program(t), append(verb, "--admin", g.admin)...)
			cmd.Env = append(os.Environ(), variable)
			if said, err := cmd.CombinedOutput(); (err == nil) != want {
				t.Errorf("%v with %s: %v: %s", verb, variable, err, said)
			}
		}
	}
	p := browse(t)
	p.open(admin + "/")
	p.do(chromedp.SendKeys("#token", "wrong"))
	p.do(chromedp.Submit("#token"))
	p.awaits("#wrong", "not the token")
	p.shoot("login")
	p.do(chromedp.SendKeys("#token", token), chromedp.Submit("#token"))
	p.awaits("#connection", "live")
	if n := p.number(`document.cookie.length`); n > 0 {
		t.Error("scripts can read the session")
	}
	p.do(chromedp.Click("#logout button"))
	p.awaits("label", "The token of the admin port")
	p.open(admin + "/dashboard/")
	p.awaits("label", "The token of the admin port")
}

// TestOtherSites: without a token, pages of other sites learn nothing and change nothing.
func TestOtherSites(t *testing.T) {
	t.Parallel()
	g := start(t, "")
	admin := "http://" + g.admin
	if status, _ := ask(t, http.MethodGet, admin+"/dashboard/api/state", "", "host: evil.example"); status != http.StatusMisdirectedRequest {
		t.Errorf("by a name that leads here: got %d", status)
	}
	if status, _ := ask(t, http.MethodGet, admin+"/dashboard/api/state", "", "host: localhost:8001"); status != http.StatusOK {
		t.Errorf("by localhost: got %d", status)
	}
	for _, origin := range []string{"origin: https://evil.example", "sec-fetch-site: cross-site"} {
		if status, _ := ask(t, http.MethodDelete, admin+"/cache", "", origin); status != http.StatusForbidden {
			t.Errorf("emptying the cache with %s: got %d", origin, status)
		}
	}
	if status, _ := ask(t, http.MethodDelete, admin+"/cache", ""); status != http.StatusOK {
		t.Errorf("emptying the cache from a shell: got %d", status)
	}
}

// TestExposed: who opens the port to others must say how it is guarded.
func TestExposed(t *testing.T) {
	t.Parallel()
	g := &gateway{t: t, dir: t.TempDir()}
	g.write(configuration("http://127.0.0.1:1", "127.0.0.1:0", "0.0.0.0:8001", ""))
	cmd := exec.Command(program(t), "validate")
	cmd.Dir = g.dir
	said, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(said), "admin.token") {
		t.Errorf("got %v: %s", err, said)
	}
}
