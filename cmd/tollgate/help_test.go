package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every verb says what it does and shows how, with verbs and flags that there are.
func TestHelp(t *testing.T) {
	t.Parallel()
	examples := 0
	each(root(), func(c *cobra.Command) {
		assert.NotEmpty(t, c.Short, c.CommandPath())
		for line := range strings.Lines(c.Example) {
			if !strings.HasPrefix(strings.TrimSpace(line), "tollgate ") && !strings.Contains(line, " tollgate ") {
				continue
			}
			_, line, _ = strings.Cut(line, "tollgate ")
			words := strings.Fields(regexp.MustCompile(`[|>#&].*`).ReplaceAllString(line, ""))
			named, rest, err := root().Find(words)
			require.NoError(t, err, line)
			require.NoError(t, named.ParseFlags(rest), line)
			examples++
		}
		if c.Runnable() && !c.HasParent() {
			return
		}
		plain := map[string]bool{"tollgate version": true, "tollgate schema": true} // which take nothing
		if c.Runnable() && !plain[c.CommandPath()] && !c.Parent().HasParent() {
			assert.NotEmpty(t, c.Example, c.CommandPath())
		}
	})
	require.Greater(t, examples, 20)
}

func each(c *cobra.Command, do func(*cobra.Command)) {
	do(c)
	for _, sub := range c.Commands() {
		each(sub, do)
	}
}
