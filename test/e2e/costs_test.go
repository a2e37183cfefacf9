package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

// priceList prices some models: a token in of gpt-4o costs 2500 nano-dollars, one out 10000.
const priceList = `
prices:
  - {model: "gpt-4o*", input: 2.50, cached_input: 1.25, output: 10.00}
  - {model: text-embedding-3-small, input: 0.02, output: 0}
  - {model: gpt-image-1, request: 0.04}
`

// metric is a sample of /metrics, 0 where there is none.
func (g *gateway) metric(t *testing.T, series string) float64 {
	t.Helper()
	for line := range strings.Lines(g.get(t, g.admin+"/metrics", nil)) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	return 0
}

// costOfUsage is what an answer's usage costs by the list, in nano-dollars.
func costOfUsage(t *testing.T, body string) int {
	t.Helper()
	told := regexp.MustCompile(`"usage":\{.*?\}`).FindString(body)
	var of struct {
		Usage struct {
			Prompt     int `json:"prompt_tokens"`
			Completion int `json:"completion_tokens"`
		} `json:"usage"`
	}
	if err := json.Unmarshal([]byte("{"+told+"}"), &of); err != nil || of.Usage.Prompt == 0 {
		t.Fatalf("no usage in %s: %v", body, err)
	}
	return 2500*of.Usage.Prompt + 10_000*of.Usage.Completion
}

// TestCosts: what each call cost is in metrics, to the nano-dollar, and what the cache saved.
func TestCosts(t *testing.T) {
	t.Parallel()
	url, _ := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	g := launch(t, limited(url, "routes: [{prefix: /, upstream: openai, cache: {opt_in: true, collapse: false}}]\ntelemetry: {usage: true, access_log: access.log}\n"+priceList))
	alice := side{g.url, clientKey}
	spent := func(model string) int {
		return int(1e9*g.metric(t, `tollgate_cost_usd_total{client="alice",model="`+model+`",route="/"}`) + 0.5)
	}
	chat := func(more string) string {
		return `{"model":"gpt-4o",` + more + `"messages":[{"role":"user","content":"one two three"}]}`
	}
	want := costOfUsage(t, alice.do(t, post("/v1/chat/completions", chat(""))).Body)
	eventually(t, "a plain answer is counted", func() bool { return spent("gpt-4o") == want })
	want += costOfUsage(t, alice.do(t, post("/v1/chat/completions", chat(`"stream":true,"stream_options":{"include_usage":true},`))).Body)
	eventually(t, "a stream that tells its usage is counted", func() bool { return spent("gpt-4o") == want })
	if got := alice.do(t, post("/v1/chat/completions", chat(""), header{"mock-status", "500"})); got.Status != 500 {
		t.Errorf("got %d", got.Status)
	}
	if got := alice.do(t, post("/v1/chat/completions", chat(`"stream":true,`), header{"mock-events", "100"})); got.Status != 200 {
		t.Errorf("got %d", got.Status)
	}
	eventually(t, "a stream that does not tell is counted by a tokenizer", func() bool {
		counted := spent("gpt-4o") - want
		return counted >= 100*10_000 && counted < 400*10_000
	})
	alice.do(t, post("/v1/embeddings", `{"model":"text-embedding-3-small","input":"one two three"}`))
	eventually(t, "embeddings are counted", func() bool { return spent("text-embedding-3-small") == 3*20 })

	before := g.metric(t, `tollgate_cost_unknown_total{client="alice",model="unheard-of",route="/"}`)
	alice.do(t, post("/v1/chat/completions", `{"model":"unheard-of","messages":[{"role":"user","content":"one"}]}`))
	eventually(t, "a call without a price is counted as such", func() bool {
		return g.metric(t, `tollgate_cost_unknown_total{client="alice",model="unheard-of",route="/"}`) == before+1
	})
	saved := func() int {
		return int(1e9*g.metric(t, `tollgate_cache_cost_saved_usd_total{client="alice",model="gpt-4o",route="/"}`) + 0.5)
	}
	got := alice.hit(t, func() request { return post("/v1/chat/completions", chat(`"caching":true,`)) })
	eventually(t, "what a hit saved is counted", func() bool { return saved() == costOfUsage(t, got.Body) })
	g.await(t, `"saved_usd":"`, 1)
	g.await(t, `"cost_usd":"0.0000`, 2)
}

