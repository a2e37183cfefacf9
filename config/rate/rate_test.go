package rate

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseNone(t *testing.T) {
	for _, text := range []string{"inf", "INF", " Inf\n"} {
		rates, err := Parse(text)
		require.NoError(t, err)
		require.Nil(t, rates)
	}
	require.Equal(t, "inf", Format(nil))
}

func TestParseErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                       `column 1: expected a rate such as 100/minute, not the end`,
		"lots":                   `column 1: expected a rate such as 100/minute, or inf, not "lots"`,
		"inf;1/day":              `column 1: expected a rate such as 100/minute, or inf, not "inf"`,
		"1/day;inf":              `column 7: expected a rate such as 100/minute, not "inf"`,
		"100":                    `column 4: expected "/" or "per" and a time, as in /minute, not the end`,
		"100 minute":             `column 5: expected "/" or "per" and a time, as in /minute, not "minute"`,
		"100/":                   `column 5: expected second, minute, hour, day, month or year, not the end`,
		"100/fortnight":          `column 5: expected second, minute, hour, day, month or year, not "fortnight"`,
		"100/minute 200/hour":    `column 12: expected ";" and another rate, or the end, not "2"`,
		"1/minute;;2/hour":       `column 10: expected a rate such as 100/minute, not ";"`,
		"1/minute;":              `column 10: expected a rate such as 100/minute, not the end`,
		"0/minute":               `column 1: 0 is not a rate: 1 is the least`,
		"1/0 minutes":            `column 3: 0 is not a rate: 1 is the least`,
		"1/day, 1/11years":       `column 10: a window can be 10 years long at most`,
		"1/999999999999seconds":  `column 3: 999999999999 is too large: 311040000 is the most`,
		"99999999999999999999/s": `column 1: 99999999999999999999 is too large: 1000000000000000 is the most`,
		"é/minute":               `column 1: expected a rate such as 100/minute, or inf, not "é"`,
	} {
		rates, err := Parse(text)
		require.EqualError(t, err, want, text)
		require.Nil(t, rates)
	}
}

func TestString(t *testing.T) {
	for want, rate := range map[string]Rate{
		"1/second":   {1, time.Second},
		"5/2minutes": {5, 2 * time.Minute},
		"5/61seconds": {
			5, 61 * time.Second,
		},
		"7/hour":    {7, time.Hour},
		"7/day":     {7, 24 * time.Hour},
		"7/month":   {7, 30 * 24 * time.Hour},
		"7/year":    {7, 360 * 24 * time.Hour},
		"7/10years": {7, MaxWindow},
	} {
		require.Equal(t, want, rate.String())
	}
}

// The golden file holds what Python's library makes of each text.
func TestAsPython(t *testing.T) {
	golden, err := os.ReadFile("testdata/limits-5.8.0.tsv")
	require.NoError(t, err)

	lines := 0
	for line := range strings.Lines(string(golden)) {
		quoted, want, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if !ok {
			continue // a comment
		}
		text, err := strconv.Unquote(quoted)
		require.NoError(t, err, quoted)
		if text == "inf" {
			continue // ours
		}
		require.Equal(t, want, asPython(text), quoted)
		lines++
	}
	require.Greater(t, lines, 30)
}

func asPython(text string) string {
	rates, err := Parse(text)
	if err != nil {
		return "error"
	}
	var parts []string
	for _, r := range rates {
		parts = append(parts, strconv.FormatUint(r.Count, 10)+"@"+strconv.Itoa(int(r.Window/time.Second)))
	}
	return strings.Join(parts, " ")
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"100/minute", "100/2minutes", "60/minute;600/hour", "10 per 2 hours", "inf", "1/x", "1/day|2/MONTHS,3 per year"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rates, err := Parse(text)
		if err != nil {
			require.Regexp(t, `^column [1-9][0-9]*: `, err.Error())
			return
		}
		again, err := Parse(Format(rates))
		require.NoError(t, err)
		require.Equal(t, rates, again)
		require.Equal(t, Format(rates), Format(again))
	})
}

func TestParseCost(t *testing.T) {
	rates, err := ParseCost("20 USD/month; 0.50usd per 2 hours")
	require.NoError(t, err)
	require.Equal(t, []Rate{{20_000_000_000, 30 * 24 * time.Hour}, {500_000_000, 2 * time.Hour}}, rates)
	require.Equal(t, "20.00 USD/month;0.50 USD/2hours", FormatCost(rates))
	for text, want := range map[string]string{
		"":                      `column 1: expected an amount such as 20 USD/month, not the end`,
		"lots":                  `column 1: expected an amount such as 20 USD/month, not "lots"`,
		"$20/month":             `column 1: expected an amount such as 20 USD/month, not "$"`,
		"20/month":              `column 3: expected USD, the only currency, not "/"`,
		"20 EUR/month":          `column 4: expected USD, the only currency, not "EUR"`,
		"0.00 USD/day":          `column 1: 0 USD is no budget: models says what a client may not ask for`,
		"1.2.3 USD/day":         `column 1: "1.2.3" is not a decimal such as 2.50`,
		"0.0000000001 USD/day":  `column 1: 0.0000000001 has more than 9 decimals`,
		"1000000.01 USD/month":  `column 1: 1000000.01 USD is too large: 1000000.00 USD is the most`,
		"20 USD":                `column 7: expected "/" or "per" and a time, as in /minute, not the end`,
		"1 USD/day, 2/day":      `column 13: expected USD, the only currency, not "/"`,
		"1 USD/day; 1 USD/11yr": `column 20: expected second, minute, hour, day, month or year, not "yr"`,
	} {
		_, err := ParseCost(text)
		require.EqualError(t, err, want, text)
	}
}

func FuzzParseCost(f *testing.F) {
	for _, text := range []string{"20 USD/month", "0.50 USD per 2 hours;5 usd/day", "inf", "1 USD/x"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rates, err := ParseCost(text)
		if err != nil {
			require.Regexp(t, `^column [1-9][0-9]*: `, err.Error())
			return
		}
		again, err := ParseCost(FormatCost(rates))
		require.NoError(t, err)
		require.Equal(t, rates, again)
	})
}
