package chatlog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/extproc/exchange"
	"tollgate/extproc/openai"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const patience = 20 * time.Second

// newCall is a call of the chat API.
func newCall(id string) *exchange.Call {
	return &exchange.Call{
		ID: id, Route: "/openai", Client: "alice", Path: "/v1/chat/completions", Method: "POST",
		Began:   time.Date(2024, 2, 29, 23, 30, 0, 0, time.UTC),
		Address: netip.MustParseAddr("192.0.2.7"),
	}
}

func newRequest(t *testing.T, body string) *openai.Request {
	t.Helper()
	request, err := openai.ParseRequest(openai.Chat, "application/json", []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return request
}

func options(dir string) Options {
	return Options{Dir: dir, MaxFileBytes: 50_000_000, Location: time.FixedZone("UTC+8", 8*3600), Sample: 1}
}

func closeLog(t *testing.T, l *Log) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := l.Close(ctx); err != nil {
		t.Fatal(err)
	}
}

// contents reads every file below a folder.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		all[name] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestLines holds the lines of calls of all kinds against testdata/lines.golden.
func TestLines(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	chosen := options(dir)
	chosen.Redact = []*regexp.Regexp{regexp.MustCompile(`\b\d{4}-\d{4}\b`)}
	chosen.Drop = []string{"user"}
	l := New(chosen)
	whole := exchange.End{Cause: exchange.Whole, Status: 200}

	plain := l.Begin(newCall("plain"))
	plain.Asked(newRequest(t, `{"model":"gpt-4o","messages":[{"role":"user","content":"card 1234-5678 <ok>"}],"temperature":0.50,"user":"u-1","x":1}`))
	plain.Done(&openai.Answer{
		Model: "gpt-4o-2024", Choices: []openai.Choice{{Role: "assistant", Text: "no 1234-5678 here", FinishReason: "stop"}},
		Usage: &openai.Usage{Prompt: 5, Completion: 3, Total: 8},
	}, whole)

	tools := l.Begin(newCall("tools"))
	tools.Asked(newRequest(t, "{\"model\":\"gpt-4o\",\n \"stream\": true, \"messages\":[],\"tools\":[{\"type\":\"function\"}]}"))
	tools.Done(&openai.Answer{Choices: []openai.Choice{
		{ToolCalls: []openai.ToolCall{{ID: "call_1", Type: "function", Function: openai.Function{Name: "f", Arguments: `{"a":1}`}}}},
		{Index: 1, Text: "second"},
	}}, whole)

	l.Begin(newCall("refused")).Done(nil, exchange.End{Cause: exchange.Refused, Status: 401, Code: "invalid_api_key"})
	cut := l.Begin(newCall("cut"))
	cut.Asked(newRequest(t, `{"model":"m","messages":[]}`))
	cut.Done(&openai.Answer{Choices: []openai.Choice{{Text: "as far as it ca"}}}, exchange.End{Cause: exchange.Cut, Status: 200})
	closeLog(t, l)

	all := contents(t, dir)
	got := all["openai/chat/chat.log"]
	if len(all) != 1 || !strings.HasSuffix(got, "\n") {
		t.Fatalf("the files are %v", all)
	}
	for line := range strings.Lines(got) {
		if !json.Valid([]byte(line)) {
			t.Errorf("not JSON: %s", line)
		}
	}
	if *update {
		if err := os.WriteFile("testdata/lines.golden", []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/lines.golden")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("-golden +got:\n%s", diff)
	}
}

// TestWhere: each API has a file of its own, for its owner only; others have none.
func TestWhere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := New(options(dir))
	for path, route := range map[string]string{
		"/v1/chat/completions": "/", "/v1/completions": "/a/b", "/v1/embeddings": "/", "/v1/responses": "/",
		"/v1/messages": "/claude", "/v1/audio/transcriptions": "/",
	} {
		call := newCall("x")
		call.Path, call.Route = path, route
		l.Begin(call).Done(nil, exchange.End{Cause: exchange.Whole, Status: 200})
	}
	call := newCall("x")
	call.Path = "/v1/models"
	if l.Begin(call) != nil {
		t.Error("a list of models is recorded")
	}
	closeLog(t, l)
	var names []string
	for name := range contents(t, dir) {
		names = append(names, name)
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, mode %v", name, err, info.Mode())
		}
	}
	want := []string{
		"a_b/completion/completion.log", "claude/messages/messages.log", "openai/chat/chat.log",
		"openai/embedding/embedding.log", "openai/responses/responses.log", "openai/whisper/whisper.log",
	}
	if diff := cmp.Diff(want, slices.Sorted(slices.Values(names))); diff != "" {
		t.Error(diff)
	}
}

