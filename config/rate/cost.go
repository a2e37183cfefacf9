package rate

import (
	"strings"

	"tollgate/config/money"
)

// MaxCost is the largest amount of a rate: a million dollars.
const MaxCost = money.Amount(MaxCount)

// ParseCost reads rates of money, in the notation of [Parse] with dollars in the place of the number:
// "20 USD/month", "0.50 USD per 2 hours; 5 USD/day". Their counts are nano-dollars.
func ParseCost(text string) ([]Rate, error) {
	return parse(text, parser{text: []rune(text), money: true})
}

// FormatCost is what [ParseCost] reads.
func FormatCost(rates []Rate) string { return format(rates, Rate.CostString) }

// CostString returns a rate of money in the notation, as "20.00 USD/month".
func (r Rate) CostString() string { return money.Amount(r.Count).String() + "/" + r.per() }

// amount reads "20 USD" before "/" or "per".
func (p *parser) amount() (uint64, error) {
	p.space()
	start := p.at
	for isDigit(p.peek()) || p.peek() == '.' {
		p.at++
	}
	if p.at == start {
		return 0, p.wrong(p.at, "expected an amount such as 20 USD/month, not %s", p.found())
	}
	amount, err := money.Parse(string(p.text[start:p.at]))
	switch {
	case err != nil:
		return 0, p.wrong(start, "%s", err)
	case amount == 0:
		return 0, p.wrong(start, "0 USD is no budget: models says what a client may not ask for")
	case amount > MaxCost:
		return 0, p.wrong(start, "%s is too large: %s is the most", amount, MaxCost)
	}
	p.space()
	const currency = "USD"
	if end := p.at + len(currency); end <= len(p.text) && strings.EqualFold(string(p.text[p.at:end]), currency) {
		p.at = end
		return uint64(amount), nil
	}
	return 0, p.wrong(p.at, "expected USD, the only currency, not %s", p.found())
}
