package tokens

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tiktoken-go/tokenizer"

	"tollgate/extproc/openai"
)

func ask(t testing.TB, api openai.API, body string) *openai.Request {
	t.Helper()
	request, err := openai.ParseRequest(api, "application/json", []byte(body))
	require.NoError(t, err, body)
	return request
}

// corpus is text as people send it.
func corpus() map[string]string {
	return map[string]string{
		"English":   "You are a helpful assistant. Summarise the following article in three sentences, keep all names and figures, and say which claims you could not verify. It isn't necessary to quote; however, don't invent anything!",
		"German":    "Bitte fasse den folgenden Artikel in drei Sätzen zusammen. Die Bundesregierung verabschiedete gestern Änderungen am Klimaschutzgesetz, über die lange gestritten worden war.",
		"French":    "Résume l'article suivant en trois phrases, s'il te plaît. L'été dernier, les élèves de l'école n'ont pas pu être accueillis à cause des travaux.",
		"Russian":   "Пожалуйста, кратко изложи следующую статью в трёх предложениях. Правительство вчера приняло поправки к закону об охране климата.",
		"Chinese":   "请用三句话总结以下文章，保留所有人名和数字，并说明哪些内容你无法核实。不要编造任何东西。",
		"Japanese":  "次の記事を三つの文で要約してください。すべての名前と数字を残し、確認できなかった主張を述べてください。",
		"Korean":    "다음 기사를 세 문장으로 요약해 주세요. 모든 이름과 숫자를 유지하고 확인할 수 없는 주장을 말해 주세요.",
		"Arabic":    "يرجى تلخيص المقال التالي في ثلاث جمل مع الاحتفاظ بجميع الأسماء والأرقام.",
		"Hindi":     "कृपया निम्नलिखित लेख को तीन वाक्यों में संक्षेप में प्रस्तुत करें और सभी नाम और आंकड़े रखें।",
		"emoji":     "Great job 🎉🎉 see you tomorrow 👋🏽 👩‍💻🚀",
		"Go":        "func (c *counter) text(text []byte) {\n\tif len(text) == 0 {\n\t\treturn\n\t}\n\tif room := maxCounted - c.counted; len(text) > room {\n\t\tc.rest += len(text) - room\n\t\ttext = text[:room]\n\t}\n}\n",
		"Python":    "def fib(n: int) -> int:\n    \"\"\"Return the n-th number.\"\"\"\n    a, b = 0, 1\n    for _ in range(n):\n        a, b = b, a + b\n    return a\n",
		"JSON":      `{"id": "chatcmpl-9f3b2", "object": "chat.completion", "created": 1700000000, "choices": [{"index": 0, "message": {"role": "assistant", "content": null}, "finish_reason": "tool_calls"}]}`,
		"CSV":       "id,name,price,quantity\n1001,Widget,12.50,300\n1002,Gadget,7.99,1250\n1003,Doohickey,103.00,7\n",
		"HTML":      "<div class=\"card\"><h2>Title</h2><p>Some <b>bold</b> text &amp; a <a href=\"https://example.com/path?x=1&y=2\">link</a>.</p></div>",
		"log":       "2026-11-23T18:04:24.011Z INFO serving request id=TDAUUED24LXOVZFM status=200 duration=0.002491485 bytes=336",
		"SQL":       "SELECT u.id, COUNT(*) AS n FROM users u JOIN orders o ON o.user_id = u.id WHERE o.created_at > '2026-01-01' GROUP BY u.id HAVING COUNT(*) > 3 ORDER BY n DESC;",
		"base64":    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
		"hex":       "9e5580933739775e8bce696a57a2e1bc99368f23d551fb52093898a566c3eb9c",
		"one word":  "antidisestablishmentarianism",
		"spaces":    strings.Repeat(" ", 200) + "x" + strings.Repeat("\n", 50),
		"marks":     "!!! ??? ... --- *** ((( ))) ### $$$ %%% @@@ ~~~ ``` \"\"\" ''' ;;; ::: ,,, <<< >>> ||| \\\\\\ ///",
		"long line": strings.Repeat("The quick brown fox jumps over the lazy dog. ", 200),
	}
}

