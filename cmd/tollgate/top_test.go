package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"tollgate/cmd/tollgate/dashboard"
)

// someFigures are of a busy gateway, one of whose clients asks for a model with an odd name.
func someFigures() *figures {
	began := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	f := &figures{state: dashboard.State{
		Version: "v1", Started: began, Now: began.Add(90 * time.Minute), Metered: true, Priced: true, Ready: true, Envoys: 1,
		Total:  dashboard.Totals{Requests: 300, Refused: 100, Hits: 30, Input: 5, Output: 7, Spent: "12.50", Saved: "1.00", Unknown: 2},
		Routes: []dashboard.Route{{Prefix: "/", Upstreams: []string{"a", "b"}, Totals: dashboard.Totals{Requests: 300, Spent: "12.50", Saved: "1.00"}}},
		Clients: []dashboard.Client{{Name: "alice", Totals: dashboard.Totals{Requests: 300, Spent: "12.50", Saved: "1.00"}, Limits: []dashboard.Limit{
			{Of: "requests", Rate: "60/minute", Remaining: "59", Left: 0.98},
			{Of: "cost", Rate: "20.00 USD/month", Remaining: "7.50", Left: 0.375, Reset: 7200},
		}}, {Totals: dashboard.Totals{Spent: "0.00", Saved: "0.00"}}},
		Models: []dashboard.Model{{Name: "evil\x1b[2Jmodel", Totals: dashboard.Totals{Requests: 1, Spent: "0.00", Saved: "0.00"}}, {Name: "never"}},
		Keys:   []dashboard.Key{{Upstream: "a", Key: "0a1b2c3d", Rest: 60, Answers: map[string]uint64{"429": 3, "2xx": 9}}},
	}}
	for i := range 30 {
		f.points = append(f.points, dashboard.Point{At: int64(i), Requests: uint64(i), First: 1, First50: 100, First99: 900})
	}
	return f
}

// Once: a table for people and scripts, without a sequence that a terminal obeys.
func TestTopOnce(t *testing.T) {
	t.Parallel()
	s := screen{width: plainWidth}
	s.draw(someFigures(), nil)
	text := s.text.String()
	require.NotContains(t, text, "\x1b")
	for _, want := range []string{
		"tollgate v1   up 1h30m0s   ready, Envoys: 1   13:30:00", "300 since the start, 0 under way, 0 failed", "100, 25%", "p99 900 ms",
		"12.50 USD  saved by the cache: 1.00 USD; 2 requests have no price", "alice", "7.50 of 20.00 USD/month, whole in 2h0m0s", "evil?[2Jmodel",
		"rests 1m0s", "2xx:9 429:3", "(no name)", "▁", "█",
	} {
		require.Contains(t, text, want)
	}
	require.NotContains(t, text, "never")
}

// A terminal of any size gets lines that fit, and never more than it has.
func TestTopFits(t *testing.T) {
	t.Parallel()
	for _, width := range []int{1, 20, 80, 300} {
		for _, height := range []int{1, 10, 100} {
			s := screen{width: width, height: height, colour: true}
			f := someFigures()
			f.state.LastError = &dashboard.Reloading{Error: "line one\nline two"}
			s.draw(f, nil)
			lines := strings.Split(s.frame(), "\r\n")
			require.LessOrEqual(t, len(lines), height)
			for _, line := range lines {
				require.LessOrEqual(t, columns(line), width, "%q", line)
			}
		}
	}
}

// columns is how wide a terminal shows a text.
func columns(text string) int {
	n := 0
	for len(text) > 0 {
		if sequence, ok := strings.CutPrefix(text, "\x1b["); ok {
			text = sequence[strings.IndexFunc(sequence, func(r rune) bool { return r >= '@' })+1:]
			continue
		}
		_, size := utf8.DecodeRuneInString(text)
		text = text[size:]
		n++
	}
	return n
}

// The port's token comes from the environment or a file; what goes wrong is said with what to do.
func TestAdminPort(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path != "/dashboard/api/state" && r.URL.Path != "/dashboard/api/points":
			http.NotFound(w, r)
		case r.Header.Get("authorization") != "Bearer the-token":
			http.Error(w, "no", http.StatusUnauthorized)
		case r.URL.Path == "/dashboard/api/points":
			_ = json.NewEncoder(w).Encode(dashboard.Points{Points: someFigures().points})
		default:
			_ = json.NewEncoder(w).Encode(someFigures().state)
		}
	}))
	defer server.Close()
	port := &adminPort{address: strings.TrimPrefix(server.URL, "http://")}
	var out strings.Builder
	require.ErrorContains(t, topOnce(t.Context(), &out, port), "hint: set TOLLGATE_ADMIN_TOKEN")
	t.Setenv(tokenVariable, "the-token")
	require.NoError(t, topOnce(t.Context(), &out, port))
	require.Contains(t, out.String(), "alice")
	require.ErrorContains(t, port.read(t.Context(), "/nothing", nil), "hint: with admin.metrics_only")
	port.tokenFile = t.TempDir() + "/none"
	require.ErrorContains(t, topOnce(t.Context(), &out, port), "reading the token")
	port = &adminPort{address: "127.0.0.1:1"}
	require.ErrorContains(t, topOnce(t.Context(), &out, port), "hint: is tollgate running?")
}
