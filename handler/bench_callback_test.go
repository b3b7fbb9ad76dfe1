package handler

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"kefud/internal/race"
	"kefud/kefu"
	"kefud/wechat"
)

const (
	benchKey     = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
	benchAppID   = "wx1"
	benchSeconds = "1700000000"
)

// A benchWriter is a response that costs nothing.
type benchWriter struct {
	header http.Header
	status int
	size   int
}

func (w *benchWriter) Header() http.Header { return w.header }
func (w *benchWriter) WriteHeader(s int)   { w.status = s }
func (w *benchWriter) Write(p []byte) (int, error) {
	w.size += len(p)
	return len(p), nil
}

// A benchBody is a body that can be read again.
type benchBody struct{ strings.Reader }

func (*benchBody) Close() error { return nil }

// A replay asks a handler the same again and again; it allocates nothing.
type replay struct {
	handler http.Handler
	request *http.Request
	text    string
	body    benchBody
	writer  benchWriter
}

func newReplay(h http.Handler, target, body string) *replay {
	r := &replay{handler: h, text: body, writer: benchWriter{header: make(http.Header)}}
	r.request = httptest.NewRequestWithContext(context.Background(), http.MethodPost, target, http.NoBody)
	r.request.ContentLength = int64(len(body))
	r.request.Header.Set("Content-Type", "text/xml")
	return r
}

func (r *replay) ask() int {
	r.body.Reset(r.text)
	r.request.Body = &r.body // the handler puts a wrapped one in its place
	clear(r.writer.header)
	r.writer.status, r.writer.size = 0, 0
	r.handler.ServeHTTP(&r.writer, r.request)
	return r.writer.status
}

// benchSafe gives the body of a message in safe mode, and its ciphertext.
func benchSafe(message string, json bool) (string, string) {
	text := binary.BigEndian.AppendUint32(make([]byte, 16), uint32(len(message)))
	text = append(append(text, message...), benchAppID...)
	pad := 32 - len(text)%32
	for range pad {
		text = append(text, byte(pad))
	}
	key, err := base64.RawStdEncoding.DecodeString(benchKey)
	if err != nil {
		panic(err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	cipher.NewCBCEncrypter(block, key[:aes.BlockSize]).CryptBlocks(text, text)
	ciphertext := base64.StdEncoding.EncodeToString(text)
	if json {
		return fmt.Sprintf(`{"ToUserName":"gh_1","Encrypt":%q}`, ciphertext), ciphertext
	}
	return "<xml><ToUserName><![CDATA[gh_1]]></ToUserName><Encrypt><![CDATA[" + ciphertext + "]]></Encrypt></xml>", ciphertext
}

func benchSignature(items ...string) string {
	slices.Sort(items)
	sum := sha1.Sum([]byte(strings.Join(items, "")))
	return hex.EncodeToString(sum[:])
}

// benchTarget signs a push, and its ciphertext if there is one.
func benchTarget(ciphertext string) string {
	const nonce = "1514711492"
	v := url.Values{
		"signature": {benchSignature(token, benchSeconds, nonce)}, "timestamp": {benchSeconds},
		"nonce": {nonce}, "openid": {openid},
	}
	if ciphertext != "" {
		v.Set("encrypt_type", "aes")
		v.Set("msg_signature", benchSignature(token, benchSeconds, nonce, ciphertext))
	}
	return "/wechat/shop?" + v.Encode()
}

// benchHandler is everything but Redis: its router always hands over to WeChat's desk.
func benchHandler(tb testing.TB, mode wechat.Encryption) http.Handler {
	tb.Helper()
	now := func() time.Time { return time.Unix(1700000001, 0) }
	codec, err := wechat.NewCodec(wechat.CodecOptions{
		App: "shop", AppID: benchAppID, Token: token, Key: benchKey, Encryption: mode, MaxAge: time.Minute, Now: now,
	})
	if err != nil {
		tb.Fatal(err)
	}
	reg := prometheus.NewRegistry()
	h, err := New(Options{
		Codec: func(app kefu.AppID) *wechat.Codec {
			if app == "shop" {
				return codec
			}
			return nil
		},
		Router: routerFunc(func(context.Context, *kefu.Message) kefu.Decision {
			return kefu.Decision{Answer: kefu.Answer{Way: kefu.WayPlain}, At: time.Unix(1, 0), Entry: "cs1", Reason: kefu.ReasonPool}
		}),
		Stopping: func() bool { return false },
		Budget:   time.Second, Logger: zerolog.New(io.Discard).With().Timestamp().Logger(), Registerer: reg, Gatherer: reg, Now: now,
	})
	if err != nil {
		tb.Fatal(err)
	}
	return h
}

// benchFloor is Gin answering "success".
func benchFloor() http.Handler {
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	answer := []byte("success")
	e.POST(callbackPath, func(c *gin.Context) { c.Data(http.StatusOK, "text/plain; charset=utf-8", answer) })
	return e
}

// benchCallbacks are the pushes measured, by name.
func benchCallbacks(tb testing.TB) map[string]*replay {
	tb.Helper()
	xml := `<xml><ToUserName><![CDATA[gh_1]]></ToUserName><FromUserName><![CDATA[` + openid + `]]></FromUserName>` +
		`<CreateTime>1700000000</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[` + words + `]]></Content>` +
		`<MsgId>23637352235060880</MsgId></xml>`
	json := `{"ToUserName":"gh_1","FromUserName":"` + openid + `","CreateTime":1700000000,"MsgType":"text","Content":"` +
		words + `","MsgId":23637352235060880}`
	pushes := make(map[string]*replay)
	for name, message := range map[string]string{"xml": xml, "json": json} {
		pushes["plain/"+name] = newReplay(benchHandler(tb, wechat.Plain), benchTarget(""), message)
		body, ciphertext := benchSafe(message, name == "json")
		pushes["safe/"+name] = newReplay(benchHandler(tb, wechat.Safe), benchTarget(ciphertext), body)
	}
	return pushes
}

func BenchmarkGin(b *testing.B) {
	r := newReplay(benchFloor(), benchTarget(""), "")
	b.ReportAllocs()
	for b.Loop() {
		if r.ask() != http.StatusOK {
			b.Fatal(r.writer.status)
		}
	}
}

func BenchmarkCallback(b *testing.B) {
	for name, r := range benchCallbacks(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if r.ask() != http.StatusOK || r.writer.size < 100 {
					b.Fatal(r.writer.status, r.writer.size)
				}
			}
		})
	}
}

// What a push allocates above Gin's own does not depend on the machine.
func TestCallbackAllocatesLittle(t *testing.T) { //nolint:paralleltest // allocations are counted over all goroutines
	floor := newReplay(benchFloor(), benchTarget(""), "")
	own := testing.AllocsPerRun(200, func() { floor.ask() })
	most := map[string]float64{"plain/xml": 0, "plain/json": 0, "safe/xml": 2, "safe/json": 2}
	for name, r := range benchCallbacks(t) {
		got := testing.AllocsPerRun(200, func() { r.ask() })
		if r.writer.status != http.StatusOK || r.writer.size < 100 {
			t.Errorf("%s: status %d, %d bytes", name, r.writer.status, r.writer.size)
		}
		if got-own > most[name]+race.Allocations {
			t.Errorf("%s: %.0f allocations above Gin's %.0f, want at most %.0f", name, got-own, own, most[name])
		}
	}
}
