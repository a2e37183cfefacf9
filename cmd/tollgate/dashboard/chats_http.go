package dashboard

import (
	"net/http"
	"strings"
	"time"
)

// listed is how many chats one answer lists.
const listed = 200

// often is how long what comes is gathered before it is sent: nobody reads faster.
const often = 50 * time.Millisecond

// list answers with the latest chats.
func (c *Chats) list(w http.ResponseWriter, r *http.Request) {
	write(w, struct {
		Chats []Chat `json:"chats"`
		Kept  bool   `json:"kept"`
	}{c.search(r.URL.Query().Get("q"), listed), c != nil})
}

// one answers with one chat.
func (c *Chats) one(w http.ResponseWriter, r *http.Request) {
	found := c.find(r.PathValue("id"))
	if found == nil {
		http.Error(w, "this chat is not among the latest: the chat log may have it", http.StatusNotFound)
		return
	}
	write(w, found.show())
}

// following is an event of a chat that is watched: more of the text, or, at its end, the whole chat.
type following struct {
	More string `json:"more,omitempty"`
	Chat *Chat  `json:"chat,omitempty"`
}

// follow sends an answer as it arrives.
func (c *Chats) follow(w http.ResponseWriter, r *http.Request) {
	found := c.find(r.PathValue("id"))
	if found == nil {
		http.Error(w, "this chat is not among the latest: the chat log may have it", http.StatusNotFound)
		return
	}
	events := newEvents(w)
	for sent := ""; ; {
		found.mu.Lock()
		changed, whole := found.changed, found.ended && found.answer != nil
		found.mu.Unlock()
		shown := found.show()
		if more, grown := strings.CutPrefix(shown.Text, sent); grown && more != "" {
			sent = shown.Text
			if events.send(following{More: more}) != nil {
				return
			}
		}
		if whole {
			_ = events.send(following{Chat: &shown})
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-changed:
		}
		select {
		case <-r.Context().Done():
			return
		case <-time.After(often):
		}
	}
}
