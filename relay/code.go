package relay

import (
	"crypto/rand"
	"strings"
	"unicode"
)

// A code is read off a screen and typed into a phone: it has no 0 and O, no 1
// and I. Its letters are a power of two, so that a random byte maps to each of
// them equally often.
const (
	codeLetters = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
	codeLength  = 6
)

// NewCode makes the code of an invitation: six characters, each of the 32^6
// codes equally likely.
func NewCode() string {
	var code [codeLength]byte
	_, _ = rand.Read(code[:]) // never fails: it ends the program instead
	for i, b := range code {
		code[i] = codeLetters[int(b)%len(codeLetters)]
	}
	return string(code[:])
}

// NormalizeCode reads a code as people type it: in small letters, in full-width
// ones, with spaces or dashes. It reports whether the text is a code at all.
func NormalizeCode(text string) (string, bool) {
	code := strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r) || unicode.Is(unicode.Pd, r):
			return -1
		case '！' <= r && r <= '～': // the full-width forms of ! to ~
			r -= '！' - '!'
		}
		if 'a' <= r && r <= 'z' {
			r -= 'a' - 'A'
		}
		return r
	}, text)
	if len(code) != codeLength || strings.Trim(code, codeLetters) != "" {
		return "", false
	}
	return code, true
}