// TestBudget: who has used up a budget is told so as OpenAI tells it, and what has no price is refused; on
// both stores.
func TestBudget(t *testing.T) {
	t.Parallel()
	redis := startRedis(t)
	for name, store := range map[string]string{"memory": "", "redis": "limit_store: {redis: \"redis://" + redis.address + "\"}\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, upstream := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
			g := launch(t, fmt.Sprintf(`
clients:
  - {name: alice, keys: [%s], limits: [{cost: 0.001 USD/month}]}
  - {name: bob, keys: [%s]}
upstreams: [{name: openai, url: %q, keys: [%s]}]
routes: [{prefix: /, upstream: openai, cache: {opt_in: true, collapse: false}}]
telemetry: {usage: true}
%s%s`, clientKey, bobsKey, url, upstreamKey, priceList, store))
			alice, bob := side{g.url, clientKey}, side{g.url, bobsKey}
			budget(t, g, alice, bob)
			n := len(upstream.Requests())
			for name, r := range map[string]request{
				"a model without a price":    post("/v1/chat/completions", `{"model":"unheard-of","messages":[{"role":"user","content":"hi"}]}`),
				"no model":                   post("/v1/chat/completions", `{"messages":[{"role":"user","content":"hi"}]}`),
				"what cannot be read":        post("/v1/fine_tuning/jobs", `{"model":"gpt-4o","training_file":"f"}`),
				"what names nothing":         post("/v1/batches", `{"input_file_id":"f"}`),
				"a dear one in the path":     post("/v1/deployments/unheard-of/chat/completions", `{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}`),
				"a WebSocket without a name": {method: http.MethodGet, path: "/v1/realtime?model=gpt-4o-realtime", headers: []header{{"connection", "upgrade"}, {"upgrade", "websocket"}, {"sec-websocket-version", "13"}, {"sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA=="}}},
			} {
				if got := alice.do(t, r); got.Status != http.StatusForbidden || !strings.Contains(got.Body, `"model_without_price"`) {
					t.Errorf("%s: got %d %s", name, got.Status, got.Body)
				}
			}
			alice.do(t, post("/v1/chat/completions", `{"model":"gpt-4o","model":"unheard-of","messages":[]}`)).
				isError(t, http.StatusBadRequest, "ambiguous_model", "Tollgate")
			if more := len(upstream.Requests()) - n; more > 0 {
				t.Errorf("%d requests reached the upstream that nobody has a price for", more)
			}
			if got := alice.do(t, request{method: http.MethodGet, path: "/v1/models"}); got.Status != http.StatusOK {
				t.Errorf("a request that costs nothing: got %d %s", got.Status, got.Body)
			}
			if got := bob.do(t, post("/v1/chat/completions", `{"model":"unheard-of","messages":[{"role":"user","content":"hi"}]}`)); got.Status != http.StatusOK {
				t.Errorf("bob has no budget, and got %d", got.Status)
			}
			image := alice.do(t, post("/v1/images/generations", `{"model":"gpt-image-1","prompt":"a cat"}`))
			image.isError(t, http.StatusTooManyRequests, "insufficient_quota", "Tollgate")
			if !strings.Contains(image.Body, "too dear: it may cost 0.04 USD") {
				t.Errorf("an image: %s", image.Body)
			}
		})
	}
}

