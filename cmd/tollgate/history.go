package main

import (
	"slices"
	"strings"
	"sync"
	"time"

	"tollgate/cmd/tollgate/dashboard"
	"tollgate/config"
)

const (
	// remembered is how many configurations the dashboard tells of, and changedLines how many lines that a
	// new one has changed.
	remembered, changedLines = 50, 60
)

// history is the configurations that were read, for operators.
type history struct {
	mu   sync.Mutex
	text string // of the one in force
	read []dashboard.Reloading
}

// took notes that a configuration is in force. Its text takes a while where it is large, for which only who asks for
// the history waits.
func (h *history) took(c *config.Config, version string) {
	entry := dashboard.Reloading{At: time.Now(), From: c.Source, Version: version}
	h.mu.Lock()
	go func() {
		defer h.mu.Unlock()
		text := c.Text()
		if h.text != "" {
			entry.Changed = changed(h.text, text)
		}
		h.text = text
		h.add(entry)
	}()
}

// turnedDown notes that one is not. What is wrong with it holds no key.
func (h *history) turnedDown(from string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.add(dashboard.Reloading{At: time.Now(), From: from, Error: err.Error()})
}

func (h *history) add(entry dashboard.Reloading) {
	h.read = slices.Insert(h.read, 0, entry)
	h.read = h.read[:min(len(h.read), remembered)]
}

// show gives what is in force, and all that was read, newest first.
func (h *history) show() dashboard.Configuration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return dashboard.Configuration{Text: h.text, History: slices.Clone(h.read)}
}

// failed is the last one that was read, if it is not in force.
func (h *history) failed() *dashboard.Reloading {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.read) == 0 || h.read[0].Error == "" {
		return nil
	}
	last := h.read[0]
	return &last
}

// changed lists the lines that went, and those that came.
func changed(before, after string) []string {
	var lines []string
	counts := map[string]int{}
	for line := range strings.Lines(after) {
		counts[line]++
	}
	for line := range strings.Lines(before) {
		if counts[line]--; counts[line] < 0 {
			lines = append(lines, "- "+strings.TrimRight(line, "\n"))
		}
	}
	clear(counts)
	for line := range strings.Lines(before) {
		counts[line]++
	}
	for line := range strings.Lines(after) {
		if counts[line]--; counts[line] < 0 {
			lines = append(lines, "+ "+strings.TrimRight(line, "\n"))
		}
	}
	if len(lines) > changedLines {
		lines = append(lines[:changedLines], "…")
	}
	return lines
}
