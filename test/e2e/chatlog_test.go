package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

// recorded is a line of the chat log.
type recorded struct {
	UID, Datetime, Client, Model, Assistant, Cause, Code string
	Status                                               int
	Messages                                             []struct{ Content string }
}

// chats reads the chat log of the route /: questions by what was asked, answers by uid.
func (g *gateway) chats(t *testing.T) (questions, answers map[string]recorded) {
	t.Helper()
	questions, answers = map[string]recorded{}, map[string]recorded{}
	content, err := os.ReadFile(filepath.Join(g.dir, "Log", "openai", "chat", "chat.log"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		var r recorded
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			if strings.HasSuffix(line, "\n") {
				t.Fatalf("%v in %s", err, line)
			}
			continue // it is being written
		}
		switch {
		case r.Datetime == "":
			answers[r.UID] = r
		case len(r.Messages) > 0:
			questions[r.Messages[0].Content] = r
		default:
			questions["unread "+r.UID] = r
		}
	}
	return questions, answers
}

// ask sends a chat that streams, or not.
func (s side) ask(t *testing.T, question string, stream bool, headers ...header) seen {
	t.Helper()
	body := fmt.Sprintf(`{"model":"gpt-4o","stream":%v,"messages":[{"role":"user","content":%q}]}`, stream, question)
	return s.do(t, request{
		method: http.MethodPost, path: "/v1/chat/completions", body: strings.NewReader(body),
		headers: append(headers, header{"content-type", "application/json"}),
	})
}

// TestChatLog: questions and answers, as the client saw them; refusals and answers cut short too.
func TestChatLog(t *testing.T) {
	t.Parallel()
	url, _ := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	g := launch(t, oneRoute(url)+"chat_log: {}\n")
	through := side{g.url, clientKey}
	through.ask(t, "plain", false)
	through.ask(t, "streamed", true)
	through.ask(t, "cut", true, header{"mock-events", "10"}, header{"mock-break", "mid-body"})
	through.ask(t, "failed", false, header{"mock-status", "500"})
	side{g.url, "fk-wrong"}.ask(t, "refused", false)
	eventually(t, "all five are recorded", func() bool {
		questions, answers := g.chats(t)
		return len(questions) == 5 && len(answers) == 5
	})
	questions, answers := g.chats(t)
	whole := answers[questions["plain"].UID].Assistant
	if whole == "" || questions["plain"].Client != "alice" || questions["plain"].Model != "gpt-4o" {
		t.Errorf("plain: %+v, %+v", questions["plain"], answers[questions["plain"].UID])
	}
	for question, want := range map[string]recorded{
		"streamed": {Assistant: whole},
		"cut":      {Cause: "cut"},
		"failed":   {Status: 500},
	} {
		got := answers[questions[question].UID]
		if got.Cause != want.Cause || got.Status != want.Status || want.Assistant != "" && len(got.Assistant) == 0 {
			t.Errorf("%s: %+v", question, got)
		}
	}
	refused := 0
	for _, a := range answers {
		if a.Cause == "refused" && a.Status == http.StatusUnauthorized && a.Code == "invalid_api_key" {
			refused++
		}
	}
	if refused != 1 {
		t.Errorf("%d refusals are recorded, want 1", refused)
	}
}

// TestChatLogSurvivesTheEnd: every answer that a client received whole before SIGTERM is recorded.
func TestChatLogSurvivesTheEnd(t *testing.T) {
	t.Parallel()
	url, _ := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	g := launch(t, oneRoute(url)+"chat_log: {}\n")
	var received sync.Map
	var count atomic.Int64
	var clients sync.WaitGroup
	over := make(chan struct{})
	for c := range 8 {
		clients.Go(func() {
			client := newClient(t)
			for i := 0; ; i++ {
				question := fmt.Sprintf("question %d of %d", i, c)
				response, err := client.Do(chatRequest(t, g.url, question))
				if err != nil {
					return // the gateway has ended
				}
				whole := readWhole(response)
				select {
				case <-over:
					return
				default:
				}
				if whole {
					received.Store(question, true)
					count.Add(1)
				}
			}
		})
	}
	eventually(t, "there is load", func() bool { return count.Load() > 200 })
	close(over)
	if err := g.process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-g.died; err != nil {
		t.Error(err)
	}
	g.ended = true
	clients.Wait()
	questions, answers := g.chats(t)
	received.Range(func(question, _ any) bool {
		q, asked := questions[question.(string)] //nolint:forcetypeassert // only strings were stored
		if a, answered := answers[q.UID]; !asked || !answered || a.Cause != "" || a.Assistant == "" {
			t.Errorf("%q was answered, and its record is %+v", question, a)
		}
		return true
	})
}

func chatRequest(t *testing.T, url, question string) *http.Request {
	t.Helper()
	body := fmt.Sprintf(`{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":%q}]}`, question)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+clientKey)
	r.Header.Set("Content-Type", "application/json")
	return r
}

// readWhole tells whether a stream came to its end.
func readWhole(response *http.Response) bool {
	defer func() { _ = response.Body.Close() }()
	var body strings.Builder
	_, err := io.Copy(&body, response.Body)
	return err == nil && response.StatusCode == http.StatusOK && strings.HasSuffix(body.String(), "[DONE]\n\n")
}

// TestChatLogCannotBeWritten: serving goes on, the loss is counted and said once, and it recovers.
func TestChatLogCannotBeWritten(t *testing.T) {
	t.Parallel()
	url, _ := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	g := newGateway(t)
	g.write(t, "Log", "a file where the folder should be")
	g.write(t, "tollgate.yaml", g.addresses+oneRoute(url)+"chat_log: {}\n")
	g.args = []string{"run"}
	g.start(t)
	through := side{g.url, clientKey}
	for range 3 {
		if got := through.ask(t, "lost", false); got.Status != http.StatusOK {
			t.Errorf("got %d %s", got.Status, got.Body)
		}
	}
	g.await(t, "the chat log cannot be written", 1)
	eventually(t, "the loss is counted", func() bool {
		return strings.Contains(g.get(t, g.admin+"/metrics", nil), `tollgate_chatlog_lost_total{reason="disk"} 6`)
	})
	if err := os.Remove(filepath.Join(g.dir, "Log")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is written again", func() bool {
		through.ask(t, "kept", false)
		questions, _ := g.chats(t)
		return questions["kept"].UID != ""
	})
	g.await(t, "the chat log is written again", 1)
	if n := strings.Count(g.output.String(), "the chat log cannot be written"); n != 1 {
		t.Errorf("the loss was said %d times", n)
	}
}
