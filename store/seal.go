package store

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"kefud/kefu"
)

// What people say is sealed before it leaves the process, if its app has a key:
// AES-256-GCM with a random nonce, and the customer as what it belongs to, so
// that no text can be shown as somebody else's. The form is "1", the first bytes
// of the key's digest, the nonce and the ciphertext, in base64. Without a key it
// is "0" and the words as they are.
const (
	sealed   = "1"
	open     = "0"
	keyBytes = 4
)

// spoken are words as they are written down.
type spoken struct {
	Text       string     `json:"t,omitempty"`
	App        kefu.AppID `json:"a,omitempty"`
	Media      string     `json:"m,omitempty"`
	Unreadable bool       `json:"u,omitempty"` // they were when they were written down again
}

// seal gives words as they may be kept of a customer; "" for none.
func (s *Store) seal(c kefu.CustomerID, w kefu.Words) (string, error) {
	if w == (kefu.Words{}) {
		return "", nil
	}
	plain, err := json.Marshal(spoken{Text: w.Text, App: w.Media.App, Media: w.Media.ID, Unreadable: w.Unreadable})
	if err != nil {
		return "", fmt.Errorf("encode words: %w", err)
	}
	var key []byte
	if s.sealing != nil {
		key, _ = s.sealing(c.App)
	}
	if len(key) == 0 {
		return open + string(plain), nil
	}
	gcm, err := newGCM(key)
	if err != nil {
		return "", err
	}
	digest := sha256.Sum256(key)
	box := append(digest[:keyBytes:keyBytes], make([]byte, gcm.NonceSize())...)
	if _, err := rand.Read(box[keyBytes:]); err != nil {
		return "", fmt.Errorf("seal words: %w", err)
	}
	box = gcm.Seal(box, box[keyBytes:], plain, []byte(member(c)))
	return sealed + base64.RawStdEncoding.EncodeToString(box), nil
}

// unseal is the reverse of seal. Words that no key opens are marked as such:
// who owes them can still tell that there was something.
func (s *Store) unseal(c kefu.CustomerID, text string) kefu.Words {
	if text == "" {
		return kefu.Words{}
	}
	plain, err := s.opened(c, text)
	var w spoken
	if err == nil {
		err = json.Unmarshal(plain, &w)
	}
	if err != nil {
		s.meter.unreadable.Inc()
		return kefu.Words{Unreadable: true}
	}
	return kefu.Words{Text: w.Text, Media: kefu.Media{App: w.App, ID: w.Media}, Unreadable: w.Unreadable}
}

var errSealed = errors.New("no key opens it")

func (s *Store) opened(c kefu.CustomerID, text string) ([]byte, error) {
	if plain, ok := strings.CutPrefix(text, open); ok {
		return []byte(plain), nil
	}
	box, err := base64.RawStdEncoding.DecodeString(strings.TrimPrefix(text, sealed))
	if err != nil || s.sealing == nil {
		return nil, errSealed
	}
	present, previous := s.sealing(c.App)
	for _, key := range [][]byte{present, previous} {
		digest := sha256.Sum256(key)
		if len(key) == 0 || len(box) < keyBytes || string(digest[:keyBytes]) != string(box[:keyBytes]) {
			continue
		}
		gcm, err := newGCM(key)
		if err != nil {
			return nil, err
		}
		rest := box[keyBytes:]
		if len(rest) < gcm.NonceSize() {
			return nil, errSealed
		}
		return gcm.Open(nil, rest[:gcm.NonceSize()], rest[gcm.NonceSize():], []byte(member(c)))
	}
	return nil, errSealed
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("transcript key: %w", err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("transcript key: %w", err)
	}
	return gcm, nil
}
