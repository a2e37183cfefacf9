package auth

import (
	"sync"
	"time"

	"tollgate/config"
)

// Key is an upstream's key, and what logs and metrics call it.
type Key struct {
	config.Secret

	Fingerprint string
}

// Keys is an upstream's keys, taking turns. One that the upstream turned down rests, and the others take
// its turns. Safe for use by many goroutines.
//
// A rest is a preference and refuses nobody. Where all keys rest, the one that rests the shortest is used:
// the upstream knows better than a guess made of an answer to somebody else. And where all are set aside,
// none is: it is rather the requests that are turned down then, which any client could bring about.
type Keys struct {
	mu   sync.Mutex
	keys []ringKey
	last int // whose turn was the last
}

type ringKey struct {
	Key

	rests time.Time // it is to rest until then: it was used too much
	aside time.Time // it is set aside until then: it is not taken at all
}

// Resting is a key, and how it rests.
type Resting struct {
	Fingerprint string
	Rest        // For is 0: it does not
}

// NewKeys returns a ring of the keys, which may be none.
func NewKeys(secrets []config.Secret) *Keys {
	k := &Keys{keys: make([]ringKey, len(secrets)), last: -1}
	for i, secret := range secrets {
		k.keys[i].Key = Key{secret, secret.Fingerprint()}
	}
	return k
}

// Next returns the key whose turn it is; false where the upstream has none.
func (k *Keys) Next(now time.Time) (Key, bool) {
	if len(k.keys) == 0 {
		return Key{}, false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.last = k.turn(now, "")
	return k.keys[k.last].Key, true
}

// Again returns the key for another attempt after one that failed: the next that does not rest, and the
// same only where no other is left. Where all rest, it tells for how long, and false.
func (k *Keys) Again(now time.Time, fingerprint string) (key Key, wait time.Duration, ok bool) {
	if len(k.keys) == 0 {
		return Key{}, 0, false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	turn := k.turn(now, fingerprint)
	if wait := k.keys[turn].rests.Sub(now); wait > 0 {
		return Key{}, wait, false
	}
	k.last = turn
	return k.keys[turn].Key, 0, true
}

// turn finds whose turn it is: the first after the last that does not rest, else the one that rests the
// shortest. One key comes last among its like.
func (k *Keys) turn(now time.Time, last string) int {
	all, best := k.allAside(now), -1
	later := func(i, j int) bool { // whether j is better than i
		a, b := &k.keys[i], &k.keys[j]
		if a.rests.After(now) || b.rests.After(now) {
			return b.rests.Before(a.rests)
		}
		return a.Fingerprint == last
	}
	for n := range k.keys {
		i := (k.last + 1 + n) % len(k.keys)
		if k.keys[i].aside.After(now) && !all {
			continue
		}
		if best < 0 || later(best, i) {
			best = i
		}
	}
	return best
}

func (k *Keys) allAside(now time.Time) bool {
	for i := range k.keys {
		if !k.keys[i].aside.After(now) {
			return false
		}
	}
	return true
}

// Rest has a key rest, and tells whether it did not do so already.
func (k *Keys) Rest(fingerprint string, now time.Time, rest Rest) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range k.keys {
		key := &k.keys[i]
		if key.Fingerprint != fingerprint {
			continue
		}
		until, kind := now.Add(rest.For), &key.rests
		if rest.Aside {
			kind = &key.aside
		}
		news := rest.For > 0 && !kind.After(now)
		if until.After(*kind) {
			*kind = until
		}
		return news
	}
	return false
}

// Ready tells whether there is a key that does not rest.
func (k *Keys) Ready(now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range k.keys {
		if !k.keys[i].rests.After(now) && !k.keys[i].aside.After(now) {
			return true
		}
	}
	return false
}

// Resting tells of all keys how long they still rest.
func (k *Keys) Resting(now time.Time) []Resting {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := make([]Resting, len(k.keys))
	for i := range k.keys {
		key := &k.keys[i]
		rests, aside := max(0, key.rests.Sub(now)), max(0, key.aside.Sub(now))
		all[i] = Resting{key.Fingerprint, Rest{For: max(rests, aside), Aside: aside > rests}}
	}
	return all
}
