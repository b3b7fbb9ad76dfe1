package wechat

import (
	"bytes"
	"fmt"

	"kefud/kefu"
)

// A Push is one opened push, and what its answer must know of how it came.
type Push struct {
	Message kefu.Message

	outer format     // of the body
	inner format     // of the message; another than outer only if it was encrypted
	key   *cipherKey // what decrypted it; nil = it came in clear
	nonce string     // of the query
}

// A format is the first byte of what is written in it.
type format byte

const (
	formatXML  format = '<'
	formatJSON format = '{'
)

// Open verifies a push and reads it: Verify, and then Open of what that gives.
func (c *Codec) Open(q Query, body []byte) (Push, error) {
	signed, err := c.Verify(q, c.now())
	if err != nil {
		return Push{}, err
	}
	return signed.Open(body)
}

// Open reads a push, and verifies the ciphertext if there is one. The error is
// ErrSignature or ErrUnreadable; there is none for fields or types that are unknown,
// which come as KindUnknown.
//
// The body's first byte says what it is. WeChat's Content-Type does not:
// JSON comes as text/xml, https://github.com/tencentyun/wafer2-startup/issues/104,
// read 2026-11.
func (s Signed) Open(body []byte) (Push, error) {
	c := s.codec
	if c == nil {
		return Push{}, fmt.Errorf("%w: never verified", ErrSignature)
	}
	outer, f, err := c.parse(body)
	if err != nil {
		return Push{}, err
	}
	p := Push{outer: outer, inner: outer, nonce: s.query.Nonce}
	if f, err = c.unwrap(&p, s.query, f); err != nil {
		return Push{}, err
	}
	if p.Message, err = f.message(c.app); err != nil {
		return Push{}, err
	}
	return p, nil
}

// unwrap gives the fields of the message behind the fields of a body. What
// stands beside a ciphertext that can be opened is signed by nobody and never
// used.
func (c *Codec) unwrap(p *Push, q Query, f fields) (fields, error) {
	if f.encrypt == "" {
		if c.encryption == Safe {
			return fields{}, fmt.Errorf("%w: body is not encrypted", ErrSignature)
		}
		return f, nil
	}
	buffer := takeBuffer(len(f.encrypt) + usualQuery)
	defer putBack(buffer) // what is read keeps nothing of it
	if err := c.verifyCiphertext(*buffer, q, f.encrypt); err != nil {
		return fields{}, err
	}
	if len(c.keys) == 0 {
		if f.msgType == "" {
			return fields{}, fmt.Errorf("%w: encrypted, and there is no key", ErrUnreadable)
		}
		return f, nil
	}
	text, key, err := c.decrypt(buffer, f.encrypt)
	if err != nil {
		return fields{}, err
	}
	p.key = key
	p.inner, f, err = c.parse(text)
	return f, err
}

// parse reads a body or a decrypted text, which may begin with a byte order
// mark and white space.
func (c *Codec) parse(text []byte) (format, fields, error) {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	text = bytes.TrimLeft(text, spaces)
	if len(text) == 0 {
		return 0, fields{}, fmt.Errorf("%w: empty", ErrUnreadable)
	}
	var f fields
	ok := false
	switch format(text[0]) {
	case formatXML:
		f, ok = readXML(string(text))
	case formatJSON:
		if c.xmlOnly {
			return 0, fields{}, fmt.Errorf("%w: JSON, and the app's pushes are XML", ErrUnreadable)
		}
		f, ok = readJSON(text)
	}
	if !ok {
		return 0, fields{}, fmt.Errorf("%w: neither XML nor JSON", ErrUnreadable)
	}
	return format(text[0]), f, nil
}
