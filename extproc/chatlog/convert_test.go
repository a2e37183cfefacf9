package chatlog

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/extproc/exchange"
	"tollgate/extproc/openai"
)

// TestConvertSeed: a log of OpenAI-Forward's, with a question that has no answer and a torn line.
func TestConvertSeed(t *testing.T) {
	t.Parallel()
	c, err := Convert("testdata/seed")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := c.Write(&out); err != nil {
		t.Fatal(err)
	}
	const want = `[
  {
    "datetime": "2024-01-28 10:11:12",
    "ip": "192.0.2.9",
    "model": "gpt-3.5-turbo",
    "temperature": 0.7,
    "messages": [
      {
        "system": "Don't \"panic\""
      },
      {
        "user": "你好\n\\"
      }
    ],
    "is_function_call": false,
    "is_tool_calls": false,
    "assistant": "Hello \"there\""
  }
]
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if c.Unmatched != 1 || len(c.Problems) != 1 || !strings.Contains(c.Problems[0].Error(), "chat.log:4: neither JSON nor a Python literal") {
		t.Errorf("%d unmatched, problems %v", c.Unmatched, c.Problems)
	}
}

// TestConvertOurs: what was recorded, over files that rotated, comes back in its order.
func TestConvertOurs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	chosen := options(dir)
	chosen.MaxFileBytes = 1
	l := New(chosen)
	text := strings.Repeat("x", 100_000)
	for i := range 300 {
		r := l.Begin(newCall(fmt.Sprint("uid-", i)))
		r.Asked(newRequest(t, fmt.Sprintf(`{"model":"m","messages":[{"role":"user","content":"%d %s"}]}`, i, text)))
		r.Done(&openai.Answer{Choices: []openai.Choice{{Text: strconv.Itoa(i)}}}, exchange.End{Cause: exchange.Whole, Status: 200})
	}
	l.Begin(newCall("refused")).Done(nil, exchange.End{Cause: exchange.Refused, Status: 401})
	closeLog(t, l)
	c, err := Convert(dir + "/openai/chat")
	if err != nil || len(c.Chats) != 300 || c.Unmatched != 0 || len(c.Problems) != 0 {
		t.Fatalf("%v: %d chats, %d unmatched, problems %v", err, len(c.Chats), c.Unmatched, c.Problems)
	}
	for i, chat := range c.Chats {
		if chat.Assistant != strconv.Itoa(i) {
			t.Fatalf("the %dth chat answers %v", i, chat.Assistant)
		}
	}
	if _, err := Convert(t.TempDir()); err == nil {
		t.Error("an empty folder is no error")
	}
}