// TestMany: a thousand calls at once, each line whole and there when Close returns, over files that
// rotate. Two write them, as two processes do while one takes over from the other.
func TestMany(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	chosen := options(dir)
	chosen.MaxFileBytes = 1
	logs := []*Log{New(chosen), New(chosen)}
	text := strings.Repeat("x", 20_000)
	var calls sync.WaitGroup
	for i := range 1000 {
		calls.Go(func() {
			r := logs[i%2].Begin(newCall(strconv.Itoa(i)))
			r.Asked(newRequest(t, `{"messages":[{"role":"user","content":"`+text+`"}]}`))
			r.Done(&openai.Answer{Choices: []openai.Choice{{Text: text}}}, exchange.End{Cause: exchange.Whole, Status: 200})
		})
	}
	calls.Wait()
	closeLog(t, logs[0])
	closeLog(t, logs[1])
	seen := map[string]int{}
	all := contents(t, dir)
	for _, content := range all {
		for line := range strings.Lines(content) {
			var record struct{ UID string }
			if err := json.Unmarshal([]byte(line), &record); err != nil {
				t.Fatalf("%v in %.100s", err, line)
			}
			seen[record.UID]++
		}
	}
	for uid, lines := range seen {
		if lines != 2 {
			t.Errorf("call %s has %d lines", uid, lines)
		}
	}
	if lost := logs[0].Lost() + logs[1].Lost(); len(seen) != 1000 || len(all) < 4 || lost != 0 {
		t.Errorf("%d calls in %d files, %d lines lost", len(seen), len(all), lost)
	}
}

// disk is a file on a disk that a test fills and empties, or stalls.
type disk struct {
	mu      sync.Mutex
	written bytes.Buffer
	full    bool
	stalled chan struct{} // nil: not
}

func (d *disk) Write(p []byte) (int, error) {
	if d.stalled != nil {
		<-d.stalled
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.full {
		n, _ := d.written.Write(p[:1]) // what fits
		return n, errors.New("no space left on device")
	}
	return d.written.Write(p)
}

func (d *disk) Close() error { return nil }

func (d *disk) set(full bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full = full
}

// TestDiskFull: nobody waits for a full disk; the loss is counted and said once; and when there is
// room again, lines are whole again.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	d := &disk{full: true}
	var mu sync.Mutex
	var said []error
	lost := map[string]int{}
	chosen := options("x")
	chosen.open = func(string) io.WriteCloser { return d }
	chosen.Failed = func(err error) { mu.Lock(); defer mu.Unlock(); said = append(said, err) }
	chosen.Lost = func(reason string, n int) { mu.Lock(); defer mu.Unlock(); lost[reason] += n }
	l := New(chosen)
	one := func(id string) {
		l.Begin(newCall(id)).Done(nil, exchange.End{Cause: exchange.Whole, Status: 200})
	}
	for i := range 10 {
		one(fmt.Sprint("lost-", i))
	}
	until(t, func() bool { return l.Lost() == 20 })
	d.set(false)
	until(t, func() bool {
		one("kept")
		mu.Lock()
		defer mu.Unlock()
		return len(said) == 2
	})
	closeLog(t, l)
	if said[0] == nil || said[1] != nil || lost[LostDisk] < 20 || lost[LostQueue] != 0 {
		t.Errorf("said %v, lost %v", said, lost)
	}
	whole := 0
	for line := range strings.Lines(d.written.String()) {
		if json.Valid([]byte(line)) {
			whole++
		} else if len(line) > 3 {
			t.Errorf("torn: %q", line)
		}
	}
	if whole < 2 {
		t.Errorf("after there was room, %d lines were written", whole)
	}
}

