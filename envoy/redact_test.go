package envoy

import (
	"bytes"
	"strings"
	"testing"
)

// TestRedactor: no key gets through, however it is written and whatever the text is cut into; the rest does.
func TestRedactor(t *testing.T) {
	t.Parallel()
	const key = "f00-Very.Secret_0123456789"
	for said, want := range map[string]string{
		"'authorization', 'Bearer " + key + "'\n'content-type', 'text/plain'\n":                     "'authorization', '[redacted]'\n'content-type', 'text/plain'\n",
		"'x-api-key', '" + key + "'\n":                                                              "'x-api-key', '[redacted]'\n",
		"x-goog-api-key: " + key + "\n":                                                             "x-goog-api-key: [redacted]\n",
		"Api-Key = " + key + "\n":                                                                   "Api-Key = [redacted]\n",
		"'cookie', 'session=" + key + "; a=b'\n":                                                    "'cookie', '[redacted]'\n",
		"'sec-websocket-protocol', 'realtime, openai-insecure-api-key." + key + "'\n":               "'sec-websocket-protocol', '[redacted]'\n",
		`{"level":"critical","msg":"request: \"authorization\": \"Bearer ` + key + `\", b"}` + "\n": `{"level":"critical","msg":"request: \"authorization\": \"[redacted]\", b"}` + "\n",
		"went to sk-" + key + ", then fk-" + key + "\n":                                             "went to sk-[redacted], then fk-[redacted]\n",
		"a bearer " + key + "\n":                                                                    "a bearer [redacted]\n",
		"openai-insecure-api-key." + key + " realtime\n":                                            "openai-insecure-api-key.[redacted] realtime\n",
		"caught Segmentation fault, suspect faulting address 0x0\n":                                 "caught Segmentation fault, suspect faulting address 0x0\n",
		"no end, but a key: sk-" + key:                                                              "no end, but a key: sk-[redacted]\n",
	} {
		for size := 1; size <= len(said); size++ {
			var out bytes.Buffer
			r := NewRedactor(&out)
			for rest := said; rest != ""; {
				n := min(size, len(rest))
				if _, err := r.Write([]byte(rest[:n])); err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
			}
			if !strings.HasSuffix(said, "\n") {
				if err := r.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if out.String() != want {
				t.Fatalf("%q in pieces of %d becomes %q, want %q", said, size, out.String(), want)
			}
		}
	}
}

// TestRedactorFlows: a line goes out as soon as it has ended.
func TestRedactorFlows(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	r := NewRedactor(&out)
	for i, want := range []string{"", "one\n", "one\n", "one\ntwo\n"} {
		if _, err := r.Write([]byte([]string{"on", "e\nt", "w", "o\n"}[i])); err != nil || out.String() != want {
			t.Errorf("after part %d: %q, %v", i, out.String(), err)
		}
	}
	long := strings.Repeat("x", longestLine+1)
	if _, err := r.Write([]byte(long)); err != nil || !strings.HasSuffix(out.String(), long) {
		t.Errorf("a line without an end is kept: %d bytes are out", out.Len())
	}
}
