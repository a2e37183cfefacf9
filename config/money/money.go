// Package money counts US dollars in whole numbers: amounts in nano-dollars, prices of tokens in
// pico-dollars (a dollar for a million tokens is a million of them). Nothing is rounded but the cost of a
// call, once, up to the next nano-dollar. No number is a float.
package money

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// Amount is a number of nano-dollars.
type Amount uint64

// Dollar is one.
const Dollar Amount = 1_000_000_000

// digits is how many decimals an amount has.
const digits = 9

// String gives dollars with two decimals, or with as many as it takes: 2.50 USD, 0.000015 USD.
func (a Amount) String() string { return a.Decimal() + " USD" }

// Decimal is String without the currency.
func (a Amount) Decimal() string {
	fraction := strings.TrimRight(fmt.Sprintf("%09d", uint64(a%Dollar)), "0")
	for len(fraction) < 2 {
		fraction += "0"
	}
	return strconv.FormatUint(uint64(a/Dollar), 10) + "." + fraction
}

// Dollars is the nearest float, for who shows it; nobody may add these up.
func (a Amount) Dollars() float64 { return float64(a) / float64(Dollar) }

// ParseDecimal reads a decimal such as 2.50 as a whole number of its last decimal: with 2 decimals that is
// 250. It is an error if there are more decimals, or if it does not fit.
func ParseDecimal(text string, decimals int) (uint64, error) {
	whole, fraction, point := strings.Cut(text, ".")
	if whole == "" || point && fraction == "" || strings.Trim(whole+fraction, "0123456789") != "" {
		return 0, fmt.Errorf("%q is not a decimal such as 2.50", text)
	}
	fraction = strings.TrimRight(fraction, "0")
	if len(fraction) > decimals {
		return 0, fmt.Errorf("%s has more than %d decimals", text, decimals)
	}
	n, err := strconv.ParseUint(whole+fraction+strings.Repeat("0", decimals-len(fraction)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s is too large", text)
	}
	return n, nil
}

// Parse reads an amount of dollars: 20, 2.50.
func Parse(text string) (Amount, error) {
	n, err := ParseDecimal(text, digits)
	return Amount(n), err
}

// Price is what a model costs. The zero value is free.
type Price struct {
	Input, Cached, Output uint64 // pico-dollars a token; cached ones are a part of the input
	Request               Amount // for each request, beside its tokens
}

// Tokens are those of a call. Cached ones are part of the input.
type Tokens struct{ Input, Cached, Output uint64 }

// Of is what tokens cost, rounded up to a whole nano-dollar. It is the largest amount there is where it does
// not fit.
func (p Price) Of(t Tokens) Amount {
	cached := min(t.Cached, t.Input)
	var sum sum
	sum.add(t.Input-cached, p.Input)
	sum.add(cached, p.Cached)
	sum.add(t.Output, p.Output)
	return sum.nano(p.Request)
}

// Dearest takes the larger of each part of two prices.
func (p Price) Dearest(other Price) Price {
	return Price{
		Input: max(p.Input, other.Input), Cached: max(p.Cached, other.Cached), Output: max(p.Output, other.Output),
		Request: max(p.Request, other.Request),
	}
}

// sum is a number of pico-dollars, of 128 bits.
type sum struct {
	high, low uint64
	over      bool
}

func (s *sum) add(tokens, each uint64) {
	high, low := bits.Mul64(tokens, each)
	var carry, over uint64
	s.low, carry = bits.Add64(s.low, low, 0)
	s.high, over = bits.Add64(s.high, high, carry)
	s.over = s.over || over > 0
}

// nano gives the sum and an amount together.
func (s *sum) nano(more Amount) Amount {
	const most, pico = ^Amount(0), 1000
	low, carry := bits.Add64(s.low, pico-1, 0)
	high, over := bits.Add64(s.high, 0, carry)
	if s.over || over > 0 || high >= pico {
		return most
	}
	nano, _ := bits.Div64(high, low, pico)
	total, carry := bits.Add64(nano, uint64(more), 0)
	if carry > 0 {
		return most
	}
	return Amount(total)
}
