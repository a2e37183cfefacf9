package chatlog

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// lookAgain is how often a followed log is looked at.
const lookAgain = 200 * time.Millisecond

// View chooses what Follow shows.
type View struct {
	Dir    string
	Last   int    // lines of each file to begin with; negative: all
	Stay   bool   // go on as more is written
	Client string // only this client's; empty: all
	Model  string // only this model's; empty: all
}

// Follow shows people the chat log: each line as a paragraph, until ctx ends.
func (v View) Follow(ctx context.Context, w io.Writer) error {
	f := follower{view: v, at: map[string]int64{}, calls: map[string]call{}}
	for first := true; ; first = false {
		files, err := filepath.Glob(filepath.Join(v.Dir, "*", "*", "*.log"))
		if err != nil || len(files) == 0 && !v.Stay {
			return fmt.Errorf("there is no chat log in %s\nhint: --dir names another folder; chat_log in tollgate.yaml, or LOG_CHAT in .env, has chats recorded", v.Dir)
		}
		slices.SortFunc(files, oldestFirst)
		for _, file := range files {
			if err := f.read(file, first, w); err != nil {
				return err
			}
		}
		if !v.Stay {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(lookAgain):
		}
	}
}

// follower remembers how far each file was read, and who asked what.
type follower struct {
	view  View
	at    map[string]int64
	calls map[string]call // by uid: the line of an answer does not say
}

type call struct{ who, model string }

// read shows what is new in a file. One that is shorter than it was has been begun anew.
func (f *follower) read(path string, first bool, w io.Writer) error {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil // set aside in this moment
	}
	if err != nil {
		return fmt.Errorf("reading the chat log: %w", err)
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("reading the chat log: %w", err)
	}
	if info.Size() < f.at[path] {
		f.at[path] = 0
	}
	if _, err := file.Seek(f.at[path], io.SeekStart); err != nil {
		return fmt.Errorf("reading the chat log: %w", err)
	}
	var paragraphs []string
	reader := bufio.NewReader(file)
	for {
		text, err := reader.ReadString('\n')
		if err != nil {
			break // the end, or a line that is being written: it comes next time
		}
		f.at[path] += int64(len(text))
		if shown := f.show(text); shown != "" {
			paragraphs = append(paragraphs, shown)
		}
	}
	if last := f.view.Last; first && last >= 0 && len(paragraphs) > last {
		paragraphs = paragraphs[len(paragraphs)-last:]
	}
	_, err = io.WriteString(w, strings.Join(paragraphs, ""))
	return err //nolint:wrapcheck // the caller's writer
}

// show gives a line's paragraph, or nothing where it is not wanted.
func (f *follower) show(text string) string {
	var l struct {
		UID, Datetime, IP, Client, Model, Cause, Code string
		Status                                        int
		Messages                                      []struct {
			Role    string
			Content json.RawMessage
		}
		Assistant json.RawMessage
		ToolCalls json.RawMessage `json:"tool_calls"`
	}
	if json.Unmarshal([]byte(text), &l) != nil || l.UID == "" {
		return ""
	}
	role, said := "assistant", words(l.Assistant)+string(l.ToolCalls)
	if l.Datetime != "" {
		who := l.Client
		if who == "" {
			who = l.IP
		}
		f.calls[l.UID] = call{who, l.Model}
		role, said = "asks", ""
		if n := len(l.Messages); n > 0 {
			role, said = l.Messages[n-1].Role, words(l.Messages[n-1].Content)
		}
	}
	c := f.calls[l.UID]
	if l.Datetime == "" {
		delete(f.calls, l.UID)
	}
	if f.view.Client != "" && c.who != f.view.Client || f.view.Model != "" && c.model != f.view.Model {
		return ""
	}
	if l.Cause != "" || l.Status != 0 {
		said += fmt.Sprintf(" [%s %d %s]", l.Cause, l.Status, l.Code)
	}
	return paragraph(l.UID, strings.TrimSpace(l.Datetime+" "+c.who), c.model, role, said)
}

// words is a string's text, or JSON as it is.
func words(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	return string(raw)
}
