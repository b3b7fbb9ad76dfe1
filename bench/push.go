package main

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1" //nolint:gosec // WeChat signs with it
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What all servers are configured with.
const (
	token    = "bench-token"
	appID    = "wx0000000000000001"
	original = "gh_1a2b3c"
	aesKey   = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
	nonce    = "1372623149"

	openidMark = "oBENCHBENCHBENCHBENCHBENCHBE" // 28 characters, as WeChat's
	msgIDMark  = "24000000000000000"
)

// A shape is how a push is written.
type shape struct{ safe, json bool }

func (s shape) String() string {
	name := "plain"
	if s.safe {
		name = "safe"
	}
	if s.json {
		return name + " JSON"
	}
	return name + " XML"
}

func (s shape) message(at int64) string {
	if s.json {
		return fmt.Sprintf(`{"ToUserName":"%s","FromUserName":"%s","CreateTime":%d,"MsgType":"text","Content":"你好，请问还有货吗？","MsgId":%s}`,
			original, openidMark, at, msgIDMark)
	}
	return fmt.Sprintf("<xml><ToUserName><![CDATA[%s]]></ToUserName>\n<FromUserName><![CDATA[%s]]></FromUserName>\n"+
		"<CreateTime>%d</CreateTime>\n<MsgType><![CDATA[text]]></MsgType>\n<Content><![CDATA[你好，请问还有货吗？]]></Content>\n"+
		"<MsgId>%s</MsgId>\n</xml>", original, openidMark, at, msgIDMark)
}

// A mold makes the requests of one run: each has a MsgId of its own, and the openid
// that its number gives. Sealing costs the generator as much as sending does, so it
// is done beforehand for as many as a run may need.
type mold struct {
	shape
	known   int // customers who write again and again; 0 = each push is a new customer's
	at      string
	message []byte
	request []byte // plain: the whole; safe: with room for the signature and the ciphertext
	ids     []int  // where in request (plain) or message (safe) the openid stands
	msgID   int
	signed  int // safe: where in request msg_signature stands
	sealed  int // safe: where in request the ciphertext stands
	size    int // of signature and ciphertext
	block   cipher.Block
	iv      []byte
	pool    []byte // safe: signatures and ciphertexts, one after the other
}

func newMold(s shape, known int) (*mold, error) {
	now := time.Now().Unix()
	m := &mold{shape: s, known: known, at: strconv.FormatInt(now, 10), message: []byte(s.message(now))}
	key, err := base64.StdEncoding.DecodeString(aesKey + "=")
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	if m.block, err = aes.NewCipher(key); err != nil {
		return nil, fmt.Errorf("cipher: %w", err)
	}
	m.iv = key[:aes.BlockSize]
	target := "/wechat/shop?signature=" + sign(token, m.at, nonce) + "&timestamp=" + m.at + "&nonce=" + nonce
	body := string(m.message)
	if s.safe {
		target += "&encrypt_type=aes&msg_signature=" + strings.Repeat("S", sha1.Size*2)
		hole := strings.Repeat("C", base64.StdEncoding.EncodedLen(len(m.clear())))
		body = "<xml><ToUserName><![CDATA[" + original + "]]></ToUserName><Encrypt><![CDATA[" + hole + "]]></Encrypt></xml>"
		if s.json {
			body = `{"ToUserName":"` + original + `","Encrypt":"` + hole + `"}`
		}
	}
	kind := "text/xml"
	if s.json {
		kind = "application/json"
	}
	m.request = fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: bench\r\nUser-Agent: Mozilla/4.0\r\nAccept: */*\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
		target, kind, len(body), body)
	in := m.request
	if s.safe {
		in = m.message
		m.signed = bytes.Index(m.request, []byte("SSSSSSSSSS"))
		m.sealed = bytes.Index(m.request, []byte("CCCCCCCCCC"))
	}
	m.ids = []int{bytes.Index(in, []byte(openidMark))}
	m.msgID = bytes.Index(in, []byte(msgIDMark))
	if s.safe {
		m.size = len(m.seal(0))
	}
	return m, nil
}

func sign(parts ...string) string {
	slices.Sort(parts)
	sum := sha1.Sum([]byte(strings.Join(parts, ""))) //nolint:gosec // WeChat's
	return hex.EncodeToString(sum[:])
}

// clear is what is encrypted: salt, length, message, app id, padding.
func (m *mold) clear() []byte {
	text := append(make([]byte, 0, 1024), "0123456789abcdef"...)
	text = binary.BigEndian.AppendUint32(text, uint32(len(m.message))) //nolint:gosec // some hundred bytes
	text = append(append(text, m.message...), appID...)
	pad := 32 - len(text)%32
	return append(text, bytes.Repeat([]byte{byte(pad)}, pad)...)
}

func (m *mold) patch(b []byte, n int64) {
	who := n
	if m.known > 0 {
		who = n % int64(m.known)
	}
	for _, at := range m.ids {
		digits(b[at+len(openidMark)-12:at+len(openidMark)], who)
	}
	digits(b[m.msgID+len(msgIDMark)-12:m.msgID+len(msgIDMark)], n)
}

func digits(b []byte, n int64) {
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
}

// seal gives signature and ciphertext of push n.
func (m *mold) seal(n int64) []byte {
	message := bytes.Clone(m.message)
	m.patch(message, n)
	one := *m
	one.message = message
	text := one.clear()
	cipher.NewCBCEncrypter(m.block, m.iv).CryptBlocks(text, text)
	ciphertext := base64.StdEncoding.EncodeToString(text)
	return append([]byte(sign(token, m.at, nonce, ciphertext)), ciphertext...)
}

// prepare seals the first so many pushes, those that are not yet.
func (m *mold) prepare(count int) {
	if !m.safe {
		return
	}
	there := len(m.pool) / m.size
	m.pool = slices.Grow(m.pool, max(0, count-there)*m.size)
	for n := there; n < count; n++ {
		m.pool = append(m.pool, m.seal(int64(n))...)
	}
	runtime.GC()
}

// fill makes b, a clone of request, push n.
func (m *mold) fill(b []byte, n int64) {
	if !m.safe {
		m.patch(b, n)
		return
	}
	var part []byte
	if end := (int(n) + 1) * m.size; end <= len(m.pool) {
		part = m.pool[end-m.size : end]
	} else {
		part = m.seal(n)
	}
	copy(b[m.signed:], part[:sha1.Size*2])
	copy(b[m.sealed:], part[sha1.Size*2:])
}
