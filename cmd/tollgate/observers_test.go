package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"tollgate/cmd/tollgate/dashboard"
	"tollgate/config"
	"tollgate/extproc/exchange"
	"tollgate/extproc/openai"
)

// The dashboard shows of a chat what the chat log holds: what is redacted or dropped there is not shown here
// either, and not before the answer is whole.
func TestRecentChatsAreRedacted(t *testing.T) {
	t.Parallel()
	c, err := config.Parse("t.yaml", []byte(`
admin: {recent_chats: 10}
chat_log: {dir: "`+t.TempDir()+`", redact: ["SENTINEL-[0-9]+"], drop_fields: [user]}
upstreams: [{name: a, url: "http://a"}]
routes: [{prefix: /, upstream: a}, {prefix: /quiet, upstream: a, log: false}]
`), func(string) (string, bool) { return "", false })
	require.NoError(t, err)
	o, err := newObservers(t.Context(), zap.NewNop(), c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, o.close(context.Background())) })
	observe := o.options(zap.NewNop()).Observe
	for _, route := range c.Routes {
		call := &exchange.Call{ID: "call" + route.Prefix, Began: time.Now(), Route: route.Prefix, Path: "/v1/chat/completions"}
		asked := &openai.Request{API: openai.Chat, Model: "m", Fields: map[string]json.RawMessage{
			"messages": json.RawMessage(`[{"role":"user","content":"mine is SENTINEL-1"}]`), "user": json.RawMessage(`"SENTINEL-user"`),
		}}
		var listeners []interface {
			Asked(request *openai.Request)
			Event(event *openai.Event)
			Done(answer *openai.Answer, end exchange.End)
		}
		for _, begin := range observe {
			if l := begin(route, call); l != nil {
				listeners = append(listeners, l)
			}
		}
		for _, l := range listeners {
			l.Asked(asked)
		}
		for _, l := range listeners {
			l.Event(&openai.Event{Data: []byte(`{"choices":[{"index":0,"delta":{"content":"yours is SENTINEL-2"}}]}`)})
		}
		require.NotContains(t, shownChats(o.recent), "SENTINEL")
		for _, l := range listeners {
			l.Done(&openai.Answer{Choices: []openai.Choice{{Text: "yours is SENTINEL-2"}}}, exchange.End{Cause: exchange.Whole, Status: 200, Last: time.Now()})
		}
	}
	shown := shownChats(o.recent)
	require.NotContains(t, shown, "SENTINEL")
	require.Contains(t, shown, "mine is [redacted]")
	require.Contains(t, shown, "yours is [redacted]")
	require.NotContains(t, shown, "quiet")
}

// shownChats is all that the dashboard tells of chats.
func shownChats(chats *dashboard.Chats) string {
	handler := dashboard.Handler(dashboard.Options{Chats: chats, Points: dashboard.NewRecorder(func() dashboard.Point { return dashboard.Point{} })})
	text := ""
	for _, path := range []string{"/dashboard/api/chats", "/dashboard/api/chats/call%2F", "/dashboard/api/chats/call%2Fquiet"} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		text += w.Body.String()
	}
	return text
}
