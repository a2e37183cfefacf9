package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

// TestLevels: with OpenAI-Forward 0.8's file each forward key goes on with a key of its level, asks for the models
// of its level, and any other key travels on as it is.
func TestLevels(t *testing.T) {
	t.Parallel()
	url, upstream := mocktest.Start(t, mock.Options{})
	g := newGateway(t)
	g.write(t, "openai-forward-config.yaml", fmt.Sprintf(`
forward: [{base_url: %q, route: /, type: openai}]
api_key:
  openai_key: {%s: [0], %s: [1]}
  forward_key: {0: [fk-zero-0123456789], 1: [fk-one-0123456789]}
  level: {1: [gpt-4o]}
`, url, keyA, keyB))
	g.args = []string{"run", "--port", g.port(), "--admin", strings.TrimPrefix(g.admin, "http://"), "--workers", "1"}
	g.start(t)
	for _, test := range []struct {
		key, model string
		status     int
		arrives    string // empty: nothing
	}{
		{"fk-zero-0123456789", "gpt-4o", http.StatusOK, keyA},
		{"fk-zero-0123456789", "o3", http.StatusOK, keyA},
		{"fk-one-0123456789", "gpt-4o", http.StatusOK, keyB},
		{"fk-one-0123456789", "o3", http.StatusForbidden, ""},
		{"sk-own-0123456789", "o3", http.StatusOK, "sk-own-0123456789"},
	} {
		before := len(upstream.Requests())
		if got := (side{g.url, test.key}).do(t, asks(test.model, "")); got.Status != test.status {
			t.Errorf("%s asks for %s: got %d: %s", test.key, test.model, got.Status, got.Body)
		}
		var arrived, want []string
		for _, r := range upstream.Requests()[before:] {
			arrived = append(arrived, r.Header["Authorization"]...)
		}
		if test.arrives != "" {
			want = []string{"Bearer " + test.arrives}
		}
		if diff := cmp.Diff(want, arrived); diff != "" {
			t.Errorf("%s asks for %s: keys at the upstream (-want +got):\n%s", test.key, test.model, diff)
		}
	}
}