// small is a file on a disk that has room for some bytes.
type small struct {
	bytes.Buffer

	room int
}

func (s *small) Write(p []byte) (int, error) {
	n, _ := s.Buffer.Write(p[:min(len(p), s.room)])
	s.room -= n
	if n < len(p) {
		return n, errors.New("no space left on device")
	}
	return n, nil
}

func (s *small) Close() error { return nil }

// TestEveryLineIsThereOrLost: wherever a disk is full, and when it is full still at the next try, each line is whole
// in the file or counted as lost.
func TestEveryLineIsThereOrLost(t *testing.T) {
	t.Parallel()
	const line, batches, each = `{"n":1}` + "\n", 4, 3
	for first := range each*len(line) + 2 {
		for second := range each*len(line) + 2 {
			d := &small{}
			chosen := options("x")
			chosen.open = func(string) io.WriteCloser { return d }
			l := New(chosen)
			w := newWriter(l)
			for _, room := range [batches]int{first, 0, second, 1000} {
				d.room = room
				for range each {
					w.add(entry{path: "x", line: []byte(line)})
				}
				w.again = time.Time{} // it is time to try again
				w.flush()
			}
			whole := 0
			for got := range strings.Lines(d.String()) {
				if got == line {
					whole++
				} else if json.Valid([]byte(got)) || strings.Count(got, "{") > 1 {
					t.Fatalf("room for %d and %d bytes: two lines are one: %q", first, second, got)
				}
			}
			if lost := int(l.Lost()); whole+lost != batches*each {
				t.Fatalf("room for %d and %d bytes: of %d lines, %d are there and %d are lost: %q",
					first, second, batches*each, whole, lost, d.String())
			}
			closeLog(t, l)
		}
	}
}

// TestDiskStalls: a disk that does not answer holds up nobody, and memory stays bounded.
func TestDiskStalls(t *testing.T) {
	t.Parallel()
	d := &disk{stalled: make(chan struct{})}
	chosen := options("x")
	chosen.open = func(string) io.WriteCloser { return d }
	l := New(chosen)
	request := newRequest(t, `{"messages":["`+strings.Repeat("x", 1<<20)+`"]}`)
	for i := range 100 {
		r := l.Begin(newCall(strconv.Itoa(i)))
		r.Asked(request)
	}
	if queued := l.queued.Load(); queued > maxQueued || l.Lost() < 30 {
		t.Errorf("%d bytes wait, and %d lines were dropped", queued, l.Lost())
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := l.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("closing a log that cannot write: %v", err)
	}
	close(d.stalled)
	closeLog(t, l)
	if l.queued.Load() != 0 {
		t.Errorf("%d bytes wait for ever", l.queued.Load())
	}
}

// TestSample: both lines of a call are kept, or none, and about as many as asked for.
func TestSample(t *testing.T) {
	t.Parallel()
	chosen := options(t.TempDir())
	chosen.Sample = 0.25
	l := New(chosen)
	kept := 0
	for i := range 4000 {
		if l.Begin(newCall(fmt.Sprint("call-", i))) != nil {
			kept++
		}
	}
	closeLog(t, l)
	if kept < 800 || kept > 1200 {
		t.Errorf("kept %d of 4000, want about 1000", kept)
	}
}

func until(t *testing.T, so func() bool) {
	t.Helper()
	deadline := time.After(patience)
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for !so() {
		select {
		case <-deadline:
			t.Fatal("waited in vain")
		case <-again.C:
		}
	}
}
