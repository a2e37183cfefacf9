package money

import (
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAmounts(t *testing.T) {
	for text, want := range map[string]string{
		"0": "0.00 USD", "20": "20.00 USD", "2.5": "2.50 USD", "0.000015": "0.000015 USD", "0.000000001": "0.000000001 USD",
		"007.10": "7.10 USD", "18446744073.709551615": "18446744073.709551615 USD",
	} {
		amount, err := Parse(text)
		require.NoError(t, err, text)
		require.Equal(t, want, amount.String())
	}
	for text, want := range map[string]string{
		"":                      `"" is not a decimal such as 2.50`,
		".5":                    `".5" is not a decimal such as 2.50`,
		"5.":                    `"5." is not a decimal such as 2.50`,
		"-1":                    `"-1" is not a decimal such as 2.50`,
		"1e3":                   `"1e3" is not a decimal such as 2.50`,
		"0.0000000001":          `0.0000000001 has more than 9 decimals`,
		"18446744073.709551616": `18446744073.709551616 is too large`,
	} {
		_, err := Parse(text)
		require.EqualError(t, err, want)
	}
}

// What a list of prices says by hand.
func TestCost(t *testing.T) {
	price := Price{Input: 2_500_000, Cached: 1_250_000, Output: 10_000_000} // 2.50, 1.25 and 10.00 a million
	require.Equal(t, "12.50 USD", price.Of(Tokens{Input: 1_000_000, Output: 1_000_000}).String())
	require.Equal(t, "1.875 USD", price.Of(Tokens{Input: 1_000_000, Cached: 500_000}).String())
	require.Equal(t, "1.25 USD", price.Of(Tokens{Input: 1_000_000, Cached: 5_000_000}).String(), "there are no more cached ones than there are")
	require.Equal(t, Amount(1), Price{Input: 1}.Of(Tokens{Input: 1}), "a pico-dollar is rounded up")
	require.Equal(t, Amount(1), Price{Input: 1}.Of(Tokens{Input: 1000}))
	require.Equal(t, "0.04 USD", Price{Request: 40_000_000}.Of(Tokens{}).String())
	require.Equal(t, ^Amount(0), Price{Input: math.MaxUint64}.Of(Tokens{Input: math.MaxUint64}))
	require.Equal(t, Price{2, 3, 4, 5}, Price{2, 1, 4, 1}.Dearest(Price{1, 3, 1, 5}))
}

// FuzzCost: the sum is exact, or the largest amount there is.
func FuzzCost(f *testing.F) {
	f.Add(uint64(12), uint64(3), uint64(34), uint64(2_500_000), uint64(1_250_000), uint64(10_000_000), uint64(7))
	f.Add(uint64(math.MaxUint64), uint64(3), uint64(math.MaxUint64), uint64(math.MaxUint64), uint64(1), uint64(math.MaxUint64), uint64(math.MaxUint64))
	f.Fuzz(func(t *testing.T, in, cached, out, perIn, perCached, perOut, request uint64) {
		big := func(n uint64) *big.Int { return new(big.Int).SetUint64(n) }
		of := min(cached, in)
		want := big(0)
		for _, part := range [][2]uint64{{in - of, perIn}, {of, perCached}, {out, perOut}} {
			product := big(part[0])
			want.Add(want, product.Mul(product, big(part[1])))
		}
		want.Add(want, big(999)).Div(want, big(1000)).Add(want, big(request))
		got := Price{perIn, perCached, perOut, Amount(request)}.Of(Tokens{in, cached, out})
		if !want.IsUint64() {
			require.Equal(t, ^Amount(0), got)
			return
		}
		require.Equal(t, want.Uint64(), uint64(got))
	})
}

// FuzzParse: what can be read is written so that it means the same.
func FuzzParse(f *testing.F) {
	f.Add("2.50")
	f.Fuzz(func(t *testing.T, text string) {
		amount, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(amount.Decimal())
		require.NoError(t, err)
		require.Equal(t, amount, again)
	})
}
