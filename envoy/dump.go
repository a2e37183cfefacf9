package envoy

import (
	"bytes"
	"io"
)

// withoutDump passes on what Envoy says, but for what it dumps when it crashes: requests' headers and buffers, and
// so what clients write, and keys in forms that a [Redactor] does not know. Of a crash it lets by the lines of the
// backtrace. It is for one process.
type withoutDump struct {
	to      io.Writer
	crashed bool
	line    []byte // the beginning of one
}

// Write implements [io.Writer]. It says that it wrote all, as the process must not fail where its log does.
func (w *withoutDump) Write(p []byte) (int, error) {
	written := len(p)
	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n') + 1
		if end == 0 {
			end = len(p)
		}
		w.line, p = append(w.line, p[:end]...), p[end:]
		if w.line[len(w.line)-1] == '\n' || len(w.line) > longestLine {
			w.flush()
		}
	}
	return written, nil
}

func (w *withoutDump) flush() {
	ofCrash := bytes.Contains(w.line, []byte("envoy.backtrace"))
	if !w.crashed || ofCrash {
		_, _ = w.to.Write(w.line)
	}
	if ofCrash && !w.crashed {
		w.crashed = true
		_, _ = io.WriteString(w.to, "Envoy crashes; what it held at that time is not shown, since that may be keys\n")
	}
	w.line = w.line[:0]
}
