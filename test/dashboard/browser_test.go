package dashboard

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience is how long a page may take for what it must come to show.
const patience = 60 * time.Second

// page is a tab of a browser of its own.
type page struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	troubles []string // what the page's console says of errors
}

// browse opens a tab in a fresh profile.
func browse(t *testing.T) *page {
	t.Helper()
	program := os.Getenv("CHROMIUM")
	if program == "" {
		found, err := exec.LookPath("chromium")
		if err != nil {
			t.Fatalf("there is no Chromium: %v: run `make test-tools`, or set CHROMIUM", err)
		}
		program = found
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("no-first-run", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-sync", true),
		chromedp.WSURLReadTimeout(patience))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, closeTab := chromedp.NewContext(allocator)
	t.Cleanup(closeTab)
	p := &page{t: t, ctx: ctx}
	if err := chromedp.Listen(ctx, p.hear); err != nil {
		t.Fatalf("starting Chromium: %v", err)
	}
	p.do(chromedp.EmulateViewport(1400, 1000))
	t.Cleanup(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, trouble := range p.troubles {
			t.Errorf("the page says: %s", trouble)
		}
	})
	return p
}

// hear notes errors of the page: exceptions, and what its policy keeps it from.
func (p *page) hear(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		trouble := fmt.Sprintf("%s:%d: %s", e.ExceptionDetails.URL, e.ExceptionDetails.LineNumber, e.ExceptionDetails.Text)
		if e.ExceptionDetails.Exception != nil {
			trouble += " " + e.ExceptionDetails.Exception.Description
		}
		p.troubles = append(p.troubles, trouble)
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError && e.Entry.Source == log.EntrySourceSecurity {
			p.troubles = append(p.troubles, e.Entry.Text)
		}
	}
}

// do runs steps.
func (p *page) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatalf("in the browser: %v", err)
	}
}

// open goes to an address.
func (p *page) open(url string) {
	p.t.Helper()
	p.do(chromedp.Navigate(url))
}

// texts gives the visible text of all elements that a CSS selector finds.
func (p *page) texts(selector string) []string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	found, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](fmt.Sprintf(`[...document.querySelectorAll(%q)].map((e) => e.innerText.trim())`, selector)))
	if err != nil {
		p.t.Fatalf("reading %s: %v", selector, err)
	}
	return found
}

// text is that of one element; empty where there is none.
func (p *page) text(selector string) string {
	p.t.Helper()
	return strings.Join(p.texts(selector), "\n")
}

// awaits waits until an element shows a text.
func (p *page) awaits(selector, text string) {
	p.t.Helper()
	p.eventually(selector+" shows "+text, func() bool { return strings.Contains(p.text(selector), text) }, func() string { return p.text(selector) })
}

func (p *page) eventually(what string, is func() bool, instead func() string) {
	p.t.Helper()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for deadline := time.Now().Add(patience); !is(); <-again.C {
		if time.Now().After(deadline) {
			p.t.Fatalf("%s: not within %s; it is %q", what, patience, instead())
		}
	}
}

// number evaluates an expression of the page.
func (p *page) number(expression string) float64 {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	n, err := chromedp.Run(ctx, chromedp.Evaluate[float64](expression))
	if err != nil {
		p.t.Fatalf("evaluating %s: %v", expression, err)
	}
	return n
}

// row is a table's row, by column, of which the first cell is as named.
func (p *page) row(table, name string) map[string]string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	rows, err := chromedp.Run(ctx, chromedp.Evaluate[[]map[string]string](fmt.Sprintf(
		`[...document.querySelectorAll("#%s tbody tr")].map((r) => Object.fromEntries([...r.cells].map((c, i) => [c.dataset.label || String(i), c.innerText.trim()])))`, table)))
	if err != nil {
		p.t.Fatalf("reading the table %s: %v", table, err)
	}
	for _, row := range rows {
		for _, value := range row {
			if value == name {
				return row
			}
		}
	}
	return nil
}

// scheme has the system be dark or light.
func (p *page) scheme(of string) {
	p.t.Helper()
	if _, err := chromedp.Call(p.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: of}},
	}); err != nil {
		p.t.Fatal(err)
	}
}

// shoot takes a picture, where somebody wants one.
func (p *page) shoot(name string) {
	p.t.Helper()
	dir := os.Getenv("DASHBOARD_SHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}
