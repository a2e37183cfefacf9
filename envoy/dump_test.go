package envoy

import (
	"strings"
	"testing"
)

// TestDumpIsNotShown: of a crash only the backtrace is shown, however the bytes come.
func TestDumpIsNotShown(t *testing.T) {
	t.Parallel()
	const said = `{"level":"warning","logger":"envoy.config","msg":"before"}
{"level":"critical","logger":"envoy.backtrace","msg":"Caught Segmentation fault, suspect faulting address 0x0"}
{"level":"critical","logger":"envoy.backtrace","msg":"#0: [0x7fb3bb8fc050]"}
AsyncClient 0x5105fe8a2300, stream_id_: 9919393566860310992
  'authorization', 'Bearer sk-sentinel'
{"level":"critical","logger":"envoy.backtrace","msg":"#1: [0x55eed4ec582a]"}
 authorizationBearer sk-sentinel{"not the end of a line
`
	for _, size := range []int{1, 7, 100, len(said)} {
		var shown strings.Builder
		w := &withoutDump{to: &shown}
		for rest := said; rest != ""; {
			n := min(size, len(rest))
			if wrote, err := w.Write([]byte(rest[:n])); wrote != n || err != nil {
				t.Fatalf("wrote %d, %v", wrote, err)
			}
			rest = rest[n:]
		}
		got := shown.String()
		if strings.Contains(got, "sentinel") || strings.Contains(got, "AsyncClient") {
			t.Errorf("the dump is shown: %s", got)
		}
		for _, want := range []string{`"before"`, "Caught Segmentation", "#0:", "#1:", "not shown"} {
			if !strings.Contains(got, want) {
				t.Errorf("%q is missing in pieces of %d: %s", want, size, got)
			}
		}
	}
}
