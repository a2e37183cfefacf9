package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

// limitedTokens is a gateway whose clients may take so many tokens an hour.
func limitedTokens(t *testing.T, tokens int) (*gateway, *mock.Server) {
	t.Helper()
	url, upstream := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	return launch(t, limited(url, fmt.Sprintf("routes: [{prefix: /, upstream: openai, limits: [{tokens: %d/hour}]}]\ntelemetry: {usage: true}\n", tokens))), upstream
}

const answerAtMost = `{"model":"gpt-4o","max_tokens":%d,%s"messages":[{"role":"user","content":"one two three"}]}`

// TestTokensAreSettled: what a call reserved is replaced by what it used, whatever way it ended.
func TestTokensAreSettled(t *testing.T) {
	t.Parallel()
	g, _ := limitedTokens(t, 1_000_000)
	alice := side{g.url, clientKey}
	settled := func(what string) int { // tokens in all, by calls that are settled
		for line := range strings.Lines(g.get(t, g.admin+"/metrics", nil)) {
			if value, ok := strings.CutPrefix(line, `tollgate_limit_tokens_total{route="/",what="`+what+`"} `); ok {
				n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
				if err != nil {
					t.Fatal(err)
				}
				return int(n)
			}
		}
		return 0
	}
	left := func() int { // while nothing is under way but this call, of which nothing is taken in the end
		got := alice.do(t, post("/v1/chat/completions", fmt.Sprintf(answerAtMost, 1, ""), header{"mock-status", "500"}))
		n, err := strconv.Atoi(got.Header.Get("X-Ratelimit-Remaining-Tokens"))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	const reserved = 10_000
	for name, test := range map[string]struct {
		r             request
		least, atMost int // tokens that are taken in the end
	}{
		"as the upstream says":      {post("/v1/chat/completions", fmt.Sprintf(answerAtMost, reserved, "")), 9, 9},
		"as its stream says":        {post("/v1/chat/completions", fmt.Sprintf(answerAtMost, reserved, `"stream":true,"stream_options":{"include_usage":true},`)), 9, 9},
		"as is counted of a stream": {post("/v1/chat/completions", fmt.Sprintf(answerAtMost, reserved, `"stream":true,`), header{"mock-events", "500"}), 500, 2500},
		"an error":                  {post("/v1/chat/completions", fmt.Sprintf(answerAtMost, reserved, ""), header{"mock-status", "400"}), 0, 0},
		"nobody there":              {post("/v1/chat/completions", fmt.Sprintf(answerAtMost, reserved, ""), header{"mock-break", "reset"}), 0, 0},
		"cut by the upstream":       {post("/v1/chat/completions", fmt.Sprintf(answerAtMost, reserved, `"stream":true,`), header{"mock-events", "500"}, header{"mock-break", "mid-body"}), 100, 2500},
		"cut, with early usage":     {post("/v1/messages", fmt.Sprintf(answerAtMost, reserved, `"stream":true,`), header{"mock-events", "500"}, header{"mock-break", "mid-body"}), 100, 2500},
		"cut, and not a stream":     {post("/v1/chat/completions", fmt.Sprintf(answerAtMost, reserved, ""), header{"mock-break", "mid-body"}), reserved, reserved + 100},
		"embeddings":                {post("/v1/embeddings", `{"model":"text-embedding-3-small","input":"one two three"}`), 1, 10},
	} {
		reservedBefore, before := settled("reserved"), settled("used")
		alice.do(t, test.r)
		eventually(t, name+" is settled", func() bool { return settled("reserved") > reservedBefore })
		if took := settled("used") - before; took < test.least || took > test.atMost {
			t.Errorf("%s: %d tokens were taken, want %d to %d", name, took, test.least, test.atMost)
		}
	}
	leaving, leave := context.WithCancel(t.Context())
	before, whole := settled("used"), left()
	response := alice.send(leaving, t, post("/v1/chat/completions", fmt.Sprintf(answerAtMost, reserved, `"stream":true,`), header{"mock-events", "1000"}, header{"mock-interval", "5ms"}))
	if _, err := response.Body.Read(make([]byte, 1<<10)); err != nil {
		t.Fatal(err)
	}
	if took := whole - left(); took < reserved {
		t.Errorf("a call under way holds %d tokens, and reserved %d", took, reserved)
	}
	leave()
	eventually(t, "a call whose client left is settled", func() bool {
		took := settled("used") - before
		return took > 0 && took < reserved
	})
	eventually(t, "the limit is as what was used leaves it", func() bool { return whole-left() < reserved })
}

// TestTokensAreReserved: of many calls at once no more are let pass than could take all that they may.
func TestTokensAreReserved(t *testing.T) {
	t.Parallel()
	g, upstream := limitedTokens(t, 10_000)
	var calls sync.WaitGroup
	var passed atomic.Int64
	for range 100 {
		calls.Go(func() {
			got := side{g.url, clientKey}.do(t, post("/v1/chat/completions", fmt.Sprintf(answerAtMost, 1950, ""), header{"mock-delay", "3s"}))
			switch got.Status {
			case http.StatusOK:
				passed.Add(1)
			case http.StatusTooManyRequests:
			default:
				t.Errorf("got %d %s", got.Status, got.Body)
			}
		})
	}
	calls.Wait()
	if n := len(upstream.Requests()); n != 5 || passed.Load() != 5 {
		t.Errorf("%d calls of up to 2000 tokens passed, and the upstream saw %d: at 10000 an hour it must be 5", passed.Load(), n)
	}
}

// TestTokensThatNeverFit: a request that is larger than its limit is told so, and OpenAI's SDK does not
// try again.
func TestTokensThatNeverFit(t *testing.T) {
	t.Parallel()
	g, upstream := limitedTokens(t, 100)
	got := side{g.url, clientKey}.do(t, post("/v1/chat/completions", fmt.Sprintf(answerAtMost, 200, "")))
	got.isError(t, http.StatusTooManyRequests, "rate_limit_exceeded", "Tollgate")
	client := openai.NewClient(option.WithBaseURL(g.url+"/v1"), option.WithAPIKey(clientKey), option.WithMaxRetries(5))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := client.Chat.Completions.New(ctx, openai.ChatCompletionNewParams{
		Model: "gpt-4o", MaxTokens: openai.Int(200),
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("hello")},
	})
	var refused *openai.Error
	if !errors.As(err, &refused) || refused.StatusCode != http.StatusTooManyRequests || refused.Type != "tokens" {
		t.Errorf("the SDK says %v", err)
	}
	if n := len(upstream.Requests()); n > 0 {
		t.Errorf("the upstream saw %d requests", n)
	}
	// Who does not say how long the answer may be is not kept out by a small limit.
	if got := (side{g.url, clientKey}).do(t, post("/v1/chat/completions", `{"model":"gpt-4o","messages":[{"role":"user","content":"hello"}]}`)); got.Status != http.StatusOK {
		t.Errorf("an open end: got %d %s", got.Status, got.Body)
	}
}

