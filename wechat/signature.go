package wechat

import (
	"crypto/sha1"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// A Query is what WeChat puts into the URL of a request.
type Query struct {
	Signature        string // signature: over token, timestamp and nonce
	MessageSignature string // msg_signature: over the same and the ciphertext
	Timestamp        string // seconds since 1970
	Nonce            string
	EncryptType      string // "aes", "raw" or ""; nobody signs it, so nothing is decided by it
	Echo             string // echostr, what a GET is to be answered with
}

// VerifyURL checks the signature of the GET by which WeChat asks whether a URL
// is ours; the error is ErrSignature. It is the same in every mode. Its answer
// gives nothing away, so its age does not matter.
//
// WeChat, "消息推送",
// https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html,
// read 2026-11: the SHA-1 of token, timestamp and nonce, sorted and joined.
func (c *Codec) VerifyURL(q Query) error {
	if !equalSignature(q.Signature, signatureOf(make([]byte, 0, usualQuery), "", c.token, q.Timestamp, q.Nonce)) {
		return fmt.Errorf("%w: signature", ErrSignature)
	}
	return nil
}

// usualQuery is room, in bytes, for a token, a timestamp and a nonce; longer ones take more.
const usualQuery = 128

// A Signed is the query of a push, and its signature holds: only Verify makes one, so
// that no body is opened without.
type Signed struct {
	codec *Codec
	query Query
}

// Verify checks a push's query before its body is read: the signature, as in
// VerifyURL, and the age of the timestamp as of now. The error is ErrSignature or ErrStale.
func (c *Codec) Verify(q Query, now time.Time) (Signed, error) {
	if err := c.VerifyURL(q); err != nil {
		return Signed{}, err
	}
	if c.maxAge > 0 && !c.fresh(q.Timestamp, now) {
		return Signed{}, ErrStale
	}
	return Signed{c, q}, nil
}

// verifyCiphertext checks the signature over a ciphertext, given as it stood in
// the body. What is signed is written down in room, or in more if that is not enough.
func (c *Codec) verifyCiphertext(room []byte, q Query, ciphertext string) error {
	if !equalSignature(q.MessageSignature, signatureOf(room, ciphertext, c.token, q.Timestamp, q.Nonce)) {
		return fmt.Errorf("%w: msg_signature", ErrSignature)
	}
	return nil
}

func (c *Codec) fresh(timestamp string, now time.Time) bool {
	seconds, ok := parseSeconds(timestamp)
	if !ok {
		return false
	}
	age := now.Sub(time.Unix(seconds, 0))
	return -c.maxAge <= age && age <= c.maxAge
}

// parseSeconds reads a WeChat time. Only digits will do, and no more of them
// than a time.Time holds.
func parseSeconds(text string) (int64, bool) {
	const digits = 11
	if len(text) > digits {
		return 0, false
	}
	seconds, err := strconv.ParseUint(text, 10, 63)
	return int64(seconds), err == nil
}

// A signature is a SHA-1 in hexadecimal digits.
type signature [2 * sha1.Size]byte

// signatureOf gives WeChat's signature over the items and a ciphertext, "" if there is none:
// they are sorted as bytes and joined without a separator, in room that is given.
func signatureOf[Text string | []byte](room []byte, ciphertext Text, items ...string) signature {
	slices.Sort(items)
	joined, rest := room[:0], ciphertext
	for _, item := range items {
		if len(rest) > 0 && string(rest) < item {
			joined, rest = append(joined, rest...), rest[:0]
		}
		joined = append(joined, item...)
	}
	sum := sha1.Sum(append(joined, rest...))
	var s signature
	hex.Encode(s[:], sum[:])
	return s
}

func equalSignature(got string, want signature) bool {
	return subtle.ConstantTimeCompare([]byte(got), want[:]) == 1
}
