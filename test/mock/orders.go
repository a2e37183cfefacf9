package mock

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Where mock-break cuts.
const (
	breakReset   = "reset"
	breakHeaders = "after-headers"
	breakBody    = "mid-body"
	breakEvent   = "mid-event"
)

const (
	longestWait = 10 * time.Minute
	mostEvents  = 100_000
	mostBytes   = 1 << 34
)

// orders is what a request's mock- headers ask for.
type orders struct {
	status                 int // 0: the usual
	delay, interval, stall time.Duration
	events                 int   // 0: as many as the text has words
	size                   int64 // -1: the usual
	cut                    string
	garble                 string
	words                  string // the answer's; "": made of what was asked
	step                   string
	gzip                   bool
	times                  string // a name, for which the orders hold so many times
	most                   int64
	forKey                 string // hold only for who shows this key; "": for all
	header, trailers       http.Header
}

// parseOrders reads the mock- headers.
func parseOrders(h http.Header) (orders, error) {
	o := orders{size: -1, header: make(http.Header), trailers: make(http.Header)}
	var names []string
	for name := range h {
		if strings.HasPrefix(strings.ToLower(name), "mock-") {
			names = append(names, strings.ToLower(name))
		}
	}
	slices.Sort(names) // so that the same mistake is named each time
	for _, name := range names {
		for _, value := range h.Values(name) {
			if err := o.set(name, value); err != nil {
				return orders{}, fmt.Errorf("%s: %q %w", name, value, err)
			}
		}
	}
	return o, nil
}

// set takes one header. Its errors continue a sentence that begins with the value.
func (o *orders) set(name, value string) (err error) {
	switch name {
	case "mock-status":
		var status int64
		status, err = number(value, 200, 599)
		o.status = int(status)
	case "mock-delay":
		o.delay, err = duration(value)
	case "mock-interval":
		o.interval, err = duration(value)
	case "mock-stall":
		o.stall, err = duration(value)
	case "mock-events":
		var events int64
		events, err = number(value, 1, mostEvents)
		o.events = int(events)
	case "mock-size":
		o.size, err = number(value, 0, mostBytes)
	case "mock-break":
		o.cut, err = oneOf(value, breakHeaders, breakBody, breakEvent, breakReset)
	case "mock-garble":
		o.garble, err = oneOf(value, garbleNotHTTP, garbleChunk, garbleTooLong, garbleTooShort, garbleHalf, garbleNoise)
	case "mock-words":
		o.words = value
	case "mock-step":
		o.step = value
	case "mock-times":
		name, times, _ := strings.Cut(value, " ")
		o.times = name
		o.most, err = number(times, 1, mostEvents)
	case "mock-for-key":
		o.forKey = value
	case "mock-encoding":
		_, err = oneOf(value, "gzip")
		o.gzip = true
	case "mock-header":
		err = addPair(o.header, value)
	case "mock-trailers":
		err = addPair(o.trailers, value)
	default:
		err = errors.New("is for a header that the mock does not know")
	}
	return err
}

func number(value string, from, to int64) (int64, error) {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < from || n > to {
		return 0, fmt.Errorf("must be a whole number from %d to %d", from, to)
	}
	return n, nil
}

func duration(value string) (time.Duration, error) {
	d, err := time.ParseDuration(value)
	if err != nil || d < 0 || d > longestWait {
		return 0, fmt.Errorf("must be a duration from 0s to %s, for example 200ms", longestWait)
	}
	return d, nil
}

func oneOf(value string, choices ...string) (string, error) {
	if !slices.Contains(choices, value) {
		return "", fmt.Errorf("must be %s", strings.Join(choices, ", "))
	}
	return value, nil
}

// addPair adds "Name: value".
func addPair(h http.Header, pair string) error {
	name, value, ok := strings.Cut(pair, ":")
	name = strings.TrimSpace(name)
	if !ok || name == "" || strings.ContainsAny(name, " \t\"(),/;<=>?@[\\]{}") {
		return errors.New("must be written Name: value")
	}
	h.Add(name, strings.TrimSpace(value))
	return nil
}
