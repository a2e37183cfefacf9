package usage

import (
	"strings"
	"sync"
	"unicode/utf8"

	"tollgate/extproc/openai"
)

const (
	// maxValues bounds the values of one label.
	maxValues = 200

	// maxSets bounds the sets of labels: 200 models for 200 clients would be 40,000 of them.
	maxSets = 2000

	// maxLength bounds a value. No model has a name as long as this.
	maxLength = 100
)

// values are those that a label has had. Safe for use by many goroutines.
type values struct {
	mu   sync.RWMutex
	seen map[string]string // to itself, so that what a caller holds on to is our copy
}

func newValues() *values { return &values{seen: map[string]string{}} }

// label gives the value's label: itself, or other. An unknown value is let in only if new ones may
// come and there is room.
func (v *values) label(value string, mayBeNew bool) string {
	v.mu.RLock()
	known, ok := v.seen[value]
	v.mu.RUnlock()
	switch {
	case ok:
		return known
	case value == "":
		return none
	case !mayBeNew || len(value) > maxLength || !utf8.ValidString(value):
		return other
	default:
		return v.add(value)
	}
}

func (v *values) add(value string) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	if known, ok := v.seen[value]; ok {
		return known
	}
	if len(v.seen) >= maxValues {
		return other
	}
	value = strings.Clone(value) // it may be a piece of a large body
	v.seen[value] = value
	return value
}

// labels are what calls are counted by.
type labels struct {
	route, model, client string
	api                  openai.API
}

// series finds the series of labels, and makes them where they are new.
func (m *Metrics) series(l labels) *series {
	if s := m.known(l); s != nil {
		return s
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.sets) >= maxSets {
		// Routes times APIs are all that remains, so this ends.
		l.model, l.client = other, other
	}
	s := m.sets[l]
	if s == nil {
		s = m.calls.series(l)
		m.sets[l] = s
	}
	return s
}

func (m *Metrics) known(l labels) *series {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.sets[l]
}
