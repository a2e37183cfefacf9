package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"tollgate/test/limitcheck"
)

// plan makes a call that is to be sent.
func (s *schedule) plan(q *limitcheck.Query, gateway int) *seenCall {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent++
	c := &seenCall{
		query: *q, gateway: gateway, seed: s.random.Uint64(), local: s.away && s.trial.local,
		Call: &limitcheck.Call{Name: fmt.Sprintf("call %d (%s%s %s %s)", s.sent, q.Client, q.Address, q.Path, q.Model), Verdict: limitcheck.Lost, Settled: limitcheck.Forever},
	}
	s.calls = append(s.calls, c)
	return c
}

// send sends a call and notes what becomes of it.
func (s *schedule) send(c *seenCall) *seenCall {
	request := s.request(c)
	c.Sent = s.now()
	response, err := s.senders[c.query.Address].Do(request)
	c.Answered = s.now()
	if err != nil {
		s.became(c, 0, nil, err.Error())
		return c
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if c.Cut = err != nil; c.Cut {
		body = fmt.Appendf(body, " %v", err)
	}
	c.query.Used = usedTokens(string(body))
	s.became(c, response.StatusCode, response.Header, string(body))
	return c
}

// request makes the request of a call.
func (s *schedule) request(c *seenCall) *http.Request {
	q, random := c.query, rand.New(rand.NewPCG(c.seed, 0))
	fields := map[string]any{"model": q.Model, "messages": []any{map[string]any{"role": "user", "content": "one two three"}}}
	if q.MaxAsked > 0 {
		fields["max_tokens"] = q.MaxAsked
		if random.IntN(4) == 0 {
			fields["max_tokens"], fields["max_completion_tokens"] = 1, q.MaxAsked
		}
	}
	if q.Answers > 0 {
		fields["n"] = q.Answers
	}
	if random.IntN(3) == 0 {
		fields["stream"], fields["stream_options"] = true, map[string]any{"include_usage": true}
	}
	body, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.gateways[c.gateway].url+q.Path, strings.NewReader(string(body)))
	if err != nil {
		panic(err)
	}
	request.Header.Set("x-call", c.Name)
	request.Header.Set("authorization", "Bearer fk-nobody-0123456789")
	s.mu.Lock()
	for _, client := range s.spec.Clients {
		if client.Name == q.Client {
			request.Header.Set("authorization", "Bearer "+client.Key)
		}
	}
	s.mu.Unlock()
	request.Header.Set("content-type", "application/json")
	request.Header.Set("mock-events", strconv.Itoa(1+random.IntN(250)))
	if random.IntN(8) == 0 {
		request.Header.Set("mock-status", "500")
	}
	if c.slow || random.IntN(8) == 0 {
		request.Header.Set("mock-delay", "300ms")
	}
	return request
}

// usedTokens finds the last total in an answer, plain or in events; 0: none.
func usedTokens(body string) uint64 {
	_, after, found := strings.Cut(body[max(0, strings.LastIndex(body, `"total_tokens":`)):], `"total_tokens":`)
	if !found {
		return 0
	}
	n, _ := strconv.ParseUint(after[:max(0, strings.IndexAny(after, ",}"))], 10, 64)
	return n
}

// became says what became of a call: the upstream is asked whether it arrived.
func (s *schedule) became(c *seenCall, status int, h http.Header, body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	arrived := s.arrived[c.Name]
	c.query.Prompt = s.prompts[c.query.Model]
	c.Takes = s.spec.Takes(&c.query)
	for i := range c.Takes {
		if c.local {
			c.Takes[i].Counter = fmt.Sprintf("%s, on %d alone", c.Takes[i].Counter, c.gateway)
		}
	}
	switch {
	case arrived > 1 || status == http.StatusOK && arrived == 0:
		s.t.Errorf("%s was answered %d and arrived %d times", c.Name, status, arrived)
	case arrived == 1 && status > 0:
		c.Verdict = limitcheck.Admitted
		c.Requests, c.Tokens = leftOf(h, "Requests"), leftOf(h, "Tokens")
		s.owed[c.gateway] += c.owes()
	case status == http.StatusTooManyRequests && strings.Contains(body, "rate_limit_exceeded"):
		c.Verdict = limitcheck.Refused
		milliseconds, err := strconv.Atoi(h.Get("Retry-After-Ms"))
		if c.retry = time.Duration(milliseconds) * time.Millisecond; err != nil && h.Get("X-Should-Retry") != "false" {
			s.t.Errorf("%s was refused without a word on when to come back: %v", c.Name, h)
		}
	case s.away && !s.trial.local && status == http.StatusServiceUnavailable && strings.Contains(body, "limits_unavailable"):
		c.dropped = true
	case !s.trouble:
		s.t.Errorf("%s was answered %d %s", c.Name, status, body)
	}
}

// owes is how many tokens a call reserved: of several limits, the most.
func (c *seenCall) owes() (most uint64) {
	for _, t := range c.Takes {
		if t.Tokens {
			most = max(most, t.Reserved)
		}
	}
	return most
}

func leftOf(h http.Header, of string) *limitcheck.Left {
	if h.Get("X-Ratelimit-Limit-"+of) == "" {
		return nil
	}
	count, _ := strconv.ParseUint(h.Get("X-Ratelimit-Limit-"+of), 10, 64)
	left, _ := strconv.ParseUint(h.Get("X-Ratelimit-Remaining-"+of), 10, 64)
	return &limitcheck.Left{Limit: count, Remaining: left}
}