// budget spends all of alice's: 0.001 dollars are 1,000,000 nano-dollars.
func budget(t *testing.T, g *gateway, alice, bob side) {
	t.Helper()
	const chat = `{"model":"gpt-4o","max_tokens":20,%s"messages":[{"role":"user","content":"one two three four five six seven eight nine ten"}]}`
	hit := alice.hit(t, func() request { return post("/v1/chat/completions", fmt.Sprintf(chat, `"caching":true,`)) })
	each := costOfUsage(t, hit.Body)
	left := func() int {
		return int(1e9*g.metric(t, `tollgate_limit_remaining{client="alice",of="cost",route="/"}`) + 0.5)
	}
	spent, refused := each, seen{}
	for range 100 {
		got := alice.do(t, post("/v1/chat/completions", fmt.Sprintf(chat, "")))
		if got.Status == http.StatusTooManyRequests {
			refused = got
			break
		}
		spent += each
	}
	refused.isError(t, http.StatusTooManyRequests, "insufficient_quota", "Tollgate")
	if !strings.Contains(refused.Body, "There is room for it again at ") || refused.Header.Get("X-Should-Retry") != "false" {
		t.Errorf("the refusal says %s, and x-should-retry %q", refused.Body, refused.Header.Get("X-Should-Retry"))
	}
	if spent > 1_000_000 || spent < 1_000_000-2*each-20*10_000 {
		t.Errorf("%d nano-dollars were spent of 1000000, %d a call", spent, each)
	}
	eventually(t, "what is left is what was not spent", func() bool { return left() == 1_000_000-spent })
	client := openai.NewClient(option.WithBaseURL(g.url+"/v1"), option.WithAPIKey(clientKey), option.WithMaxRetries(5))
	_, err := client.Chat.Completions.New(t.Context(), openai.ChatCompletionNewParams{
		Model: "gpt-4o", MaxTokens: openai.Int(200), Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("hello")},
	})
	var told *openai.Error
	if !errors.As(err, &told) || told.Code != "insufficient_quota" || told.Type != "insufficient_quota" {
		t.Errorf("the SDK says %v", err)
	}
	if got := alice.do(t, post("/v1/chat/completions", fmt.Sprintf(chat, `"caching":true,`))); got.Status != http.StatusOK {
		t.Errorf("from the cache, which costs nothing: got %d", got.Status)
	}
	if got := bob.do(t, post("/v1/chat/completions", fmt.Sprintf(chat, ""))); got.Status != http.StatusOK {
		t.Errorf("bob got %d: the budget is alice's", got.Status)
	}
}

// TestBudgetIsReserved: of many calls at once, by gateways that share a Redis, no more are let pass than
// could cost all that there is; what they did not cost is there again.
func TestBudgetIsReserved(t *testing.T) {
	t.Parallel()
	redis := startRedis(t)
	url, upstream := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	configuration := limited(url, "routes: [{prefix: /, upstream: openai, limits: [{cost: 0.1 USD/hour}]}]\ntelemetry: {usage: true}\nlimit_store: {redis: \"redis://"+redis.address+"\"}\n"+priceList)
	first, second := launch(t, configuration), launch(t, configuration)
	gateways := []side{{first.url, clientKey}, {second.url, clientKey}}
	var calls sync.WaitGroup
	for i := range 40 {
		calls.Go(func() {
			gateways[i%2].do(t, post("/v1/chat/completions", fmt.Sprintf(answerAtMost, 1950, ""), header{"mock-delay", "2s"}))
		})
	}
	calls.Wait()
	if n := len(upstream.Requests()); n != 5 {
		t.Errorf("the upstream saw %d calls of up to 1950 tokens for 0.0195 dollars, and there are 0.1", n)
	}
	eventually(t, "what was not spent is there again", func() bool {
		gateways[0].do(t, post("/v1/chat/completions", fmt.Sprintf(answerAtMost, 1, "")))
		return first.metric(t, `tollgate_limit_remaining{client="alice",of="cost",route="/"}`) > 0.09
	})
}
