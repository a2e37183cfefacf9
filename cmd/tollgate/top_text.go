package main

import (
	"strconv"
	"strings"
	"unicode"

	"tollgate/cmd/tollgate/dashboard"
)

// sum is of the last seconds.
type sum struct{ requests, tokens, refused, hits, first50, first99 float64 }

func lastOf(points []dashboard.Point, seconds int) sum {
	var of sum
	streams := 0.0
	for _, p := range points[max(0, len(points)-seconds):] {
		of.requests += float64(p.Requests)
		of.tokens += float64(p.Input + p.Output)
		of.refused += float64(p.Refused)
		of.hits += float64(p.Hits)
		of.first50 += p.First50 * float64(p.First)
		of.first99 = max(of.first99, p.First99)
		streams += float64(p.First)
	}
	if streams > 0 {
		of.first50 /= streams
	}
	return of
}

// sparks draws the last points as bars.
func sparks(points []dashboard.Point, width int, of func(dashboard.Point) float64) string {
	levels := []rune(" ▁▂▃▄▅▆▇█")
	points = points[max(0, len(points)-width):]
	most := 0.0
	for _, p := range points {
		most = max(most, of(p))
	}
	bars := []rune(strings.Repeat(" ", width-len(points)))
	for _, p := range points {
		level := 0
		if most > 0 && of(p) > 0 {
			level = 1 + int(of(p)/most*float64(len(levels)-2))
		}
		bars = append(bars, levels[level])
	}
	return string(bars)
}

func number(n float64) string {
	if n > 0 && n < 10 {
		return strconv.FormatFloat(n, 'f', 1, 64)
	}
	return strconv.FormatFloat(n, 'f', 0, 64)
}

func milliseconds(ms float64) string {
	if ms == 0 {
		return "-"
	}
	return number(ms) + " ms"
}

func percent(part, of uint64) string {
	if of == 0 {
		return "0%"
	}
	return strconv.FormatFloat(100*float64(part)/float64(of), 'f', 0, 64) + "%"
}

// harmlessText is a text that a terminal shows and does not obey: clients choose what models are called.
func harmlessText(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, text)
}

// clip cuts a text at a number of columns; sequences that colour take none.
func clip(text string, width int) string {
	columns, escape := 0, false
	for i, r := range text {
		switch {
		case r == '\x1b':
			escape = true
		case escape:
			escape = r != 'm'
		default:
			if columns++; columns > width {
				return text[:i] + plainIf(strings.Contains(text[:i], "\x1b"))
			}
		}
	}
	return text
}

func plainIf(coloured bool) string {
	if coloured {
		return plain
	}
	return ""
}
