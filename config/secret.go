package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
)

// redacted is what every way of printing a Secret prints.
const redacted = "[secret]"

// Secret is a key that cannot be printed: fmt, encoding/json, YAML and zap all show "[secret]".
// Only [Secret.Reveal] gives the key, so a search for that name finds every place that handles it.
// Compare secrets by [reflect.DeepEqual], not by ==.
type Secret struct {
	// A pointer, because fmt calls no methods on what stands in unexported fields: it would print
	// a string there, and does not follow a pointer to one.
	value *string
}

// NewSecret wraps a key.
func NewSecret(value string) Secret { return Secret{value: &value} }

// Reveal returns the key itself: for the one header that carries it, nothing else.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// Fingerprint names a key in logs without telling it: the first 8 hex digits of its SHA-256.
func (s Secret) Fingerprint() string {
	digest := sha256.Sum256([]byte(s.Reveal()))
	return hex.EncodeToString(digest[:4])
}

// Format implements fmt.Formatter for all verbs.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// String implements fmt.Stringer.
func (s Secret) String() string { return redacted }

// MarshalText implements encoding.TextMarshaler.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
