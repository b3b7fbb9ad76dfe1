package wechat

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/silenceper/wechat/v2/util"

	"kefud/kefu"
)

const testRandom = "0123456789abcdef"

var testNow = time.Unix(1790000000, 0)

// endless repeats one block of random bytes.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = testRandom[i%len(testRandom)]
	}
	return len(p), nil
}

// mustCodec fills in what the options leave open: an app with both keys, at testNow.
func mustCodec(t testing.TB, o CodecOptions) *Codec {
	t.Helper()
	c, err := NewCodec(withDefaults(o))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func withDefaults(o CodecOptions) CodecOptions {
	o.App, o.AppID, o.Token = "shop", testAppID, testToken
	if o.Key == "" {
		o.Key, o.PreviousKey = testKey, testOldKey
	}
	if o.MaxAge == 0 {
		o.MaxAge = 10 * time.Minute
	}
	o.Now, o.Random = func() time.Time { return testNow }, endless{}
	return o
}

// keyless is withDefaults without keys.
func keyless(t testing.TB) *Codec {
	t.Helper()
	o := withDefaults(CodecOptions{Encryption: Plain})
	o.Key, o.PreviousKey = "", ""
	c, err := NewCodec(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// queryFor signs as WeChat does, by another implementation; ciphertext "" is a
// push in clear.
func queryFor(at time.Time, ciphertext string) Query {
	q := Query{Timestamp: strconv.FormatInt(at.Unix(), 10), Nonce: "1514711492", EncryptType: "raw"}
	q.Signature = util.Signature(testToken, q.Timestamp, q.Nonce)
	if ciphertext != "" {
		q.EncryptType = "aes"
		q.MessageSignature = util.Signature(testToken, q.Timestamp, q.Nonce, ciphertext)
	}
	return q
}

func encryptWith(t testing.TB, key, message string) string {
	t.Helper()
	ciphertext, err := util.EncryptMsg([]byte(testRandom), []byte(message), testAppID, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(ciphertext)
}

// How a push travels.
const (
	inClear  = "clear"
	sealed   = "sealed"   // the ciphertext alone
	beside   = "beside"   // compatible: clear fields with the ciphertext beside them
	lowering = "lowering" // the ciphertext alone, as "encrypt"
)

// wrap gives the query and body of a message that travels so.
func wrap(t testing.TB, way, message string) (Query, string) {
	t.Helper()
	if way == inClear {
		return queryFor(testNow, ""), message
	}
	ciphertext := encryptWith(t, testKey, message)
	q := queryFor(testNow, ciphertext)
	isXML := strings.HasPrefix(message, "<")
	switch {
	case way == beside && isXML:
		return q, strings.TrimSuffix(message, "</xml>") + "<Encrypt><![CDATA[" + ciphertext + "]]></Encrypt></xml>"
	case way == beside:
		return q, strings.TrimSuffix(message, "}") + `,"Encrypt":"` + ciphertext + `"}`
	case way == lowering && isXML:
		return q, "<xml><encrypt>" + ciphertext + "</encrypt></xml>"
	case way == lowering:
		return q, `{"encrypt":"` + ciphertext + `"}`
	case isXML:
		return q, "<xml><ToUserName><![CDATA[other]]></ToUserName><Encrypt><![CDATA[" + ciphertext + "]]></Encrypt></xml>"
	}
	return q, `{"ToUserName":"other","Encrypt":"` + ciphertext + `"}`
}

// A samplePush is one message in both formats.
type samplePush struct {
	name      string
	xml, json string
	want      kefu.Message
}

const (
	sampleUser    = "oAbCdEfGhIjKlMnOpQrStUvWxYz0"
	sampleAccount = "gh_1a2b3c"
	headXML       = "<xml><ToUserName><![CDATA[gh_1a2b3c]]></ToUserName><FromUserName><![CDATA[" + sampleUser + "]]></FromUserName><CreateTime>1789999990</CreateTime>"
	headJSON      = `{"ToUserName":"gh_1a2b3c","FromUserName":"` + sampleUser + `","CreateTime":1789999990,`
	// The digits are more than a float64 holds.
	idXML  = "<MsgId>9007199254740993</MsgId></xml>"
	idJSON = `"MsgId":9007199254740993}`
)

func sampleMessage(m kefu.Message) kefu.Message {
	m.Customer = kefu.CustomerID{App: "shop", User: sampleUser}
	m.Receiver = sampleAccount
	m.At = time.Unix(1789999990, 0).UTC()
	if m.Key == "" {
		m.Key = "9007199254740993"
	}
	return m
}

func samples() []samplePush {
	list := []samplePush{
		{
			"text",
			headXML + "<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[你好 <b>&amp;</b>]]></Content>" + idXML,
			headJSON + `"MsgType":"text","Content":"你好 <b>&amp;</b>",` + idJSON,
			kefu.Message{Kind: kefu.KindText, Type: "text", Text: "你好 <b>&amp;</b>"},
		},
		{
			"image",
			headXML + "<MsgType><![CDATA[image]]></MsgType><PicUrl><![CDATA[https://x/?a=1&b=2]]></PicUrl><MediaId><![CDATA[media]]></MediaId>" + idXML,
			headJSON + `"MsgType":"image","PicUrl":"https:\/\/x\/?a=1&b=2","MediaId":"media",` + idJSON,
			kefu.Message{Kind: kefu.KindImage, Type: "image", URL: "https://x/?a=1&b=2", MediaID: "media"},
		},
		{
			"card",
			headXML + "<MsgType><![CDATA[miniprogrampage]]></MsgType>" +
				"<Title><![CDATA[订单]]></Title><AppId><![CDATA[wx1]]></AppId><PagePath><![CDATA[pages/a?id=1]]></PagePath>" +
				"<ThumbUrl><![CDATA[https://t]]></ThumbUrl><ThumbMediaId><![CDATA[thumb]]></ThumbMediaId>" + idXML,
			headJSON + `"MsgType":"miniprogrampage","Title":"订单","AppId":"wx1","PagePath":"pages/a?id=1","ThumbUrl":"https://t","ThumbMediaId":"thumb",` + idJSON,
			kefu.Message{
				Kind: kefu.KindCard, Type: "miniprogrampage", Title: "订单", CardApp: "wx1",
				Page: "pages/a?id=1", URL: "https://t", MediaID: "thumb",
			},
		},
		{
			"enter",
			headXML + "<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[user_enter_tempsession]]></Event><SessionFrom><![CDATA[cs1]]></SessionFrom></xml>",
			headJSON + `"MsgType":"event","Event":"user_enter_tempsession","SessionFrom":"cs1"}`,
			kefu.Message{Kind: kefu.KindEnter, Type: "user_enter_tempsession", Key: "e:1789999990:user_enter_tempsession:8b44391cb28ca42b", Tag: "cs1"},
		},
		{
			"other event",
			headXML + "<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[kf_create_session]]></Event></xml>",
			headJSON + `"MsgType":"event","Event":"kf_create_session"}`,
			kefu.Message{Kind: kefu.KindEvent, Type: "kf_create_session", Key: "e:1789999990:kf_create_session"},
		},
		{
			"follow",
			headXML + "<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[subscribe]]></Event><EventKey><![CDATA[qrscene_1]]></EventKey></xml>",
			headJSON + `"MsgType":"event","Event":"subscribe","EventKey":"qrscene_1"}`,
			kefu.Message{Kind: kefu.KindFollow, Type: "subscribe", Key: "e:1789999990:subscribe"},
		},
		{
			"unfollow",
			headXML + "<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[unsubscribe]]></Event><EventKey><![CDATA[]]></EventKey></xml>",
			headJSON + `"MsgType":"event","Event":"unsubscribe","EventKey":""}`,
			kefu.Message{Kind: kefu.KindUnfollow, Type: "unsubscribe", Key: "e:1789999990:unsubscribe"},
		},
		{
			"unknown type",
			headXML + "<MsgType><![CDATA[hologram]]></MsgType><Content>a</Content>" + idXML,
			headJSON + `"MsgType":"hologram","Content":"a",` + idJSON,
			kefu.Message{Kind: kefu.KindUnknown, Type: "hologram"},
		},
	}
	for _, kind := range []string{"voice", "video", "shortvideo", "location", "link", "file"} {
		list = append(list, samplePush{
			kind,
			headXML + "<MsgType><![CDATA[" + kind + "]]></MsgType><MediaId><![CDATA[media]]></MediaId>" + idXML,
			headJSON + `"MsgType":"` + kind + `","MediaId":"media",` + idJSON,
			kefu.Message{Kind: kefu.KindMedia, Type: kind, MediaID: "media"},
		})
	}
	for i := range list {
		list[i].want = sampleMessage(list[i].want)
	}
	return list
}

// Every kind of message, in every mode, format and way of traveling.
func TestOpen(t *testing.T) {
	t.Parallel()
	ways := map[Encryption][]string{
		Plain:      {inClear, sealed, beside, lowering},
		Compatible: {inClear, sealed, beside, lowering},
		Safe:       {sealed, beside, lowering},
	}
	for mode, list := range ways {
		c := mustCodec(t, CodecOptions{Encryption: mode})
		for _, way := range list {
			for _, s := range samples() {
				for f, message := range map[string]string{"xml": s.xml, "json": s.json} {
					t.Run(fmt.Sprintf("%s/%s/%s/%s", mode, way, s.name, f), func(t *testing.T) {
						t.Parallel()
						q, body := wrap(t, way, message)
						p, err := c.Open(q, []byte(body))
						if err != nil {
							t.Fatal(err)
						}
						if diff := cmp.Diff(s.want, p.Message); diff != "" {
							t.Errorf("message (-want +got):\n%s", diff)
						}
						if got := p.key != nil; got != (way != inClear) {
							t.Errorf("encrypted: %t", got)
						}
					})
				}
			}
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	message := samples()[0].xml
	messageJSON := samples()[0].json
	other := strings.ReplaceAll(message, sampleUser, "oOther")
	safe, plain := mustCodec(t, CodecOptions{Encryption: Safe}), mustCodec(t, CodecOptions{Encryption: Plain})
	xmlOnly := mustCodec(t, CodecOptions{Encryption: Plain, XMLOnly: true})
	sealedQuery, sealedBody := wrap(t, sealed, message)
	jsonQuery, jsonBody := wrap(t, sealed, messageJSON)
	_, sealedOther := wrap(t, sealed, other)
	_, besideOther := wrap(t, beside, other)
	clearQuery := queryFor(testNow, "")
	foreign := encryptWith(t, strings.Repeat("A", 43), message)
	inner := encryptWith(t, testKey, messageJSON)
	garbage := encryptWith(t, testKey, "success")
	tests := []struct {
		name  string
		codec *Codec
		query Query
		body  string
		want  error
	}{
		{"safe, in clear, XML", safe, clearQuery, message, ErrSignature},
		{"safe, in clear, JSON", safe, clearQuery, messageJSON, ErrSignature},
		{"safe, in clear, with a msg_signature of another push", safe, sealedQuery, message, ErrSignature},
		{"safe, empty ciphertext", safe, queryFor(testNow, ""), "<xml><Encrypt></Encrypt></xml>", ErrSignature},
		{"safe, ciphertext that is a number", safe, clearQuery, `{"Encrypt":1}`, ErrSignature},
		{"ciphertext of another push", safe, sealedQuery, sealedOther, ErrSignature},
		{"plain, ciphertext of another push", plain, sealedQuery, sealedOther, ErrSignature},
		{"plain, ciphertext of another push beside", plain, sealedQuery, besideOther, ErrSignature},
		{"plain, no msg_signature", plain, clearQuery, sealedBody, ErrSignature},
		{"no key, no msg_signature", keyless(t), clearQuery, besideOther, ErrSignature},
		{"no key, ciphertext alone", keyless(t), sealedQuery, sealedBody, ErrUnreadable},
		{"key of nobody", safe, queryFor(testNow, foreign), `{"Encrypt":"` + foreign + `"}`, ErrUnreadable},
		{"official account, JSON", xmlOnly, clearQuery, messageJSON, ErrUnreadable},
		{"official account, encrypted JSON", xmlOnly, jsonQuery, jsonBody, ErrUnreadable},
		{"official account, JSON within XML", xmlOnly, queryFor(testNow, inner), "<xml><Encrypt>" + inner + "</Encrypt></xml>", ErrUnreadable},
		{"ciphertext of no push", safe, queryFor(testNow, garbage), `{"Encrypt":"` + garbage + `"}`, ErrUnreadable},
		{"empty", plain, clearQuery, "", ErrUnreadable},
		{"space", plain, clearQuery, " \r\n", ErrUnreadable},
		{"neither", plain, clearQuery, "signature=x", ErrUnreadable},
		{"JSON array", plain, clearQuery, "[{}]", ErrUnreadable},
		{"JSON cut off", plain, clearQuery, messageJSON[:len(messageJSON)-1], ErrUnreadable},
		{"XML cut off", plain, clearQuery, message[:len(message)-1], ErrUnreadable},
		{"UTF-16", plain, clearQuery, "\xff\xfe<\x00x\x00m\x00l\x00>\x00", ErrUnreadable},
		{"signature of another instant", plain, Query{Signature: clearQuery.Signature, Timestamp: "1790000001", Nonce: clearQuery.Nonce}, message, ErrSignature},
		{"old", plain, queryFor(testNow.Add(-time.Hour), ""), message, ErrStale},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p, err := tt.codec.Open(tt.query, []byte(tt.body))
			if !errors.Is(err, tt.want) {
				t.Fatalf("error %v, want %v", err, tt.want)
			}
			if errors.Is(err, ErrSignature) && errors.Is(err, ErrUnreadable) {
				t.Error("error is of both kinds")
			}
			if diff := cmp.Diff(kefu.Message{}, p.Message); diff != "" {
				t.Errorf("gives a message all the same:\n%s", diff)
			}
			wantNoPayload(t, err, tt.query, tt.body)
		})
	}
}

// wantNoPayload fails if an error shows something of the request.
func wantNoPayload(t *testing.T, err error, q Query, body string) {
	t.Helper()
	for _, secret := range []string{testToken, testKey, q.Signature, q.MessageSignature, q.Nonce, sampleUser, sampleUser[:8], "你好", body} {
		if len(secret) > 3 && strings.Contains(err.Error(), secret) {
			t.Errorf("error %q shows %.20q", err, secret)
		}
	}
}

// The fields beside a ciphertext are anybody's.
func TestOpenIgnoresFieldsBesideCiphertext(t *testing.T) {
	t.Parallel()
	s := samples()[0]
	for f, message := range map[string]string{"xml": s.xml, "json": s.json} {
		for _, mode := range []Encryption{Plain, Compatible, Safe} {
			q, body := wrap(t, beside, message)
			body = strings.Replace(body, sampleUser, "oForged", 1)
			body = strings.Replace(body, "9007199254740993", "1", 1)
			p, err := mustCodec(t, CodecOptions{Encryption: mode}).Open(q, []byte(body))
			if err != nil {
				t.Fatalf("%s, %s: %v", f, mode, err)
			}
			if diff := cmp.Diff(s.want, p.Message); diff != "" {
				t.Errorf("%s, %s: message (-want +got):\n%s", f, mode, diff)
			}
		}
	}
}

// Without a key the clear fields of a compatible push are all there is.
func TestOpenWithoutKey(t *testing.T) {
	t.Parallel()
	s := samples()[0]
	for _, message := range []string{s.xml, s.json} {
		q, body := wrap(t, beside, message)
		c := keyless(t)
		p, err := c.Open(q, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(s.want, p.Message); diff != "" {
			t.Errorf("message (-want +got):\n%s", diff)
		}
		reply, _, err := c.Seal(nil, &p, &kefu.Decision{Answer: kefu.Answer{Way: kefu.WayPlain}, At: testNow})
		if err != nil || !strings.Contains(string(reply), transferType) {
			t.Errorf("answer %q, %v, want one in clear", reply, err)
		}
	}
}

// Of a ciphertext in each spelling the documented one counts, every time.
func TestOpenBothSpellings(t *testing.T) {
	t.Parallel()
	c := mustCodec(t, CodecOptions{Encryption: Safe})
	ciphertext := encryptWith(t, testKey, samples()[0].json)
	body := []byte(`{"encrypt":"AAAA","Encrypt":"` + ciphertext + `","encrypt":"BBBB"}`)
	for range 50 {
		if _, err := c.Open(queryFor(testNow, ciphertext), body); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOpenByteOrderMark(t *testing.T) {
	t.Parallel()
	s := samples()[0]
	c := mustCodec(t, CodecOptions{Encryption: Plain})
	for _, before := range []string{"\ufeff", " \r\n\t", "\ufeff\n", "\ufeff<?xml version=\"1.0\"?>\n<!-- <x> -->\n"} {
		messages := []string{before + s.xml}
		if !strings.Contains(before, "<") {
			messages = append(messages, before+s.json)
		}
		for _, message := range messages {
			for _, way := range []string{inClear, sealed} {
				q, body := queryFor(testNow, ""), message
				if way == sealed {
					ciphertext := encryptWith(t, testKey, message)
					q, body = queryFor(testNow, ciphertext), before+"<xml><Encrypt>"+ciphertext+"</Encrypt></xml>"
				}
				p, err := c.Open(q, []byte(body))
				if err != nil {
					t.Fatalf("%q, %s: %v", before, way, err)
				}
				if diff := cmp.Diff(s.want, p.Message); diff != "" {
					t.Errorf("%q, %s: message (-want +got):\n%s", before, way, diff)
				}
			}
		}
	}
}

// A change of any bit of what is signed is noticed.
func TestOpenTampered(t *testing.T) {
	t.Parallel()
	c := mustCodec(t, CodecOptions{Encryption: Safe})
	message := samples()[0].xml
	ciphertext := encryptWith(t, testKey, message)
	original := queryFor(testNow, ciphertext)
	open := func(q Query, ciphertext string) error {
		body, err := json.Marshal(map[string]string{"Encrypt": ciphertext})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Open(q, body)
		return err
	}
	if err := open(original, ciphertext); err != nil {
		t.Fatal(err)
	}
	flips := map[string]struct {
		text string
		with func(q *Query, text string) string // gives the ciphertext
	}{
		"signature":     {original.Signature, func(q *Query, s string) string { q.Signature = s; return ciphertext }},
		"msg_signature": {original.MessageSignature, func(q *Query, s string) string { q.MessageSignature = s; return ciphertext }},
		"timestamp":     {original.Timestamp, func(q *Query, s string) string { q.Timestamp = s; return ciphertext }},
		"nonce":         {original.Nonce, func(q *Query, s string) string { q.Nonce = s; return ciphertext }},
		"ciphertext":    {ciphertext, func(_ *Query, s string) string { return s }},
	}
	for name, flip := range flips {
		for bit := range 8 * len(flip.text) {
			changed := []byte(flip.text)
			changed[bit/8] ^= 1 << (bit % 8)
			q := original
			sent := flip.with(&q, string(changed))
			if err := open(q, sent); !errors.Is(err, ErrSignature) {
				t.Fatalf("%s, bit %d: %v, want ErrSignature", name, bit, err)
			}
		}
		for _, text := range []string{"", flip.text[1:], flip.text + "0", strings.ToUpper(flip.text)} {
			if text == flip.text {
				continue
			}
			q := original
			sent := flip.with(&q, text)
			if err := open(q, sent); !errors.Is(err, ErrSignature) {
				t.Errorf("%s %q: %v, want ErrSignature", name, text, err)
			}
		}
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	message := samples()[0].json
	both := mustCodec(t, CodecOptions{Encryption: Safe})
	onlyNew := mustCodec(t, CodecOptions{Encryption: Safe, Key: testKey})
	for _, key := range []string{testKey, testOldKey} {
		ciphertext := encryptWith(t, key, message)
		q, body := queryFor(testNow, ciphertext), []byte(`{"Encrypt":"`+ciphertext+`"}`)
		p, err := both.Open(q, body)
		if err != nil {
			t.Fatal(err)
		}
		reply, _, err := both.Seal(nil, &p, &kefu.Decision{Answer: kefu.Answer{Way: kefu.WayPlain}, At: testNow})
		if err != nil {
			t.Fatal(err)
		}
		var got struct{ Encrypt string }
		if err := json.Unmarshal(reply, &got); err != nil {
			t.Fatal(err)
		}
		if _, _, err := util.DecryptMsg(testAppID, got.Encrypt, key); err != nil {
			t.Errorf("the answer is not under the key of the push: %v", err)
		}
		_, err = onlyNew.Open(q, body)
		if want := key == testKey; (err == nil) != want {
			t.Errorf("with one key: %v", err)
		}
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	limit := mustCodec(t, CodecOptions{Encryption: Safe})
	o := withDefaults(CodecOptions{Encryption: Plain})
	o.MaxAge = 0
	anyAge, err := NewCodec(o)
	if err != nil {
		t.Fatal(err)
	}
	signed := func(timestamp, nonce string) Query {
		return Query{Timestamp: timestamp, Nonce: nonce, Signature: util.Signature(testToken, timestamp, nonce), Echo: "echo"}
	}
	noSignature := signed("1790000000", "n")
	noSignature.Signature = ""
	upper := signed("1790000000", "n")
	upper.Signature = strings.ToUpper(upper.Signature)
	tests := []struct {
		name  string
		codec *Codec
		query Query
		want  error
	}{
		{"now", limit, signed("1790000000", "n"), nil},
		{"no nonce", limit, signed("1790000000", ""), nil},
		{"10 minutes ago", limit, signed("1789999400", "n"), nil},
		{"10 minutes ahead", limit, signed("1790000600", "n"), nil},
		{"a second more ago", limit, signed("1789999399", "n"), ErrStale},
		{"a second more ahead", limit, signed("1790000601", "n"), ErrStale},
		{"1970", limit, signed("0", "n"), ErrStale},
		{"negative", limit, signed("-1790000000", "n"), ErrStale},
		{"signed plus", limit, signed("+1790000000", "n"), ErrStale},
		{"no number", limit, signed("now", "n"), ErrStale},
		{"fraction", limit, signed("1790000000.5", "n"), ErrStale},
		{"empty", limit, signed("", "n"), ErrStale},
		{"milliseconds", limit, signed("1790000000000", "n"), ErrStale},
		{"beyond 64 bits", limit, signed("18446744075499551616", "n"), ErrStale},
		{"any age", anyAge, signed("1", "n"), nil},
		{"any age, no number", anyAge, signed("now", "n"), nil},
		{"any age, no signature", anyAge, Query{}, ErrSignature},
		{"no signature", limit, noSignature, ErrSignature},
		{"upper case", limit, upper, ErrSignature},
		{"nothing", limit, Query{}, ErrSignature},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			verified, err := tt.codec.Verify(tt.query, tt.codec.now())
			if !errors.Is(err, tt.want) {
				t.Fatalf("error %v, want %v", err, tt.want)
			}
			// The URL's own question is as good at any age.
			if got, want := tt.codec.VerifyURL(tt.query) == nil, err == nil || errors.Is(err, ErrStale); got != want {
				t.Errorf("VerifyURL accepts: %v, want %v", got, want)
			}
			if err == nil {
				return
			}
			if err := verified.Open([]byte(samples()[0].xml), new(Push)); !errors.Is(err, ErrSignature) {
				t.Errorf("a query that is refused opens a body: %v", err)
			}
			if errors.Is(tt.want, ErrStale) != errors.Is(err, ErrStale) || !errors.Is(err, ErrSignature) {
				t.Errorf("error %v is of the wrong kinds", err)
			}
			wantNoPayload(t, err, tt.query, "")
		})
	}
}

func TestNewCodec(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*CodecOptions)
		want   string
	}{
		{"complete", func(*CodecOptions) {}, ""},
		{"plain without a key", func(o *CodecOptions) { o.Encryption, o.Key, o.PreviousKey, o.AppID = Plain, "", "", "" }, ""},
		{"no clock, no random", func(o *CodecOptions) { o.Now, o.Random = nil, nil }, ""},
		{"no token", func(o *CodecOptions) { o.Token = "" }, "token"},
		{"no encryption", func(o *CodecOptions) { o.Encryption = "" }, `encryption ""`},
		{"unknown encryption", func(o *CodecOptions) { o.Encryption = "aes" }, `encryption "aes"`},
		{"safe without a key", func(o *CodecOptions) { o.Key = "" }, "key: missing"},
		{"compatible without a key", func(o *CodecOptions) { o.Encryption, o.Key = Compatible, "" }, "key: missing"},
		{"only a previous key", func(o *CodecOptions) { o.Encryption, o.Key = Plain, "" }, "previous key: given"},
		{"bad key", func(o *CodecOptions) { o.Key = testKey[1:] }, "key: 42"},
		{"bad previous key", func(o *CodecOptions) { o.PreviousKey = testKey + "x" }, "previous key: 44"},
		{"no app id", func(o *CodecOptions) { o.AppID = "" }, "app id"},
		{"negative age", func(o *CodecOptions) { o.MaxAge = -1 }, "max age"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := withDefaults(CodecOptions{Encryption: Safe})
			tt.change(&o)
			c, err := NewCodec(o)
			if tt.want == "" {
				if err != nil || c == nil {
					t.Fatalf("NewCodec: %v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want one with %q", err, tt.want)
			}
			for _, secret := range []string{testKey[4:12], testOldKey[4:12], testToken} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("error %q shows a secret", err)
				}
			}
		})
	}
}

// What was read of a push stays as it was, though bodies and buffers are used again for
// the next.
func TestPushKeepsItsTexts(t *testing.T) {
	t.Parallel()
	for _, way := range []string{inClear, sealed} {
		for _, s := range samples() {
			for _, message := range []string{s.xml, s.json} {
				c := mustCodec(t, CodecOptions{Encryption: Compatible})
				q, text := wrap(t, way, message)
				body := []byte(text)
				got, err := c.Open(q, body)
				if err != nil {
					t.Fatal(err)
				}
				before := fmt.Sprintf("%+v", got.Message)
				clear(body)
				for range 4 { // whatever the pool gives: one of them is what was decrypted into
					buffer := takeBuffer(0)
					defer putBack(buffer)
					clear((*buffer)[:cap(*buffer)])
				}
				if after := fmt.Sprintf("%+v", got.Message); after != before {
					t.Errorf("%s: %s, and was %s", way, after, before)
				}
			}
		}
	}
}
