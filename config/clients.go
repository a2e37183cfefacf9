package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

func (r *resolver) clients() {
	names := map[string]bool{}
	for i, m := range r.message.GetClients() {
		field := fmt.Sprintf("clients[%d]", i)
		if names[m.GetName()] {
			r.problem(field+".name", "a second client called %q", m.GetName())
		}
		names[m.GetName()] = true
		client := &Client{
			Name:        m.GetName(),
			Models:      m.GetModels(),
			Limits:      r.limits(field+".limits", m.GetLimits()),
			MaxInFlight: int(m.GetMaxInFlight()),
		}
		for j, l := range client.Limits {
			if l.Per != PerClient && l.Per != PerModel {
				r.problem(fmt.Sprintf("%s.limits[%d].per", field, j), "a client's own limits are per client or per model: write others at a route")
			}
			if len(l.Clients) > 0 {
				r.problem(fmt.Sprintf("%s.limits[%d].clients", field, j), "a client's own limits are its own: write this one at a route")
			}
		}
		r.config.Clients = append(r.config.Clients, client)
		for j, key := range m.GetKeys() {
			r.clientKey(fmt.Sprintf("%s.keys[%d]", field, j), key, client)
		}
	}
}

func (r *resolver) clientKey(field, written string, client *Client) {
	var digest Digest
	if encoded, ok := strings.CutPrefix(written, "sha256:"); ok {
		decoded, err := hex.DecodeString(encoded)
		if err != nil || len(decoded) != len(digest) {
			r.problem(field, "sha256: must be followed by the 64 hex digits of the key's SHA-256")
			return
		}
		copy(digest[:], decoded)
	} else {
		digest = sha256.Sum256([]byte(r.secret(field, written).Reveal()))
	}
	if owner, taken := r.config.clients[digest]; taken {
		r.problem(field, "the key of client %q already: a key must tell who calls", owner.Name)
	}
	r.config.clients[digest] = client
}
