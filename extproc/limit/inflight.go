package limit

import (
	"strconv"
	"sync"

	"tollgate/config"
	"tollgate/extproc/exchange"
)

// InFlight counts the calls that are under way in this process. The zero value counts none. Safe for
// use by many goroutines.
type InFlight struct {
	mu    sync.Mutex
	calls map[string]int
}

// Enter notes that a call begins, on its route and for its client, where the configuration bounds
// them. leave must be called once when it has ended; nil: there is no bound. Its error is an
// *exchange.Refusal, and then nothing is noted.
func (f *InFlight) Enter(route *config.Route, client *config.Client) (leave func(), err error) {
	var keys []string
	f.mu.Lock()
	defer f.mu.Unlock()
	if route.MaxInFlight > 0 {
		key := "route " + route.Prefix
		if f.calls[key] >= route.MaxInFlight {
			return nil, full("this route", route.MaxInFlight)
		}
		keys = append(keys, key)
	}
	if client != nil && client.MaxInFlight > 0 {
		key := "client " + client.Name
		if f.calls[key] >= client.MaxInFlight {
			return nil, full("this client", client.MaxInFlight)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, nil
	}
	if f.calls == nil {
		f.calls = map[string]int{}
	}
	for _, key := range keys {
		f.calls[key]++
	}
	return func() { f.leave(keys) }, nil
}

func (f *InFlight) leave(keys []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, key := range keys {
		f.calls[key]--
		if f.calls[key] == 0 {
			delete(f.calls, key)
		}
	}
}

func full(whose string, most int) *exchange.Refusal {
	return &exchange.Refusal{
		Status: 429, Type: "requests", Code: "too_many_in_flight",
		Message: "Tollgate: " + whose + " may have " + strconv.Itoa(most) + " calls under way at once, and has. Come back when one has ended.",
		Headers: []exchange.Header{{Name: "retry-after", Value: "1"}},
	}
}
