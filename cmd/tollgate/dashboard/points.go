package dashboard

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// kept is how many points are: 15 minutes of them.
const kept = 900

// Point is what happened in one second.
type Point struct {
	At       int64   `json:"t"`        // its end, in Unix seconds
	Requests uint64  `json:"requests"` // that were let pass and have ended
	Failed   uint64  `json:"failed"`
	Refused  uint64  `json:"refused"`
	Hits     uint64  `json:"hits"`
	Input    uint64  `json:"input_tokens"`
	Output   uint64  `json:"output_tokens"`
	Spent    float64 `json:"spent_usd"`
	Saved    float64 `json:"saved_usd"`
	InFlight int64   `json:"in_flight"`
	First    int     `json:"first"`      // streams whose first token came
	First50  float64 `json:"first50_ms"` // half of these had it by then
	First99  float64 `json:"first99_ms"`
}

// Points are those of the last 15 minutes, the oldest first.
type Points struct {
	Points []Point `json:"points"`
}

// Recorder keeps what happened in each second.
type Recorder struct {
	take func() Point

	mu      sync.Mutex
	ring    []Point
	changed chan struct{} // closed at the next point
}

// NewRecorder returns a recorder that asks, once a second, what happened since it asked last.
func NewRecorder(take func() Point) *Recorder {
	return &Recorder{take: take, changed: make(chan struct{})}
}

// Run records until ctx ends.
func (r *Recorder) Run(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			r.record(now)
		}
	}
}

func (r *Recorder) record(now time.Time) {
	point := r.take()
	point.At = now.Unix()
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.ring); n > 0 && point.At <= r.ring[n-1].At {
		point.At = r.ring[n-1].At + 1 // a plot's time runs forward, whatever the clock does
	}
	if len(r.ring) == kept {
		r.ring = append(r.ring[:0], r.ring[1:]...)
	}
	r.ring = append(r.ring, point)
	close(r.changed)
	r.changed = make(chan struct{})
}

// All gives what is kept.
func (r *Recorder) All() Points {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Points{append([]Point{}, r.ring...)}
}

// after gives the points after a time, and what is closed when there is another.
func (r *Recorder) after(at int64) ([]Point, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	from := len(r.ring)
	for from > 0 && r.ring[from-1].At > at {
		from--
	}
	return append([]Point{}, r.ring[from:]...), r.changed
}

// stream sends each point as it is made, after those that the reader has not seen (?after=).
func (r *Recorder) stream(w http.ResponseWriter, request *http.Request) {
	at := time.Now().Unix()
	if _, err := fmt.Sscan(request.URL.Query().Get("after"), &at); err != nil {
		at = time.Now().Unix()
	}
	events := newEvents(w)
	for {
		points, changed := r.after(at)
		for _, p := range points {
			at = p.At
			if events.send(p) != nil {
				return
			}
		}
		select {
		case <-request.Context().Done():
			return
		case <-changed:
		}
	}
}

// events are server-sent events.
type events struct {
	w http.ResponseWriter
	c *http.ResponseController
}

func newEvents(w http.ResponseWriter) *events {
	w.Header().Set("content-type", "text/event-stream")
	w.Header().Set("cache-control", "no-store")
	e := &events{w, http.NewResponseController(w)}
	_ = e.c.Flush() // the reader knows now that it is there
	return e
}

// send sends one. A reader that does not take it within a while is given up.
func (e *events) send(value any) error {
	encoded, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encoding an event: %w", err)
	}
	_ = e.c.SetWriteDeadline(time.Now().Add(10 * time.Second))
	if _, err := fmt.Fprintf(e.w, "data: %s\n\n", encoded); err != nil {
		return fmt.Errorf("sending an event: %w", err)
	}
	return e.c.Flush() //nolint:wrapcheck // it only ends the stream
}
