package dashboard

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"tollgate/config"
	"tollgate/extproc/exchange"
)

const (
	// cookie is the name of a browser's session, which lasts for so long.
	cookie       = "tollgate_session"
	sessionLasts = 12 * time.Hour

	// maxForm bounds what is posted as a login.
	maxForm = 4 << 10
)

// Guard lets only operators in, in front of what is theirs alone. Without a token it trusts whoever reaches
// the port, but for pages of other sites in an operator's browser: those are told by their origin, and by the
// name under which they reached it.
type Guard struct {
	token    config.Secret
	loopback bool
	now      func() time.Time
}

// NewGuard returns the guard of an admin port.
func NewGuard(admin config.Admin) *Guard {
	return &Guard{token: admin.Token, loopback: admin.Address.Addr().IsLoopback(), now: time.Now}
}

// Protect wants the token before it goes on. A browser is shown where to give it.
func (g *Guard) Protect(next http.Handler) http.Handler {
	safe := http.NewCrossOriginProtection().Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secure(w.Header())
		switch {
		case !g.ownName(r.Host):
			http.Error(w, "this name is not one of the admin port: ask for it by localhost or its address", http.StatusMisdirectedRequest)
		case r.URL.Path == "/dashboard/login" && r.Method == http.MethodPost:
			g.login(w, r)
		case r.URL.Path == "/dashboard/logout" && r.Method == http.MethodPost:
			g.logout(w, r)
		case g.knows(r) || isOpen(r.URL.Path):
			next.ServeHTTP(w, r)
		case r.Method == http.MethodGet && (r.URL.Path == "/" || r.URL.Path == "/dashboard" || r.URL.Path == "/dashboard/"):
			http.Redirect(w, r, "/dashboard/login.html", http.StatusSeeOther)
		default:
			w.Header().Set("www-authenticate", `Bearer realm="tollgate"`)
			http.Error(w, "the admin port wants its token: authorization: Bearer TOKEN (admin.token in tollgate.yaml)", http.StatusUnauthorized)
		}
	}))
	return safe
}

// isOpen tells the files that the page to log in consists of: they say nothing.
func isOpen(path string) bool {
	return path == "/dashboard/login.html" || path == "/dashboard/style.css" || path == "/dashboard/login.js" ||
		path == "/dashboard/theme.js" || path == "/dashboard/icon.svg"
}

// secure keeps the page from running, showing or sending what is not its own.
func secure(h http.Header) {
	h.Set("content-security-policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "+
		"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("x-content-type-options", "nosniff")
	h.Set("x-frame-options", "DENY")
	h.Set("referrer-policy", "no-referrer")
	h.Set("cross-origin-opener-policy", "same-origin")
	h.Set("cross-origin-resource-policy", "same-origin")
}

// ownName tells whether a browser reached the port by a name that is surely its own. Else a page of another
// site could have its name lead here (DNS rebinding). With a token that gains it nothing: it has no cookie.
func (g *Guard) ownName(host string) bool {
	if !g.loopback || g.token.Reveal() != "" {
		return true
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.IsLoopback() || strings.EqualFold(host, "localhost")
}

// knows tells whether a request shows the token, or comes from who has logged in with it.
func (g *Guard) knows(r *http.Request) bool {
	if g.token.Reveal() == "" {
		return true
	}
	if shown := r.Header.Get("authorization"); shown != "" {
		return g.isToken(exchange.BearerToken(shown))
	}
	session, err := r.Cookie(cookie)
	return err == nil && g.isSession(session.Value)
}

// isToken compares in a time that does not depend on what is shown.
func (g *Guard) isToken(shown string) bool {
	a, b := sha256.Sum256([]byte(shown)), sha256.Sum256([]byte(g.token.Reveal()))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// session is what a browser shows after it has logged in: until when, signed with the token. It is worth
// nothing once the token has changed.
func (g *Guard) session(until time.Time) string {
	text := strconv.FormatInt(until.Unix(), 10)
	return text + "." + g.sign(text)
}

func (g *Guard) sign(text string) string {
	mac := hmac.New(sha256.New, []byte(g.token.Reveal()))
	mac.Write([]byte("tollgate session until " + text))
	return hex.EncodeToString(mac.Sum(nil))
}

func (g *Guard) isSession(shown string) bool {
	text, signature, _ := strings.Cut(shown, ".")
	until, err := strconv.ParseInt(text, 10, 64)
	return hmac.Equal([]byte(signature), []byte(g.sign(text))) && err == nil && g.now().Unix() < until
}

// login takes the token from a form, and gives the browser a session.
func (g *Guard) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if !g.isToken(r.PostFormValue("token")) {
		http.Redirect(w, r, "/dashboard/login.html?wrong", http.StatusSeeOther)
		return
	}
	until := g.now().Add(sessionLasts)
	http.SetCookie(w, g.cookie(r, g.session(until), until))
	http.Redirect(w, r, "/dashboard/", http.StatusSeeOther)
}

func (g *Guard) logout(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, g.cookie(r, "", time.Unix(1, 0)))
	http.Redirect(w, r, "/dashboard/login.html", http.StatusSeeOther)
}

func (g *Guard) cookie(r *http.Request, value string, until time.Time) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // Secure is for TLS; without it, browsers would not keep the cookie
		Name: cookie, Value: value, Path: "/", Expires: until,
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil || r.Header.Get("x-forwarded-proto") == "https",
	}
}
