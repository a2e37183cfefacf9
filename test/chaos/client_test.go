package chaos

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// client sends from an address, by HTTP/1.1 or by HTTP/2 without TLS.
func (w *world) client(address string, http2 bool) *http.Client {
	name := address
	if http2 {
		name += " h2"
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if c := w.clients[name]; c != nil {
		return c
	}
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	transport := &http.Transport{DialContext: dialer.DialContext, MaxIdleConnsPerHost: 200, DisableCompression: true}
	if http2 {
		transport.Protocols = new(http.Protocols)
		transport.Protocols.SetUnencryptedHTTP2(true)
	}
	w.t.Cleanup(transport.CloseIdleConnections)
	w.clients[name] = &http.Client{Transport: transport}
	return w.clients[name]
}

// send makes a call, and notes what its client sees.
func (w *world) send(c *Call) *Outcome {
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	address := "127.0.0.1"
	if c.Query != nil {
		address = c.Query.Address
	}
	leaving, leave := context.WithCancel(ctx)
	defer leave()
	if c.Behaviour == Leaving {
		timer := time.AfterFunc(time.Duration(c.LeaveAfter)*time.Millisecond, leave)
		defer timer.Stop()
	}
	o := &Outcome{Call: c, Sent: w.now()}
	response, err := w.client(address, c.HTTP2).Do(w.request(leaving, c))
	o.Answered = w.now()
	if err == nil {
		o.Status, o.Header = response.StatusCode, response.Header
		o.Body, err = w.read(response.Body, c, leave)
	}
	o.Ended = w.now()
	if err != nil {
		o.Err = err.Error()
	}
	o.Hung = ctx.Err() != nil
	o.Left = leaving.Err() != nil && !o.Hung || errors.Is(err, errTorn) || c.Behaviour == Torn
	w.mu.Lock()
	defer w.mu.Unlock()
	w.outcomes = append(w.outcomes, o)
	return o
}

func (w *world) request(ctx context.Context, c *Call) *http.Request {
	var body io.Reader = strings.NewReader(c.Body())
	if c.Behaviour == Torn {
		body = io.MultiReader(strings.NewReader(c.Body()[:len(c.Body())/2]), torn{})
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url(c.Path()), body)
	if err != nil {
		panic("bug: " + err.Error())
	}
	request.ContentLength = int64(len(c.Body()))
	request.GetBody = nil // nothing is sent again
	request.Header.Set("content-type", "application/json")
	request.Header.Set("x-call", c.Name)
	switch {
	case c.Client != "":
		request.Header.Set("authorization", "Bearer "+Key("fk-"+c.Client))
	case c.Behaviour == Stranger:
		request.Header.Set("authorization", "Bearer "+Key("fk-stranger"))
	}
	return request
}

// read reads an answer as its client does. The error is how it ended, if not well.
func (w *world) read(body io.ReadCloser, c *Call, leave func()) (string, error) {
	defer func() { _ = body.Close() }()
	var text strings.Builder
	piece := make([]byte, 4<<10)
	for {
		n, err := body.Read(piece)
		text.Write(piece[:n])
		if errors.Is(err, io.EOF) {
			return text.String(), nil
		}
		if err != nil {
			return text.String(), err
		}
		if c.Behaviour == Leaving && text.Len() > c.LeaveAfter {
			leave()
		}
		if c.Behaviour == Slow {
			select {
			case <-time.After(5 * time.Millisecond):
			case <-w.t.Context().Done():
			}
		}
	}
}

var errTorn = errors.New("the client goes in the middle of its body")

// torn is where a client stops sending.
type torn struct{}

func (torn) Read([]byte) (int, error) { return 0, errTorn }

// closeConnections has clients and upstreams keep none, so that those that are left are the gateway's fault.
func (w *world) closeConnections() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.clients {
		c.CloseIdleConnections()
	}
	w.probes.CloseIdleConnections()
}
