package simulator

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The envelope, unless another address stands by the line:
// https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html, read 2026-11.
const (
	keyChars    = 43 // of an EncodingAESKey
	padTo       = 32 // PKCS#7 pads to the key's size, not to AES's block
	saltBytes   = 16 // random bytes before the length
	prefixBytes = saltBytes + 4
)

// sign is WeChat's signature: the parts sorted as bytes, joined, SHA-1, in
// lower-case hex.
func sign(parts ...string) string {
	parts = slices.Clone(parts)
	slices.Sort(parts)
	sum := sha1.Sum([]byte(strings.Join(parts, "")))
	return hex.EncodeToString(sum[:])
}

// parseKey reads an EncodingAESKey. Its last character may carry bits that
// belong to no byte, Tencent's own sample keys do, so decoding is not strict.
func parseKey(key string) ([]byte, error) {
	if len(key) != keyChars {
		return nil, fmt.Errorf("the EncodingAESKey has %d characters instead of %d", len(key), keyChars)
	}
	raw, err := base64.StdEncoding.DecodeString(key + "=")
	if err != nil {
		return nil, errors.New("the EncodingAESKey is not base64")
	}
	return raw, nil
}

// encrypt seals a message: salt(16) + length(4, big endian) + message + app id,
// padded, AES-256-CBC with the key's first half as IV, base64.
// That the IV is this: https://developer.work.weixin.qq.com/document/path/91144, read 2026-11.
func encrypt(key, salt, message []byte, appID string) (string, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return "", fmt.Errorf("encrypt: %w", err)
	}
	text := make([]byte, 0, prefixBytes+len(message)+len(appID)+padTo)
	text = append(text, salt...)
	text = binary.BigEndian.AppendUint32(text, uint32(len(message))) //nolint:gosec // bodies are far smaller than 4 GiB
	text = append(text, message...)
	text = append(text, appID...)
	pad := padTo - len(text)%padTo // never 0
	text = append(text, bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(block, key[:aes.BlockSize]).CryptBlocks(text, text)
	return base64.StdEncoding.EncodeToString(text), nil
}

// decrypt opens what encrypt sealed and says in words what is wrong with it.
func decrypt(key []byte, sealed, appID string) ([]byte, error) {
	text, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil {
		return nil, errors.New("the Encrypt is not base64")
	}
	if len(text) == 0 || len(text)%padTo != 0 {
		return nil, fmt.Errorf("the Encrypt holds %d bytes, not a multiple of %d", len(text), padTo)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("decrypt: %w", err)
	}
	cipher.NewCBCDecrypter(block, key[:aes.BlockSize]).CryptBlocks(text, text)
	pad := int(text[len(text)-1])
	if pad < 1 || pad > padTo || !bytes.Equal(text[len(text)-pad:], bytes.Repeat([]byte{byte(pad)}, pad)) {
		return nil, fmt.Errorf("the Encrypt is not padded to %d bytes, or sealed with another key", padTo)
	}
	text = text[:len(text)-pad]
	if len(text) < prefixBytes {
		return nil, errors.New("the Encrypt is too short for its header")
	}
	size := uint64(binary.BigEndian.Uint32(text[saltBytes:]))
	rest := text[prefixBytes:]
	if size > uint64(len(rest)) {
		return nil, errors.New("the length inside Encrypt is more than there is")
	}
	if string(rest[size:]) != appID {
		return nil, errors.New("the app id inside Encrypt is not this account's")
	}
	return rest[:size], nil
}
