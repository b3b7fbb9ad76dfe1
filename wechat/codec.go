package wechat

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"kefud/kefu"
)

// Why a request is no push of ours. Every error of [Codec.Verify],
// [Codec.Open] and [Signed.Open] is one of these by errors.Is, and names no more than the kind of
// trouble.
var (
	// ErrSignature: a signature is missing or wrong, or there is none over what
	// should have one.
	ErrSignature = errors.New("wechat signature refused")
	// ErrStale is the ErrSignature of a signature that holds, but whose
	// timestamp is too far off: the replay of an old push, or a wrong clock.
	ErrStale = fmt.Errorf("%w: timestamp too far off", ErrSignature)
	// ErrUnreadable: correctly signed, and still no push.
	ErrUnreadable = errors.New("wechat push unreadable")
)

// Encryption is the mode of an app's message push (消息加密方式), as set in
// WeChat's console.
type Encryption string

// The modes. Each also takes what the others send as far as that is safe, since
// a change in the console takes effect at once: only Safe refuses a body
// that is not encrypted.
const (
	Plain      Encryption = "plain"      // 明文模式
	Compatible Encryption = "compatible" // 兼容模式: the clear fields and the ciphertext beside them
	Safe       Encryption = "safe"       // 安全模式
)

// CodecOptions are what NewCodec needs.
type CodecOptions struct {
	App         kefu.AppID // of the customers of the pushes
	OriginalID  string     // gh_…: the sender of answers to pushes that do not name their receiver; may be ""
	AppID       string     // WeChat's own id of the app (wx…), at the end of every ciphertext; may be "" only without Key
	Token       string     // of the console; never ""
	Key         string     // EncodingAESKey, 43 characters; may be "" only for Plain
	PreviousKey string     // the one before, still accepted; "" = none
	Encryption  Encryption
	XMLOnly     bool             // an official account: WeChat offers it no JSON
	MaxAge      time.Duration    // how far off a push's timestamp may be, either way; 0 = any
	Now         func() time.Time // nil = time.Now
	Random      io.Reader        // safe for concurrent use; nil = crypto/rand
}

// A Codec opens the pushes of one app and seals their answers. It is immutable
// and safe for concurrent use.
type Codec struct {
	app        kefu.AppID
	original   string
	receiver   []byte // the end of every ciphertext
	token      string
	keys       []*cipherKey // the present key first; none = nothing can be decrypted
	encryption Encryption
	xmlOnly    bool
	maxAge     time.Duration
	now        func() time.Time
	random     io.Reader
}

// NewCodec checks the options. Its errors say what is wrong and print no key.
func NewCodec(o CodecOptions) (*Codec, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	c := &Codec{
		app: o.App, original: o.OriginalID, receiver: []byte(o.AppID), token: o.Token, encryption: o.Encryption,
		xmlOnly: o.XMLOnly, maxAge: o.MaxAge, now: o.Now, random: o.Random,
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.random == nil {
		c.random = rand.Reader
	}
	for _, k := range []struct{ name, text string }{{"key", o.Key}, {"previous key", o.PreviousKey}} {
		if k.text == "" {
			continue
		}
		key, err := newCipherKey(k.text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k.name, err)
		}
		c.keys = append(c.keys, key)
	}
	return c, nil
}

func (o CodecOptions) check() error {
	switch o.Encryption {
	case Plain, Compatible, Safe:
	default:
		return fmt.Errorf("encryption %q: want plain, compatible or safe", string(o.Encryption))
	}
	switch {
	case o.Token == "":
		return errors.New("token: missing, so that anybody could sign")
	case o.Key == "" && o.Encryption != Plain:
		return fmt.Errorf("key: missing, encryption %s needs it", o.Encryption)
	case o.Key == "" && o.PreviousKey != "":
		return errors.New("previous key: given without a present key")
	case o.Key != "" && o.AppID == "":
		return errors.New("app id: missing, a key needs it to tell whose ciphertext it opens")
	case o.MaxAge < 0:
		return fmt.Errorf("max age %s: negative", o.MaxAge)
	}
	return nil
}
