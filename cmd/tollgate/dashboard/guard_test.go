package dashboard

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tollgate/config"
)

const token = "SENTINEL-token-0123456789"

func guardOf(t *testing.T, address, token string) *Guard {
	t.Helper()
	admin := config.Admin{Address: netip.MustParseAddrPort(address)}
	if token != "" {
		admin.Token = config.NewSecret(token)
	}
	return NewGuard(admin)
}

// asked is what becomes of a request.
func asked(g *Guard, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	g.Protect(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })).ServeHTTP(w, r)
	return w
}

// A session holds for its time and its token, and nothing else opens the door.
func TestSession(t *testing.T) {
	t.Parallel()
	g := guardOf(t, "192.0.2.1:8001", token)
	now := time.Now()
	g.now = func() time.Time { return now }
	login := httptest.NewRequest(http.MethodPost, "/dashboard/login", strings.NewReader(url.Values{"token": {token}}.Encode()))
	login.Header.Set("content-type", "application/x-www-form-urlencoded")
	w := asked(g, login)
	require.Equal(t, http.StatusSeeOther, w.Code)
	cookies := w.Result().Cookies()
	require.Len(t, cookies, 1)
	require.True(t, cookies[0].HttpOnly)
	require.Equal(t, http.SameSiteStrictMode, cookies[0].SameSite)
	require.NotContains(t, cookies[0].Value, token)
	with := func(g *Guard, value string) int {
		r := httptest.NewRequest(http.MethodGet, "/dashboard/api/state", nil)
		r.AddCookie(&http.Cookie{Name: cookie, Value: value})
		return asked(g, r).Code
	}
	require.Equal(t, http.StatusTeapot, with(g, cookies[0].Value))
	until, signature, _ := strings.Cut(cookies[0].Value, ".")
	for _, wrong := range []string{"", ".", until, until + ".", "9" + until + "." + signature, until + "." + strings.ToUpper(signature)} {
		require.Equal(t, http.StatusUnauthorized, with(g, wrong), wrong)
	}
	other := guardOf(t, "192.0.2.1:8001", token+"2")
	other.now = g.now
	require.Equal(t, http.StatusUnauthorized, with(other, cookies[0].Value), "the token has changed")
	now = now.Add(sessionLasts)
	require.Equal(t, http.StatusUnauthorized, with(g, cookies[0].Value), "its time is over")
}

// By which names the port answers, where nothing else guards it.
func TestOwnName(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]int{
		"127.0.0.1:8001": http.StatusTeapot, "localhost:8001": http.StatusTeapot, "LOCALHOST": http.StatusTeapot, "[::1]:8001": http.StatusTeapot,
		"[::1]": http.StatusTeapot, "127.9.9.9": http.StatusTeapot, "evil.example": http.StatusMisdirectedRequest, "localhost.evil.example": http.StatusMisdirectedRequest,
		"192.0.2.1:8001": http.StatusMisdirectedRequest, "": http.StatusMisdirectedRequest,
	} {
		r := httptest.NewRequest(http.MethodGet, "/dashboard/api/state", nil)
		r.Host = host
		require.Equal(t, want, asked(guardOf(t, "127.0.0.1:8001", ""), r).Code, host)
	}
}

// Every answer keeps a browser from running what is not the page's own.
func TestPolicy(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodGet, "/dashboard/api/state", nil)
	r.Host = "localhost"
	for _, g := range []*Guard{guardOf(t, "127.0.0.1:8001", ""), guardOf(t, "127.0.0.1:8001", token)} {
		policy := asked(g, r).Header().Get("content-security-policy")
		require.Contains(t, policy, "default-src 'none'")
		require.NotContains(t, policy, "unsafe")
	}
}
