package dashboard

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tollgate/extproc/exchange"
	"tollgate/extproc/openai"
)

func callOf(id string) *exchange.Call {
	return &exchange.Call{ID: id, Began: time.Now(), Client: "alice", Route: "/", Path: "/v1/chat/completions"}
}

// record has a chat from its beginning to its end.
func record(c *Chats, id, said string) {
	call := callOf(id)
	l := c.Begin(call)
	l.Asked(&openai.Request{API: openai.Chat, Model: "gpt-4o"})
	c.Line(call, false, []byte(`{"messages":[{"role":"user","content":"`+said+`"}]}`+"\n"))
	c.Line(call, true, []byte(`{"assistant":"yes"}`+"\n"))
	l.Done(&openai.Answer{Usage: &openai.Usage{Prompt: 3, Completion: 1}}, exchange.End{Cause: exchange.Whole, Status: 200, Last: time.Now()})
}

// The latest are kept, as many as may be, and no more bytes than there may be.
func TestChatsAreBounded(t *testing.T) {
	t.Parallel()
	c := NewChats(10, true)
	for i := range 25 {
		record(c, fmt.Sprint("chat-", i), "hello")
	}
	found := c.search("", 100)
	require.Len(t, found, 10)
	require.Equal(t, "chat-24", found[0].ID)
	require.Len(t, c.byID, 10)

	c = NewChats(10_000, true)
	for i := range 300 {
		record(c, fmt.Sprint("chat-", i), strings.Repeat("x", maxChat-100))
	}
	require.LessOrEqual(t, c.held, maxChats)
	require.Len(t, c.byID, len(c.order))
	record(c, "long", strings.Repeat("x", maxChat))
	require.JSONEq(t, `{"too_large":"the chat log has it"}`, string(c.find("long").show().Request))

	begun := c.Begin(callOf("never recorded"))
	begun.Done(nil, exchange.End{Cause: exchange.Unseen})
	require.Nil(t, c.byID["never recorded"])
}

// A chat is found by what was said and by who said it; markup stays text.
func TestSearch(t *testing.T) {
	t.Parallel()
	c := NewChats(10, true)
	record(c, "1", "About Rivers <script>alert(1)</script>")
	record(c, "2", "about mountains")
	for text, want := range map[string]int{"": 2, "RIVERS": 1, "alice": 2, "gpt-4o": 2, "yes": 2, "nothing of the kind": 0} {
		require.Len(t, c.search(text, 10), want, text)
	}
	w := httptest.NewRecorder()
	c.list(w, httptest.NewRequest(http.MethodGet, "/dashboard/api/chats?q=rivers", nil))
	require.NotContains(t, w.Body.String(), "<script>")
	require.Contains(t, w.Body.String(), "About Rivers")
}

// What comes is shown as it comes, unless it must be whole for that.
func TestLiveText(t *testing.T) {
	t.Parallel()
	for live, want := range map[bool]string{true: "Hello", false: ""} {
		c := NewChats(10, live)
		call := callOf("1")
		l := c.Begin(call)
		c.Line(call, false, []byte(`{"messages":[]}`))
		l.Event(&openai.Event{Data: []byte(`{"choices":[{"index":0,"delta":{"content":"Hel"}}]}`)})
		l.Event(&openai.Event{Data: []byte(`{"choices":[{"index":0,"delta":{"content":"lo"}}]}`)})
		shown := c.find("1").show()
		require.Equal(t, want, shown.Text)
		require.True(t, shown.Running)
		_, err := json.Marshal(shown)
		require.NoError(t, err)
	}
}

// Where none are kept, none are shown, and nothing breaks.
func TestNoChats(t *testing.T) {
	t.Parallel()
	handler := Handler(Options{Points: NewRecorder(func() Point { return Point{} })})
	for path, want := range map[string]int{
		"/dashboard/api/chats": 200, "/dashboard/api/chats/1": 404, "/dashboard/api/chats/1/stream": 404, "/dashboard/": 200, "/dashboard/app.js": 200,
		"/dashboard/vendor/uPlot.iife.min.js": 200, "/dashboard/nothing": 404, "/": 302,
	} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		require.Equal(t, want, w.Code, path)
	}
}
