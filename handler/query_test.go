package handler

import (
	"strings"
	"testing"
)

// The short way through a query leads where net/url does.
func FuzzQuery(f *testing.F) {
	for _, raw := range []string{
		"", "&&", "signature=1&timestamp=2&nonce=3&openid=o&encrypt_type=aes&msg_signature=4&echostr=5",
		"signature=&signature=1", "nonce=1&nonce=2", "nonce=1&nonce=", "a=1&a=2&&nonce=3", "signature&signature=1", "=1&nonce==2=", "nonce=%31", "nonce=1+2", "nonce=1;2&echostr=3",
		"nonce=%zz&nonce=2", "Nonce=1", "nonce=\x00\xff", strings.Repeat("&", 9_990) + "&nonce=1", strings.Repeat("&", 10_010) + "&nonce=1",
	} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if got, want := query(raw), standardQuery(raw); got != want {
			t.Errorf("query(%q) = %+v, want %+v", raw, got, want)
		}
	})
}