// TestEstimate: no text of the corpus is reserved for by less than its tokens, but for a few percent, and
// on the whole by little more.
func TestEstimate(t *testing.T) {
	t.Parallel()
	exact, err := tokenizer.Get(tokenizer.O200kBase)
	require.NoError(t, err)
	all, estimated := 0, 0
	for name, text := range corpus() {
		n, err := exact.Count(text)
		require.NoError(t, err)
		e := &estimate{}
		e.text([]byte(text))
		if name != "long line" && name != "spaces" {
			all, estimated = all+n, estimated+e.total()
		}
		t.Logf("%-10s %4d tokens, estimated %4d (%.2f)", name, n, e.total(), float64(e.total())/float64(n))
		least := 0.9
		if name == "base64" { // as text; an image's does not count by its length
			least = 0.65
		}
		assert.GreaterOrEqual(t, float64(e.total()), least*float64(n), "%s: %d tokens, estimated %d", name, n, e.total())
	}
	assert.LessOrEqual(t, float64(estimated), 1.4*float64(all), "on the whole too much is reserved")
}

// TestCookbook holds counts against those that OpenAI's cookbook publishes, and its API returned, for this
// prompt (How to count tokens with tiktoken).
func TestCookbook(t *testing.T) {
	t.Parallel()
	const prompt = `{"model":%q,"messages":[
		{"role":"system","content":"You are a helpful, pattern-following assistant that translates corporate jargon into plain English."},
		{"role":"system","name":"example_user","content":"New synergies will help drive top-line growth."},
		{"role":"system","name":"example_assistant","content":"Things working well together will increase revenue."},
		{"role":"system","name":"example_user","content":"Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage."},
		{"role":"system","name":"example_assistant","content":"Let's talk later when we're less busy about how to do better."},
		{"role":"user","content":"This late pivot means we don't have time to boil the ocean for the client deliverable."}]}`
	for model, want := range map[string]int{"gpt-4": 129, "gpt-3.5-turbo": 129, "gpt-4o": 124, "gpt-4o-mini": 124, "openai/gpt-4o": 124, "ft:gpt-4o:me::1": 124} {
		request := ask(t, openai.Chat, fmt.Sprintf(prompt, model))
		assert.Equal(t, want, Count(request, nil).Prompt, model)
		assert.InDelta(t, want, Reserve(request).Prompt, 30, model)
	}
}

// TestShapes counts prompts of every shape, in a vocabulary in which "hello" is one token.
func TestShapes(t *testing.T) {
	t.Parallel()
	image := `"data:image/png;base64,` + strings.Repeat("iVBORw0KGgo", 10_000) + `"`
	for body, want := range map[string]struct {
		api    openai.API
		prompt int
	}{
		`{"prompt":"hello"}`:                                                        {openai.Completions, 1},
		`{"prompt":["hello","hello"]}`:                                              {openai.Completions, 2},
		`{"prompt":[1,2,3]}`:                                                        {openai.Completions, 3},
		`{"prompt":[[1,2],[3,4]]}`:                                                  {openai.Completions, 4},
		`{"input":"hello"}`:                                                         {openai.Embeddings, 1},
		`{"input":["hello","hello"]}`:                                               {openai.Embeddings, 2},
		`{"input":[[15339,1917]],"dimensions":256}`:                                 {openai.Embeddings, 2},
		`{"input":"hello","instructions":"hello"}`:                                  {openai.Responses, 2},
		`{"messages":[]}`:                                                           {openai.Chat, 0},
		`{"messages":[{"role":"user","content":null}]}`:                             {openai.Chat, 7},
		`{"messages":[{"role":"user","content":"hello"}]}`:                          {openai.Chat, 8},
		`{"messages":[{"role":"user","content":"h\u0065llo"}]}`:                     {openai.Chat, 8},
		`{"messages":[{"role":"user","content":[{"type":"text","text":"hello"}]}]}`: {openai.Chat, 8},
		`{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":` + image + `}}]}]}`:                                                     {openai.Chat, 7 + perImage},
		`{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":` + image + `,"detail":"low"}}]}]}`:                                      {openai.Chat, 7 + perImageOfLowDetail},
		`{"messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"UklGRg","format":"wav"}}]}]}`:                                      {openai.Chat, 7 + perAudio},
		`{"messages":[{"role":"user","content":[{"type":"file","file":{"file_data":` + image + `}}]}]}`:                                                         {openai.Chat, 7 + perFile},
		`{"input":[{"role":"user","content":[{"type":"input_text","text":"hello"},{"type":"input_image","image_url":` + image + `}]}]}`:                         {openai.Responses, 8 + perImage},
		`{"system":"hello","messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":` + image + `}}]}]}`: {openai.Messages, 8 + perImage},
	} {
		body = `{"model":"gpt-4o",` + body[1:]
		assert.Equal(t, want.prompt, Count(ask(t, want.api, body), nil).Prompt, body[:min(len(body), 120)])
	}
}

