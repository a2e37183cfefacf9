package dashboard

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The last 15 minutes are kept, and a clock that is set back does not turn time.
func TestRecorder(t *testing.T) {
	t.Parallel()
	n := uint64(0)
	r := NewRecorder(func() Point { n++; return Point{Requests: n} })
	began := time.Unix(1_000_000, 0)
	for i := range kept + 100 {
		r.record(began.Add(time.Duration(i) * time.Second))
	}
	all := r.All().Points
	require.Len(t, all, kept)
	require.Equal(t, uint64(101), all[0].Requests)
	require.Equal(t, began.Unix()+100, all[0].At)
	r.record(began)
	all = r.All().Points
	require.Equal(t, all[kept-2].At+1, all[kept-1].At)
}

// Who comes back gets what it missed, and then each point as it is made.
func TestStreamOfPoints(t *testing.T) {
	t.Parallel()
	r := NewRecorder(func() Point { return Point{} })
	for i := range 5 {
		r.record(time.Unix(int64(100+i), 0))
	}
	server := httptest.NewServer(http.HandlerFunc(r.stream))
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"?after=102", nil)
	require.NoError(t, err)
	response, err := server.Client().Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	lines := bufio.NewScanner(response.Body)
	next := func() string {
		for lines.Scan() {
			if lines.Text() != "" {
				return lines.Text()
			}
		}
		t.Fatalf("the stream ended: %v", lines.Err())
		return ""
	}
	require.True(t, strings.HasPrefix(next(), `data: {"t":103,`))
	require.True(t, strings.HasPrefix(next(), `data: {"t":104,`))
	r.record(time.Unix(105, 0))
	require.True(t, strings.HasPrefix(next(), `data: {"t":105,`))
}
