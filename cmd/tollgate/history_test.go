package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tollgate/config"
)

func TestHistory(t *testing.T) {
	t.Parallel()
	h := &history{}
	h.took(&config.Config{Source: "a.yaml", Text: text("a\nb\nb\n")}, "1")
	h.took(&config.Config{Source: "a.yaml", Text: text("a\nb\nc\n")}, "2")
	require.Nil(t, h.failed())
	h.turnedDown("a.yaml", errors.New("no"))
	require.Equal(t, "no", h.failed().Error)
	shown := h.show()
	require.Equal(t, "a\nb\nc\n", shown.Text)
	require.Equal(t, []string{"- b", "+ c"}, shown.History[1].Changed)
	require.Empty(t, shown.History[2].Changed)
	for range 2 * remembered {
		h.took(&config.Config{Text: text(strings.Repeat("x\n", 2*changedLines))}, "3")
		h.took(&config.Config{Text: text("y")}, "4")
	}
	require.Len(t, h.show().History, remembered)
	require.Len(t, h.show().History[0].Changed, changedLines+1)
}

func text(of string) func() string { return func() string { return of } }