// TestTokensInRedis: gateways that share a Redis share what was reserved and what was used.
func TestTokensInRedis(t *testing.T) {
	t.Parallel()
	redis := startRedis(t)
	url, upstream := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	configuration := limited(url, "routes: [{prefix: /, upstream: openai, limits: [{tokens: 10000/hour}]}]\nlimit_store: {redis: \"redis://"+redis.address+"\"}\n")
	gateways := []side{{launch(t, configuration).url, clientKey}, {launch(t, configuration).url, clientKey}}
	var calls sync.WaitGroup
	for i := range 40 {
		calls.Go(func() {
			gateways[i%2].do(t, post("/v1/chat/completions", fmt.Sprintf(answerAtMost, 1950, ""), header{"mock-delay", "2s"}))
		})
	}
	calls.Wait()
	if n := len(upstream.Requests()); n != 5 {
		t.Errorf("the upstream saw %d calls of up to 2000 tokens, at 10000 an hour", n)
	}
	eventually(t, "what was not used is there again", func() bool {
		got := gateways[0].do(t, post("/v1/chat/completions", fmt.Sprintf(answerAtMost, 1, "")))
		left, _ := strconv.Atoi(got.Header.Get("X-Ratelimit-Remaining-Tokens"))
		reset, _ := time.ParseDuration(got.Header.Get("X-Ratelimit-Reset-Tokens"))
		return left > 9000 && reset > 0
	})
}
