package wechat

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
)

const (
	keyLength  = 43 // of an EncodingAESKey: the base64 of 32 bytes without its "="
	padBlock   = 32 // the padding fills to twice the block of AES
	randomSize = 16
	headerSize = randomSize + 4 // and the message's length
)

// errCiphertext is all that is said of a ciphertext that cannot be opened,
// whatever is wrong with it.
var errCiphertext = fmt.Errorf("%w: ciphertext", ErrUnreadable)

// A cipherKey encrypts and decrypts the messages of pushes and answers.
//
// WeChat, "消息推送",
// https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html,
// read 2026-11: AES-256-CBC over random(16) + length(4, big endian) + message +
// app id, PKCS#7 to 32 bytes. That the IV is the key's beginning stands in
// https://developer.work.weixin.qq.com/document/path/91144, for WeCom; the
// published examples say that it is so everywhere.
type cipherKey struct{ encrypter, decrypter *chain }

// A chain has the CBC modes of a key, which are used again.
type chain struct {
	iv    []byte
	modes sync.Pool
}

func newChain(mode func(cipher.Block, []byte) cipher.BlockMode, block cipher.Block, iv []byte) *chain {
	return &chain{iv: iv, modes: sync.Pool{New: func() any { return mode(block, iv) }}}
}

// crypt works on whole blocks in place.
func (c *chain) crypt(text []byte) {
	mode, _ := c.modes.Get().(cipher.BlockMode) // nothing else is in it
	mode.CryptBlocks(text, text)
	if again, ok := mode.(interface{ SetIV(iv []byte) }); ok { // as those of crypto/aes have
		again.SetIV(c.iv)
		c.modes.Put(mode)
	}
}

// newCipherKey reads an EncodingAESKey. The bits of its last character that
// are no part of the key may be anything, as they are in keys of WeChat's own.
func newCipherKey(encoded string) (*cipherKey, error) {
	if len(encoded) != keyLength {
		return nil, fmt.Errorf("%d characters where an EncodingAESKey has %d", len(encoded), keyLength)
	}
	raw, err := base64.RawStdEncoding.DecodeString(encoded)
	if err != nil || len(raw) != 32 {
		return nil, errors.New("characters that no EncodingAESKey has; it is of A-Z, a-z and 0-9")
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		return nil, fmt.Errorf("make cipher: %w", err)
	}
	iv := raw[:aes.BlockSize]
	return &cipherKey{newChain(cipher.NewCBCEncrypter, block, iv), newChain(cipher.NewCBCDecrypter, block, iv)}, nil
}

// encrypt gives the base64 of a message for the receiver. It stands in the buffer.
func (k *cipherKey) encrypt(buffer *[]byte, random io.Reader, message, receiver []byte) ([]byte, error) {
	size := headerSize + len(message) + len(receiver)
	pad := padBlock - size%padBlock
	*buffer = slices.Grow((*buffer)[:0], size+pad+base64.StdEncoding.EncodedLen(size+pad))
	text := (*buffer)[:headerSize]
	if _, err := io.ReadFull(random, text[:randomSize]); err != nil {
		return nil, fmt.Errorf("read random bytes: %w", err)
	}
	binary.BigEndian.PutUint32(text[randomSize:], uint32(len(message))) //nolint:gosec // an answer is far from 4 GiB
	text = append(text, message...)
	text = append(text, receiver...)
	for range pad {
		text = append(text, byte(pad))
	}
	k.encrypter.crypt(text)
	return base64.StdEncoding.AppendEncode(text, text)[len(text):], nil
}

// buffers hold texts while they are signed, encrypted or decrypted. What is larger than pushes and
// answers are is not kept.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

const maxKept = 16 << 10

// takeBuffer gives one with room for so many bytes.
func takeBuffer(size int) *[]byte {
	b, _ := buffers.Get().(*[]byte) // nothing else is in it
	*b = slices.Grow((*b)[:0], size)
	return b
}

func putBack(b *[]byte) {
	if cap(*b) <= maxKept {
		buffers.Put(b)
	}
}

// decrypt opens a ciphertext for the receiver, and uses it up. Apart from lengths that everybody
// can see, all is checked before anything is said, so that neither the answer
// nor its time tells what was wrong.
func (k *cipherKey) decrypt(ciphertext, receiver []byte) ([]byte, bool) {
	if len(ciphertext)%padBlock != 0 || len(ciphertext) <= headerSize+len(receiver) {
		return nil, false
	}
	k.decrypter.crypt(ciphertext)
	return unpack(ciphertext, receiver)
}

// unpack takes the message out of a decrypted text, which is whole blocks of
// padding and longer than a header and the receiver. Wherever the text is wrong
// the work goes on with a harmless value.
func unpack(text, receiver []byte) ([]byte, bool) {
	last := text[len(text)-1]
	pad := int(last)
	good := subtle.ConstantTimeLessOrEq(1, pad) & subtle.ConstantTimeLessOrEq(pad, padBlock)
	for i := 1; i <= padBlock; i++ {
		outside := subtle.ConstantTimeLessOrEq(pad+1, i)
		good &= outside | subtle.ConstantTimeByteEq(text[len(text)-i], last)
	}
	size := len(text) - pad - headerSize - len(receiver) // below 0 if the padding is a lie
	good &= int(^uint64(int64(size)) >> 63)              //nolint:gosec // 1, or 0 for a negative size
	stated := binary.BigEndian.Uint32(text[randomSize:])
	good &= subtle.ConstantTimeEq(int32(stated), int32(size)) //nolint:gosec // compared bit by bit

	size = subtle.ConstantTimeSelect(good, size, 0)
	message, rest := text[headerSize:headerSize+size:headerSize+size], text[headerSize+size:]
	good &= subtle.ConstantTimeCompare(rest[:len(receiver)], receiver)
	if good != 1 {
		return nil, false
	}
	return message, true
}

// decrypt opens a ciphertext as it stands in a body, with the present key or
// else with the previous one, and tells which it was. The message stands in the buffer.
func (c *Codec) decrypt(buffer *[]byte, ciphertext string) ([]byte, *cipherKey, error) {
	size := base64.StdEncoding.DecodedLen(len(ciphertext))
	*buffer = slices.Grow((*buffer)[:0], size)[:size]
	for _, key := range c.keys {
		n, err := base64.StdEncoding.Decode(*buffer, []byte(ciphertext))
		if err != nil {
			break
		}
		if message, ok := key.decrypt((*buffer)[:n], c.receiver); ok {
			return message, key, nil
		}
	}
	return nil, nil, errCiphertext
}
