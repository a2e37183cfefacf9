package config

import (
	"net/netip"
)

// leastToken is how long the operators' token must be.
const leastToken = 16

// Admin is where operators connect.
type Admin struct {
	Address     netip.AddrPort
	Token       Secret // empty: none is asked for
	MetricsOnly bool   // serves health, readiness and metrics alone
	RecentChats int    // that the dashboard shows; 0: none
}

// Exposed tells whether others than this machine can reach more than they should: an address that is not
// loopback needs a token, unless there is nothing to protect.
func (a Admin) Exposed() bool {
	return !a.Address.Addr().IsLoopback() && a.Token.Reveal() == "" && !a.MetricsOnly
}

// ExposedHint says what to do where Exposed.
const ExposedHint = "can be reached by others, who must not see the dashboard: write admin.token, a text of your own " +
	"(openssl rand -hex 24), or admin.metrics_only: true, or keep to 127.0.0.1"

func (r *resolver) admin() {
	m := r.message.GetAdmin()
	r.config.Admin = Admin{
		Address:     r.address("admin.address", m.GetAddress(), DefaultAdmin),
		MetricsOnly: m.GetMetricsOnly(),
		RecentChats: int(m.GetRecentChats()),
	}
	admin := &r.config.Admin
	if overlap(r.config.Listener.Address, admin.Address) {
		r.problem("admin.address", "takes the port of listener.address: operators need one of their own")
	}
	if m.GetToken() != "" {
		admin.Token = r.secret("admin.token", m.GetToken())
		if n := len(admin.Token.Reveal()); n > 0 && n < leastToken {
			r.problem("admin.token", "has %d characters, and must have %d: openssl rand -hex 24 makes one", n, leastToken)
		}
	}
	if m.GetMetricsOnly() && (m.GetToken() != "" || m.GetRecentChats() > 0) {
		r.problem("admin.metrics_only", "stands beside token or recent_chats, which are for the dashboard")
	}
	if admin.Exposed() && m.GetToken() == "" {
		r.problem("admin.address", ExposedHint)
	}
	if m.GetRecentChats() > 0 && r.message.GetChatLog() == nil {
		r.problem("admin.recent_chats", "needs a chat_log: write `chat_log: {}` for its defaults")
	}
}
