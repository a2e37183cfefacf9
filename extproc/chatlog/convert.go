package chatlog

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tollgate/extproc/chatlog/pyliteral"
)

// maxLine bounds a line of a log that is converted.
const maxLine = 256 << 20

// Chat is a question and its answer, as `tollgate convert` writes them.
type Chat struct {
	Datetime       any   `json:"datetime"`
	IP             any   `json:"ip"`
	Model          any   `json:"model"`
	Temperature    any   `json:"temperature"`
	Messages       []any `json:"messages"` // {role: content} each
	Functions      any   `json:"functions,omitempty"`
	Tools          any   `json:"tools,omitempty"`
	IsFunctionCall any   `json:"is_function_call"`
	IsToolCalls    any   `json:"is_tool_calls,omitempty"`
	Assistant      any   `json:"assistant"`
}

// Conversion is what came of a folder.
type Conversion struct {
	Chats     []Chat
	Unmatched int     // lines without their other half
	Problems  []error // lines that could not be read, by file and line
}

// object is a line of a log.
type object = map[string]any

// Convert reads the logs in a folder, ours or OpenAI-Forward's, rotated ones too, and ties questions
// and answers. Its error says that there is nothing to read.
func Convert(folder string) (*Conversion, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.log"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("there is no *.log in %s", folder)
	}
	slices.SortFunc(files, oldestFirst)
	c := &Conversion{Chats: []Chat{}}
	var questions []object
	answers := map[any]object{}
	for _, file := range files {
		err := eachLine(file, func(line object) {
			if _, isQuestion := line["datetime"]; isQuestion {
				questions = append(questions, line)
			} else if line["uid"] != nil {
				answers[line["uid"]] = line
			}
		}, func(err error) { c.Problems = append(c.Problems, err) })
		if err != nil {
			return nil, err
		}
	}
	for _, q := range questions {
		a, ok := answers[q["uid"]]
		if !ok {
			c.Unmatched++
			continue
		}
		delete(answers, q["uid"])
		if messages, ok := q["messages"].([]any); ok && a["assistant"] != nil {
			c.Chats = append(c.Chats, newChat(q, messages, a))
		}
	}
	c.Unmatched += len(answers)
	return c, nil
}

// oldestFirst orders a log's files: those that were set aside carry the time in their names, the one
// that is written to carries none.
func oldestFirst(a, b string) int {
	if len(a) != len(b) {
		return len(b) - len(a)
	}
	return strings.Compare(a, b)
}

func newChat(q object, messages []any, a object) Chat {
	chat := Chat{
		Datetime: q["datetime"], IP: q["ip"], Model: q["model"], Temperature: q["temperature"],
		Messages: []any{}, Functions: q["functions"], Tools: q["tools"],
		IsFunctionCall: a["is_function_call"], IsToolCalls: a["is_tool_calls"], Assistant: a["assistant"],
	}
	if chat.IP == nil {
		chat.IP = q["forwarded-for"] // in the original's older logs
	}
	if chat.Temperature == nil {
		chat.Temperature = 1
	}
	if chat.IsFunctionCall == nil {
		chat.IsFunctionCall = false
	}
	for _, m := range messages {
		message, _ := m.(object)
		role, ok := message["role"].(string)
		if !ok {
			chat.Messages = append(chat.Messages, m) // as it is: nothing is lost
			continue
		}
		chat.Messages = append(chat.Messages, object{role: message["content"]})
	}
	return chat
}

// eachLine reads a log's lines; those that cannot be read are problems.
func eachLine(file string, line func(object), problem func(error)) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("reading a chat log: %w", err)
	}
	defer func() { _ = f.Close() }()
	scanner := bufio.NewScanner(f)
	scanner.Buffer(nil, maxLine)
	for n := 1; scanner.Scan(); n++ {
		text := bytes.TrimSpace(scanner.Bytes())
		if len(text) == 0 {
			continue
		}
		parsed, err := parseLine(text)
		if err != nil {
			problem(fmt.Errorf("%s:%d: %w", file, n, err))
			continue
		}
		line(parsed)
	}
	if err := scanner.Err(); err != nil {
		return fmt.Errorf("reading %s: %w", file, err)
	}
	return nil
}

// parseLine reads JSON, or a Python dictionary.
func parseLine(text []byte) (object, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var parsed object
	if decoder.Decode(&parsed) == nil {
		return parsed, nil
	}
	value, err := pyliteral.Parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("neither JSON nor a Python literal: %w", err)
	}
	parsed, ok := value.(object)
	if !ok {
		return nil, errors.New("not a dictionary")
	}
	return parsed, nil
}

// Write writes the chats as a JSON list.
func (c *Conversion) Write(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(c.Chats); err != nil {
		return fmt.Errorf("writing the chats: %w", err)
	}
	return nil
}
