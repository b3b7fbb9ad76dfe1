package handler

import (
	"net/url"
	"strings"

	"kefud/wechat"
)

// query reads what WeChat puts into the URL, as url.ParseQuery does: of several
// with one name the first counts, and what cannot be read is left out.
func query(raw string) wechat.Query {
	const usual = 2048 // bytes; net/url knows a limit to the number of parameters
	// To look for each of them in turn is several times quicker than for any at once.
	if len(raw) > usual || strings.IndexByte(raw, '%') >= 0 || strings.IndexByte(raw, '+') >= 0 || strings.IndexByte(raw, ';') >= 0 {
		return standardQuery(raw)
	}
	var q wechat.Query
	for rest := raw; rest != ""; {
		var pair string
		pair, rest, _ = strings.Cut(rest, "&")
		name, value, _ := strings.Cut(pair, "=")
		slot := querySlot(&q, name)
		switch {
		case slot == nil: // nobody reads it
		case *slot != "" || value == "": // it comes twice, or may yet: what is empty counts as well
			return standardQuery(raw)
		default:
			*slot = value
		}
	}
	return q
}

// querySlot finds the place of a parameter; nil if nobody reads it.
func querySlot(q *wechat.Query, name string) *string {
	switch name {
	case "signature":
		return &q.Signature
	case "msg_signature":
		return &q.MessageSignature
	case "timestamp":
		return &q.Timestamp
	case "nonce":
		return &q.Nonce
	case "encrypt_type":
		return &q.EncryptType
	case "echostr":
		return &q.Echo
	}
	return nil
}

// standardQuery is query of anything, by net/url.
func standardQuery(raw string) wechat.Query {
	v, _ := url.ParseQuery(raw) // as far as it can be read
	return wechat.Query{
		Signature: v.Get("signature"), MessageSignature: v.Get("msg_signature"),
		Timestamp: v.Get("timestamp"), Nonce: v.Get("nonce"),
		EncryptType: v.Get("encrypt_type"), Echo: v.Get("echostr"),
	}
}
