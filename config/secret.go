package config

import (
	"encoding/base64"
	"fmt"
	"io"
)

// A Secret is a text that no print, log or encoding shows: fmt with any verb,
// JSON and YAML give <redacted>, or nothing for an empty one. Reveal is the one
// way to the text.
type Secret string

// Reveal gives the text itself.
func (s Secret) Reveal() string { return string(s) }

// Key gives the 32 bytes of a key that was checked, nil for an empty one.
func (s Secret) Key() []byte {
	key, err := base64.StdEncoding.DecodeString(string(s))
	if err != nil || len(key) == 0 {
		return nil
	}
	return key
}

// String gives the stand-in.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "<redacted>"
}

// Format gives the stand-in for every verb and flag, %#v, %q and %x too.
func (s Secret) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, s.String()) // fmt.State keeps its own errors
}

// MarshalText gives the stand-in to JSON, YAML and every other encoding that
// asks for a text.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
