package mock

import (
	"net/http"

	"github.com/coder/websocket"
)

// largestMessage bounds a WebSocket message.
const largestMessage = 64 << 20

// realtime is a WebSocket that says session.created, then echoes each message.
func (c *call) realtime() {
	if !c.wait(c.orders.delay) {
		return
	}
	if c.orders.cut == breakReset {
		c.reset()
	}
	for name, values := range c.orders.header {
		c.w.Header()[name] = values
	}
	conn, err := websocket.Accept(c.w, c.r, &websocket.AcceptOptions{
		Subprotocols:       []string{"realtime"},
		InsecureSkipVerify: true, // any origin: the mock has nothing to protect
	})
	if err != nil {
		return // Accept has answered
	}
	defer func() { _ = conn.CloseNow() }() // a closed one is closed
	conn.SetReadLimit(largestMessage)
	ctx := c.r.Context()
	session := object{"type": "realtime", "object": "realtime.session", "id": "sess_mock", "model": c.r.URL.Query().Get("model")}
	first := encode(object{"type": "session.created", "event_id": "event_mock", "session": session})
	if conn.Write(ctx, websocket.MessageText, first) != nil || c.orders.cut != "" {
		return
	}
	for {
		kind, message, err := conn.Read(ctx)
		if err != nil || conn.Write(ctx, kind, message) != nil {
			return // the client has left, in its way
		}
	}
}

var _ http.Handler = (*Server)(nil)
