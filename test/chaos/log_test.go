package chaos

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// logLine is what is looked at of a line of the chat log.
type logLine struct {
	UID, User, Cause, Assistant string
	IsFunctionCall              *bool `json:"is_function_call"`
}

// checkLog looks for the two lines of each call that ended well.
func (w *world) checkLog(h *History) {
	w.tally()
	asked, answers, torn := w.chats()
	if torn > 0 && !h.had(DiskFull, ServeKilled, AllKilled) {
		w.t.Errorf("%d lines of the chat log are torn", torn)
	}
	missing, told, complete := 0, 0, 0
	for _, o := range h.Outcomes {
		if !o.good() || o.Kind == Echo {
			continue
		}
		uid, ok := asked[o.Name]
		answer, answered := answers[uid]
		switch {
		case ok && answered && answer.Cause == "":
			complete++
		case ok && answered && h.logged(o, ServeStopped, EnvoyStopped): // Envoy gives a tap up that comes a second too late: cut
		case h.logged(o, ServeKilled, AllKilled, EnvoyKilled):
		case h.logged(o, DiskFull):
			if !ok || !answered {
				missing++ // or two: without its request's line, nobody can tell whether an answer is this call's
			}
		default:
			if told++; told < 10 {
				w.t.Errorf("%s ended well from %v to %v, and the chat log has its request: %v, its answer: %v %+v", o.Call, o.Sent, o.Ended, ok, answered, answer)
			}
		}
	}
	w.t.Logf("the chat log is complete for %d calls; %d miss lines, and %v lines are said to be lost", complete, missing, w.lost)
	if float64(missing) > w.lost && !h.had(ServeRenewed) { // one that was replaced does not tell what it loses
		w.t.Errorf("the chat log misses lines of %d calls, and only %v are said to be lost", missing, w.lost)
	}
}

// had tells whether the run had events of some kinds.
func (h *History) had(kinds ...string) bool {
	for _, t := range h.Troubles {
		for _, kind := range kinds {
			if t.Kind == kind {
				return true
			}
		}
	}
	return false
}

// logged tells whether a trouble may have taken a call's lines: those of calls that ended shortly before it may
// not be written yet, and a disk that was full is left alone for some seconds.
func (h *History) logged(o *Outcome, kinds ...string) bool {
	const settled, again = 5 * time.Second, 6 * time.Second
	for _, t := range h.Troubles {
		for _, kind := range kinds {
			if t.Kind == kind && t.From <= o.Ended+settled && o.Sent <= t.To+again {
				return true
			}
		}
	}
	return false
}

// chats reads the chat log: the uid of each request by its user, the answers by theirs.
func (w *world) chats() (asked map[string]string, answers map[string]logLine, torn int) {
	asked, answers = map[string]string{}, map[string]logLine{}
	logs, _ := filepath.Glob(filepath.Join(w.dir, "Log", "*", "*", "*.log"))
	for _, path := range logs {
		content, err := os.ReadFile(path)
		if err != nil {
			w.t.Error(err)
		}
		for text := range strings.Lines(string(content)) {
			var line logLine
			if json.Unmarshal([]byte(text), &line) != nil {
				torn++
				continue
			}
			if line.User != "" {
				asked[line.User] = line.UID
			} else {
				answers[line.UID] = line
			}
		}
	}
	if len(asked) == 0 {
		w.t.Error("the chat log is empty")
	}
	return asked, answers, torn
}
