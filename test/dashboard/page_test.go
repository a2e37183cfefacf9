package dashboard

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// usageOf is what an answer says that it took, and what that costs in nano-dollars.
func usageOf(t *testing.T, body string) (in, out, nano int) {
	t.Helper()
	var answer struct {
		Usage struct {
			Prompt     int `json:"prompt_tokens"`
			Completion int `json:"completion_tokens"`
		} `json:"usage"`
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || answer.Usage.Prompt == 0 {
		t.Fatalf("no usage in %s: %v", body, err)
	}
	return answer.Usage.Prompt, answer.Usage.Completion, 2500*answer.Usage.Prompt + 10_000*answer.Usage.Completion
}

// TestShowsWhatWasSent: requests, failures, refusals, hits, tokens and money are those of what was sent.
func TestShowsWhatWasSent(t *testing.T) {
	t.Parallel()
	g := start(t, "")
	in, out, spent := 0, 0, 0
	for range 3 {
		status, body := g.chat(aliceKey, "/", "")
		if status != http.StatusOK {
			t.Fatalf("got %d %s", status, body)
		}
		i, o, n := usageOf(t, body)
		in, out, spent = in+i, out+o, spent+n
	}
	g.chat(aliceKey, "/", "", "mock-status: 500")
	g.chat(aliceKey, "/", "", "mock-status: 400")
	for range 4 { // alice may ask five times a day; the route answers what was kept only where it is asked to
		if status, body := g.chat(aliceKey, "/", ""); status != http.StatusTooManyRequests {
			t.Fatalf("got %d %s", status, body)
		}
	}
	g.chat("fk-nobody", "/", "")
	saved, hits := 0, 0
	for range 30 { // an answer is kept just after it was sent
		status, body := g.chat(bobKey, "/", `"caching":true,`)
		if status != http.StatusOK {
			t.Fatalf("got %d %s", status, body)
		}
		i, o, n := usageOf(t, body)
		if hits = g.hits(); hits > 0 {
			saved = n
			break
		}
		in, out, spent = in+i, out+o, spent+n
	}

	p := browse(t)
	p.open("http://" + g.admin + "/")
	p.awaits("#connection", "live")
	p.awaits("#tile-refused .value", "5")
	p.awaits("#tile-failed .value", "2")
	p.awaits("#tile-hits .value", "1")
	p.awaits("#tile-spent .value", dollars(spent))
	p.awaits("#tile-saved .value", dollars(saved))
	p.awaits("#tile-tokens .more", fmt.Sprintf("%d in, %d out", in, out))
	if row := p.row("routes", "/"); row["Refused"] != "5" || row["Cache hits"] != "1" || row["Tokens in"] != strconv.Itoa(in) || row["Failed"] != "2" {
		t.Errorf("the route: %v", row)
	}
	if row := p.row("models", "gpt-4o"); row["Tokens out"] != strconv.Itoa(out) || row["Spent"] != dollars(spent) {
		t.Errorf("the model: %v", row)
	}
	for code, n := range map[string]string{"rate_limit_exceeded": "4", "invalid_api_key": "1"} {
		if row := p.row("refusals", code); row["Requests"] != n {
			t.Errorf("refusals by %s: %v", code, row)
		}
	}
	if shown := p.text("#keys"); !strings.Contains(shown, "openai") || !strings.Contains(shown, "5xx: 1") || strings.Contains(shown, realKey) {
		t.Errorf("the keys: %s", shown)
	}
	p.shoot("overview")

	p.do(chromedp.Click(`nav a[href="#clients"]`))
	p.awaits("#clienttable", "5/day requests")
	alice := p.row("clienttable", "alice")
	if alice["Requests"] != "5" || alice["Refused"] != "4" || !strings.Contains(alice["Headroom"], "0 of 5 left") || !strings.Contains(alice["Headroom"], "of $20.00 left") {
		t.Errorf("alice: %v", alice)
	}
	p.shoot("clients")

	// The same in a terminal.
	said, err := exec.CommandContext(t.Context(), program(t), "top", "--once", "--admin", g.admin).CombinedOutput()
	if err != nil || !regexp.MustCompile(`(?m)^alice +0 of 5/day requests, whole in \S+ +5 +2 +4 +0 `).Match(said) {
		t.Errorf("tollgate top: %v\n%s", err, said)
	}

	// The plots hold each second once: their points add up to what was sent.
	p.do(chromedp.Click(`nav a[href="#overview"]`))
	for name, want := range map[string]int{"refused": 5, "failed": 2, "hits": 1, "input_tokens": in, "output_tokens": out} {
		sum := `(async () => (await (await fetch("api/points")).json()).points.reduce((sum, p) => sum + p.` + name + `, 0))()`
		if got := p.awaited(sum); got != float64(want) {
			t.Errorf("the points' %s add up to %v, want %d", name, got, want)
		}
	}
	if n := p.number(`document.querySelectorAll("#plots canvas").length`); n != 6 {
		t.Errorf("there are %v plots", n)
	}
}

// hits asks how many answers came from the cache.
func (g *gateway) hits() int {
	g.t.Helper()
	_, body := ask(g.t, http.MethodGet, "http://"+g.admin+"/metrics", "")
	for line := range strings.Lines(body) {
		if value, ok := strings.CutPrefix(line, `tollgate_cache_requests_total{result="hit",route="/"} `); ok {
			n := 0
			if _, err := fmt.Sscan(value, &n); err != nil {
				g.t.Fatal(err)
			}
			return n
		}
	}
	return 0
}

// awaited evaluates an expression that is a promise of a number.
func (p *page) awaited(expression string) float64 {
	p.t.Helper()
	n, err := chromedp.Run(p.ctx, chromedp.Evaluate[float64](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("evaluating %s: %v", expression, err)
	}
	return n
}

// dollars is how the page writes so many nano-dollars, of less than a dollar.
func dollars(nano int) string {
	digits := 3
	if nano < 100_000 {
		digits = 2
	}
	value, err := strconv.ParseFloat(strconv.FormatFloat(float64(nano)/1e9, 'e', digits-1, 64), 64)
	if err != nil {
		panic("bug: a number that was just written cannot be read: " + err.Error())
	}
	return "$" + strconv.FormatFloat(value, 'f', -1, 64)
}

// TestWatchesAChat: a chat is found by what was said, opened, and watched as its answer arrives; one of a route
// that is not recorded is not there.
func TestWatchesAChat(t *testing.T) {
	t.Parallel()
	g := start(t, "")
	g.chat(bobKey, "/quiet/", "")
	if status, _ := g.chat(bobKey, "/", ""); status != http.StatusOK {
		t.Fatalf("got %d", status)
	}
	ended := make(chan string, 1)
	go func() {
		_, body := g.chat(aliceKey, "/", `"stream":true,`, "mock-events: 100", "mock-interval: 100ms")
		ended <- body
	}()
	p := browse(t)
	p.open("http://" + g.admin + "/dashboard/#chats")
	p.awaits("#chatlist", "under way")
	p.do(chromedp.Click("#chatlist li:nth-child(1) a"))
	p.awaits("#chat", "one two three four")
	p.awaits("#answer", "one two")
	short := len(p.text("#answer"))
	p.eventually("more of the answer arrives", func() bool { return len(p.text("#answer")) > short }, func() string { return p.text("#answer") })
	p.shoot("watching")
	<-ended
	p.awaits("#chatsummary", "tokens")
	if n := len(strings.Fields(p.text("#answer"))); n != 100 {
		t.Errorf("the answer has %d words", n)
	}
	if n := len(p.texts("#chatlist li")); n != 2 {
		t.Errorf("%d chats are listed, and two were recorded", n)
	}
	p.do(chromedp.SendKeys("#search", "bob"))
	p.eventually("one chat is found", func() bool { return len(p.texts("#chatlist li")) == 1 }, func() string { return p.text("#chatlist") })
	p.do(chromedp.SendKeys("#search", " nobody said this"))
	p.awaits("#chatlist", "No chat has this text.")
}

// TestShowsTheConfiguration: with its history and what is wrong with the newest; no secret shows.
func TestShowsTheConfiguration(t *testing.T) {
	t.Parallel()
	g := start(t, "")
	p := browse(t)
	p.open("http://" + g.admin + "/dashboard/#config")
	p.awaits("#configtext", "prefix: /quiet")
	if shown := p.text("body"); strings.Contains(shown, realKey) || strings.Contains(shown, aliceKey) || !strings.Contains(shown, "[secret ") {
		t.Errorf("a key shows, or nothing does:\n%s", shown)
	}
	yaml := configuration("http://127.0.0.1:1", strings.TrimPrefix(g.url, "http://"), g.admin, "")
	g.write(strings.Replace(yaml, "5/day", "7/day", 1))
	p.awaits("#history", "+ ")
	p.awaits("#configtext", "7/day")
	p.shoot("configuration")
	g.write(strings.Replace(yaml, "5/day", "7/sometimes", 1))
	p.awaits("#history", "turned down")
	p.awaits("#notice", "The newest configuration is not in force")
	p.awaits("#history", "expected second, minute")
	if strings.Contains(p.text("#configtext"), "sometimes") {
		t.Error("what is shown as in force is not")
	}
	p.shoot("turned-down")
}

// TestLooks: dark and light as the system is, the other by the button, which is remembered; nothing overflows
// on a phone.
func TestLooks(t *testing.T) {
	t.Parallel()
	g := start(t, "")
	for range 5 {
		g.chat(bobKey, "/", `"stream":true,`)
	}
	p := browse(t)
	p.open("http://" + g.admin + "/dashboard/")
	p.awaits("#connection", "live")
	brightness := `(() => { const [r, g, b] = getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number); return (r + g + b) / 3; })()`
	p.scheme("light")
	p.eventually("it is light", func() bool { return p.number(brightness) > 200 }, func() string { return "dark" })
	p.scheme("dark")
	p.eventually("it is dark", func() bool { return p.number(brightness) < 60 }, func() string { return "light" })
	p.shoot("dark")
	p.do(chromedp.Click("#theme"))
	p.eventually("the button makes it light", func() bool { return p.number(brightness) > 200 }, func() string { return "dark" })
	p.do(chromedp.Reload())
	p.eventually("which is remembered", func() bool { return p.number(brightness) > 200 }, func() string { return "dark" })
	p.do(chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile))
	for _, view := range []string{"overview", "clients", "chats", "config"} {
		p.open("http://" + g.admin + "/dashboard/#" + view)
		p.eventually(view+" opens", func() bool { return p.number(`Number(!document.getElementById("`+view+`").hidden)`) == 1 }, func() string { return "hidden" })
		p.eventually(view+" fits", func() bool { return p.number(`document.documentElement.scrollWidth`) <= 390 },
			func() string { return fmt.Sprint(p.number(`document.documentElement.scrollWidth`)) })
		p.shoot("phone-" + view)
	}
}
