package kefu

import "time"

// A Token is an app's access token for WeChat's API as the replicas share it.
// Value is a secret, so String does not show it.
type Token struct {
	Value   string
	Expires time.Time
}

// String tells when the token expires and nothing else.
func (t Token) String() string { return "token until " + t.Expires.UTC().Format(time.RFC3339) }

// GoString is String, for %#v.
func (t Token) GoString() string { return t.String() }
