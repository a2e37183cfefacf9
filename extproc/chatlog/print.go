package chatlog

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"tollgate/extproc/exchange"
	"tollgate/extproc/openai"
)

// printRequest shows people what is asked: the last message, which is the new one.
func printRequest(w io.Writer, call *exchange.Call, request *openai.Request) {
	var messages []struct {
		Role    string          `json:"role"`
		Content json.RawMessage `json:"content"`
	}
	role, text := "user", string(request.Fields["prompt"])
	if json.Unmarshal(request.Fields["messages"], &messages) == nil && len(messages) > 0 {
		last := messages[len(messages)-1]
		role, text = last.Role, string(last.Content)
	}
	text = words(json.RawMessage(text))
	show(w, call, role, request.Model, text)
}

// printAnswer shows people what was answered.
func printAnswer(w io.Writer, call *exchange.Call, answer *openai.Answer, end exchange.End) {
	text, model := "", ""
	if answer != nil {
		model = answer.Model
		if len(answer.Choices) > 0 {
			text = answer.Choices[0].Text
			for _, c := range answer.Choices[0].ToolCalls {
				text += fmt.Sprintf(" %s(%s)", c.Function.Name, c.Function.Arguments)
			}
		}
	}
	if end.Cause != exchange.Whole || end.Status != 200 {
		text += fmt.Sprintf(" [%s, status %d %s]", end.Cause, end.Status, end.Code)
	}
	show(w, call, "assistant", model, text)
}

// show writes one paragraph, at once, so that chats do not mix within it.
func show(w io.Writer, call *exchange.Call, role, model, text string) {
	who := call.Client
	if who == "" {
		who = call.Address.String()
	}
	_, _ = io.WriteString(w, paragraph(call.ID, who, model, role, text))
}

// paragraph is how people see a line of the log.
func paragraph(uid, who, model, role, text string) string {
	head := strings.Join(strings.Fields(uid+" "+who+" "+model+" "+role), "  ")
	return head + "\n    " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n    ") + "\n"
}
