package main

import (
	"fmt"
	"strings"
	"time"

	"tollgate/bench/load"
)

const (
	answerWords = 300 // about 2 KB
	eventsEach  = 100
	eventEvery  = 5 * time.Millisecond
)

// asking is how a target's requests differ from others'.
type asking struct {
	same    bool // all are the same, where others are all different
	routes  int64
	clients int64
	key     string // of all clients; empty: each has its own
	headers string // more of them, each with its end of line
}

// answers asks for answers of 2 KB in one piece: see [ordered].
func (a asking) answers() load.Request { return a.requests("") }

// streams asks for answers of events, one every few milliseconds.
func (a asking) streams() load.Request { return a.requests(`"stream":true,`) }

// requests are chats with a prompt of 1 KB. Their length does not change with their number.
func (a asking) requests(fields string) load.Request {
	prompt := strings.Repeat("Many hands make light work, and still waters run deep. ", 18)
	body := func(number int64) string {
		return fmt.Sprintf(`{"model":"gpt-4o-mini",%s"temperature":0.5,"max_tokens":300,"messages":[`+
			`{"role":"system","content":"You are a helpful assistant."},{"role":"user","content":"%s%012d"}]}`, fields, prompt, number)
	}
	rest := fmt.Sprintf("accept: */*\r\naccept-encoding: identity\r\nuser-agent: bench\r\n"+
		"content-type: application/json\r\n%scontent-length: %d\r\n\r\n", a.headers, len(body(0)))
	before, after, _ := strings.Cut(body(0), fmt.Sprintf("%012d", 0))
	return func(buffer []byte, number int64) []byte {
		buffer = append(buffer, "POST "...)
		if a.routes > 0 {
			buffer = append(buffer, prefix(number%a.routes)...)
		}
		buffer = append(buffer, "/v1/chat/completions HTTP/1.1\r\nhost: gateway.example.com\r\nauthorization: Bearer "...)
		if a.key != "" {
			buffer = append(buffer, a.key...)
		} else {
			buffer = append(buffer, clientKey(number%max(1, a.clients))...)
		}
		buffer = append(buffer, "\r\n"...)
		buffer = append(buffer, rest...)
		buffer = append(buffer, before...)
		if a.same {
			number = 0
		}
		buffer = fmt.Appendf(buffer, "%012d", number)
		return append(buffer, after...)
	}
}
