package handler

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"kefud/kefu"
	"kefud/wechat"
)

// The apps that are attacked. Bank, its twin and the open one share a token and
// a key, as careless operators have it; only the app id tells them apart.
const (
	attackKey   = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C" // of Tencent's own samples
	attackAge   = 10 * time.Minute
	bankToken   = "token-of-bank"
	bankID      = "wx00000000000000b1"
	attackNonce = "415670741"
)

// A target is a handler under attack, and what it let through.
type target struct {
	http.Handler
	now    time.Time
	mu     sync.Mutex
	log    bytes.Buffer
	routed []kefu.Message
}

// Write takes a line of the log.
func (g *target) Write(line []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.log.Write(line)
}

func (g *target) Route(_ context.Context, m *kefu.Message) kefu.Decision {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.routed = append(g.routed, *m)
	return kefu.Decision{Answer: kefu.Answer{Way: kefu.WayPlain}, At: g.now, Reason: kefu.ReasonPool}
}

// taken gives what was let through since it was last asked.
func (g *target) taken() []kefu.Message {
	g.mu.Lock()
	defer g.mu.Unlock()
	taken := g.routed
	g.routed = nil
	return taken
}

func newTarget(t testing.TB) *target {
	t.Helper()
	g := &target{now: time.Unix(1764000000, 0)}
	clock := func() time.Time { return g.now }
	codecs := map[kefu.AppID]*wechat.Codec{}
	for _, o := range []wechat.CodecOptions{
		{App: "bank", AppID: bankID, Token: bankToken, Key: attackKey, Encryption: wechat.Safe},
		{App: "twin", AppID: "wx00000000000000b2", Token: bankToken, Key: attackKey, Encryption: wechat.Safe},
		{App: "open", AppID: "wx00000000000000b3", Token: bankToken, Key: attackKey, Encryption: wechat.Compatible},
		{App: "other", AppID: bankID, Token: "token-of-other", Key: attackKey, Encryption: wechat.Safe},
		{App: "plain", Token: "token-of-plain", Encryption: wechat.Plain},
	} {
		o.MaxAge, o.Now = attackAge, clock
		codec, err := wechat.NewCodec(o)
		if err != nil {
			t.Fatal(err)
		}
		codecs[o.App] = codec
	}
	reg := prometheus.NewRegistry()
	h, err := New(Options{
		Codec:  func(app kefu.AppID) *wechat.Codec { return codecs[app] },
		Link:   func(tag string) (string, bool) { return "/pages/service1", tag == "cs1" },
		Router: g, Token: func() string { return "admin-token" }, Ready: func() Readiness { return Readiness{} },
		Historian: historianFunc(func(kefu.CustomerID) (kefu.History, error) { return kefu.History{}, nil }),
		Budget:    time.Second, Logger: zerolog.New(g), Registerer: reg, Gatherer: reg, Now: clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	g.Handler = h
	return g
}

// A parcel is a push on its way.
type parcel struct {
	app   string
	query url.Values
	body  string
}

// send delivers a parcel to the handler itself.
func (g *target) send(p parcel) *httptest.ResponseRecorder {
	req := httptest.NewRequest(http.MethodPost, "/wechat/"+p.app, strings.NewReader(p.body)) //nolint:noctx // a million of them wait for nothing
	req.URL.RawQuery = p.query.Encode()
	w := httptest.NewRecorder()
	g.ServeHTTP(w, req)
	return w
}

// signature is WeChat's over the items.
func signature(items ...string) string {
	slices.Sort(items)
	sum := sha1.Sum([]byte(strings.Join(items, "")))
	return hex.EncodeToString(sum[:])
}

// attackSigned is the query of a push with a ciphertext; "" is one in clear.
func attackSigned(token string, at time.Time, nonce, ciphertext string) url.Values {
	stamp := strconv.FormatInt(at.Unix(), 10)
	q := url.Values{"timestamp": {stamp}, "nonce": {nonce}, "signature": {signature(token, stamp, nonce)}}
	if ciphertext != "" {
		q.Set("encrypt_type", "aes")
		q.Set("msg_signature", signature(token, stamp, nonce, ciphertext))
	}
	return q
}

// letter is a message in clear.
func letter(id int) string {
	return fmt.Sprintf(`<xml><ToUserName><![CDATA[gh_bank]]></ToUserName><FromUserName><![CDATA[%s]]></FromUserName>`+
		`<CreateTime>1764000000</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[hello]]></Content><MsgId>%d</MsgId></xml>`, openid, id)
}

// cipherText is a message as WeChat encrypts it.
func cipherText(message, appID string) string {
	text := make([]byte, 16, 512)
	copy(text, "0123456789abcdef")
	text = binary.BigEndian.AppendUint32(text, uint32(len(message)))
	text = append(append(text, message...), appID...)
	pad := 32 - len(text)%32
	return encryptBlocks(append(text, bytes.Repeat([]byte{byte(pad)}, pad)...))
}

func encryptBlocks(text []byte) string {
	key, err := base64.RawStdEncoding.DecodeString(attackKey)
	if err != nil {
		panic(err) // it is a constant
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // it has 32 bytes
	}
	out := make([]byte, len(text))
	cipher.NewCBCEncrypter(block, key[:aes.BlockSize]).CryptBlocks(out, text)
	return base64.StdEncoding.EncodeToString(out)
}

// envelope puts a ciphertext into a body.
func envelope(ciphertext string, asJSON bool) string {
	if asJSON {
		return `{"ToUserName":"gh_bank","Encrypt":"` + ciphertext + `"}`
	}
	return `<xml><ToUserName><![CDATA[gh_bank]]></ToUserName><Encrypt><![CDATA[` + ciphertext + `]]></Encrypt></xml>`
}

// genuine is a push of WeChat's to the bank.
func (g *target) genuine(id int, asJSON bool) parcel {
	ciphertext := cipherText(letter(id), bankID)
	return parcel{"bank", attackSigned(bankToken, g.now, attackNonce, ciphertext), envelope(ciphertext, asJSON)}
}
