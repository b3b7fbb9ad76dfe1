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
	var p Push
	if err := signed.Open(body, &p); err != nil {
		return Push{}, err
	}
	return p, nil
}

// Open reads a push into p, and verifies the ciphertext if there is one. The error is
// ErrSignature or ErrUnreadable, and p nothing to be used then; there is none for fields or types that are unknown, which come as KindUnknown.
//
// The body's first byte says what it is. WeChat's Content-Type does not:
// JSON comes as text/xml, https://github.com/tencentyun/wafer2-startup/issues/104,
// read 2026-11.
func (s Signed) Open(body []byte, p *Push) error {
	c := s.codec
	if c == nil {
		return fmt.Errorf("%w: never verified", ErrSignature)
	}
	var f fields
	var err error
	if p.outer, err = c.parse(body, &f); err != nil {
		return err
	}
	p.inner, p.nonce, p.key = p.outer, s.query.Nonce, nil
	if err := c.unwrap(p, s.query, &f); err != nil {
		return err
	}
	return f.message(c.app, &p.Message)
}

// unwrap makes the fields of a body those of the message in it. What stands beside a
// ciphertext that can be opened is signed by nobody and never used.
func (c *Codec) unwrap(p *Push, q Query, f *fields) error {
	if f.encrypt == "" {
		if c.encryption == Safe {
			return fmt.Errorf("%w: body is not encrypted", ErrSignature)
		}
		return nil
	}
	buffer := takeBuffer(len(f.encrypt) + usualQuery)
	defer putBack(buffer) // what is read keeps nothing of it
	if err := c.verifyCiphertext(*buffer, q, f.encrypt); err != nil {
		return err
	}
	if len(c.keys) == 0 {
		if f.msgType == "" {
			return fmt.Errorf("%w: encrypted, and there is no key", ErrUnreadable)
		}
		return nil
	}
	text, key, err := c.decrypt(buffer, f.encrypt)
	if err != nil {
		return err
	}
	p.key = key
	p.inner, err = c.parse(text, f)
	return err
}

// parse makes f the fields of a body or a decrypted text, which may begin with a byte
// order mark and white space.
func (c *Codec) parse(text []byte, f *fields) (format, error) {
	*f = fields{}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	for len(text) > 0 && space(text[0]) {
		text = text[1:]
	}
	if len(text) == 0 {
		return 0, fmt.Errorf("%w: empty", ErrUnreadable)
	}
	ok := false
	switch format(text[0]) {
	case formatXML:
		ok = readXML(string(text), f)
	case formatJSON:
		if c.xmlOnly {
			return 0, fmt.Errorf("%w: JSON, and the app's pushes are XML", ErrUnreadable)
		}
		ok = readJSON(text, f)
	}
	if !ok {
		return 0, fmt.Errorf("%w: neither XML nor JSON", ErrUnreadable)
	}
	return format(text[0]), nil
}