// TestAnswers: what a request lets the upstream make.
func TestAnswers(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]Reservation{
		`{}`:                                   {},
		`{"max_tokens":null}`:                  {},
		`{"max_tokens":0}`:                     {},
		`{"max_tokens":-5}`:                    {},
		`{"max_tokens":"100"}`:                 {},
		`{"max_tokens":100}`:                   {Answer: 100, Named: true},
		`{"max_tokens":100,"n":3}`:             {Answer: 300, Named: true},
		`{"max_tokens":100,"n":2,"best_of":5}`: {Answer: 500, Named: true},
		`{"max_completion_tokens":7,"max_tokens":100}`: {Answer: 7, Named: true},
		`{"max_output_tokens":9}`:                      {Answer: 9, Named: true},
		`{"max_tokens":1e300}`:                         {Answer: 1e9, Named: true},
	} {
		assert.Equal(t, want, Reserve(ask(t, openai.Chat, body)), body)
	}
	assert.Equal(t, Reservation{Prompt: 2, Named: true}, Reserve(ask(t, openai.Embeddings, `{"input":"hello"}`)))
}

// TestCountAnswer: what has arrived of an answer.
func TestCountAnswer(t *testing.T) {
	t.Parallel()
	request := ask(t, openai.Chat, `{"model":"gpt-4o","messages":[{"role":"user","content":"hello"}]}`)
	call := openai.Function{Name: "hello", Arguments: `{"a":1}`}
	answer := &openai.Answer{Choices: []openai.Choice{
		{Text: "hello hello", Reasoning: "hello", Refusal: "hello"},
		{ToolCalls: []openai.ToolCall{{Function: call}}, FunctionCall: &call},
	}}
	u := Count(request, answer)
	assert.Equal(t, openai.Usage{Prompt: 8, Completion: 4 + 2*(1+5+perCall), Total: u.Prompt + u.Completion}, u)
}

// TestBounded: however long a text is, and of whatever, the tokenizer gets a bounded part of it.
func TestBounded(t *testing.T) {
	t.Parallel()
	for name, piece := range map[string]string{"letter": "a", "words": "hello world ", "marks": "!", "spaces": " ", "escapes": `\u0000`, "Chinese": "字"} {
		text := strings.Repeat(piece, 4<<20/len(piece))
		u := Count(ask(t, openai.Chat, `{"model":"m","messages":[{"role":"user","content":"`+text+`"}]}`), nil)
		assert.Positive(t, u.Prompt, name)
		part := Count(ask(t, openai.Chat, `{"model":"m","messages":[{"role":"user","content":"`+text[:maxCounted/len(piece)/2*len(piece)]+`"}]}`), nil)
		ratio := float64(u.Prompt) / float64(part.Prompt)
		assert.InEpsilon(t, float64(len(text))/float64(maxCounted/2), ratio, 0.2, "%s: %d and %d tokens", name, u.Prompt, part.Prompt)
	}
}

func FuzzCount(f *testing.F) {
	for _, text := range corpus() {
		quoted, err := json.Marshal(text)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(`{"messages":[{"role":"user","content":` + string(quoted) + `}],"tools":[{"a":1}]}`)
	}
	f.Add(`{"input":[[1,-2.5e3],{"type":"input_image","detail":"low"}],"n":2,"max_tokens":3}`)
	f.Fuzz(func(t *testing.T, body string) {
		if len(body) > 10_000 {
			return
		}
		for _, api := range []openai.API{openai.Chat, openai.Completions, openai.Embeddings, openai.Responses, openai.Messages} {
			request, err := openai.ParseRequest(api, "application/json", []byte(body))
			if err != nil {
				return
			}
			r, u := Reserve(request), Count(request, &openai.Answer{Choices: []openai.Choice{{Text: body}}})
			if u.Prompt < 0 || u.Completion < 0 || u.Total != u.Prompt+u.Completion {
				t.Errorf("counted %+v", u)
			}
			if flats := uint64(strings.Count(body, "type")*perFile + len(body)*3 + 100); r.Prompt > flats {
				t.Errorf("reserved %d tokens for %d bytes", r.Prompt, len(body))
			}
		}
	})
}

func BenchmarkReserve(b *testing.B) {
	request := ask(b, openai.Chat, `{"model":"gpt-4o","max_tokens":100,"messages":[{"role":"user","content":"`+strings.Repeat("The quick brown fox jumps over the lazy dog. ", 45)+`"}]}`)
	b.ReportAllocs()
	for b.Loop() {
		Reserve(request)
	}
}

func BenchmarkCount(b *testing.B) {
	request := ask(b, openai.Chat, `{"model":"gpt-4o","messages":[{"role":"user","content":"`+strings.Repeat("The quick brown fox jumps over the lazy dog. ", 45)+`"}]}`)
	b.ReportAllocs()
	for b.Loop() {
		Count(request, nil)
	}
}
