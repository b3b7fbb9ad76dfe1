package wechat

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/silenceper/wechat/v2/util"

	"kefud/kefu"
)

// wantSound fails if an opened push breaks a promise, or cannot be answered.
func wantSound(t *testing.T, c *Codec, p Push) {
	t.Helper()
	m := p.Message
	named := m.Kind.Routed() || m.Kind == kefu.KindFollow || m.Kind == kefu.KindUnfollow
	if m.Customer.App != "shop" || named && m.Customer.User == "" {
		t.Fatalf("customer %+v of kind %s", m.Customer, m.Kind)
	}
	if len(m.Customer.User) > maxUser || len(m.Receiver) > maxUser || len(m.Tag) > maxTag || len(m.Type) > maxType || len(m.Key) > 256 {
		t.Fatalf("message %+v exceeds a limit", m)
	}
	if m.Key == "" || strings.ContainsAny(string(m.Key), " {}\n\x00") {
		t.Fatalf("key %q", m.Key)
	}
	for _, s := range []string{m.Customer.User, m.Type, m.Text, m.Title, m.Page, m.URL, m.MediaID, m.CardApp, m.Receiver, string(m.Key)} {
		if !utf8.ValidString(s) {
			t.Fatalf("%q is no UTF-8", s)
		}
	}
	if m.Customer.User == "" {
		return
	}
	for _, d := range []*kefu.Decision{decided(kefu.WayNamed, "kf2001@gh_1a2b3c"), texted("a" + m.Text)} {
		body, contentType, err := c.Seal(nil, &p, d)
		if err != nil {
			t.Fatalf("Seal: %v", err)
		}
		var got fields
		f, err := c.parse(body, &got)
		if err != nil || f != p.outer || (f == formatJSON) != (contentType == typeJSON) {
			t.Fatalf("answer %q as %s: %v", body, contentType, err)
		}
		if d.Answer.Text != "" && p.key == nil && got.content != passiveText(d.Answer.Text) {
			t.Fatalf("answer %q, want the text %q", body, d.Answer.Text)
		}
	}
}

// signedFor signs whatever ciphertext the body holds.
func signedFor(c *Codec, body []byte) Query {
	var f fields
	_, err := c.parse(body, &f)
	if err != nil {
		return queryFor(testNow, "")
	}
	return queryFor(testNow, f.encrypt)
}

func FuzzOpen(f *testing.F) {
	for _, s := range samples() {
		for i, way := range []string{inClear, sealed, beside, lowering} {
			_, body := wrap(f, way, s.xml)
			f.Add(byte(i), []byte(body))
			_, body = wrap(f, way, s.json)
			f.Add(byte(i), []byte(body))
		}
	}
	f.Add(byte(1), []byte("\ufeff <xml><Encrypt>AAAA</Encrypt></xml>"))
	codecs := []*Codec{
		mustCodec(f, CodecOptions{Encryption: Plain}), mustCodec(f, CodecOptions{Encryption: Compatible}),
		mustCodec(f, CodecOptions{Encryption: Safe}), mustCodec(f, CodecOptions{Encryption: Plain, XMLOnly: true}), keyless(f),
	}
	f.Fuzz(func(t *testing.T, which byte, body []byte) {
		c := codecs[int(which)%len(codecs)]
		p, err := c.Open(signedFor(c, body), body)
		if err != nil {
			if !errors.Is(err, ErrUnreadable) && (c.encryption != Safe || !errors.Is(err, ErrSignature)) {
				t.Fatalf("error %v", err)
			}
			return
		}
		if c.encryption == Safe && p.key == nil {
			t.Fatal("safe mode opened what is not encrypted")
		}
		wantSound(t, c, p)
	})
}

// openBothWays opens a message in clear and encrypted, which has to be the same.
func openBothWays(t *testing.T, c *Codec, text string) (kefu.Message, bool) {
	t.Helper()
	ciphertext := encryptWith(t, testKey, text)
	p, sealedErr := c.Open(queryFor(testNow, ciphertext), []byte(`{"Encrypt":"`+ciphertext+`"}`))
	var f fields
	_, err := c.parse([]byte(text), &f)
	if err != nil || f.encrypt != "" {
		return kefu.Message{}, false
	}
	inClear, clearErr := c.Open(queryFor(testNow, ""), []byte(text))
	if (sealedErr == nil) != (clearErr == nil) {
		t.Fatalf("encrypted: %v, in clear: %v", sealedErr, clearErr)
	}
	if clearErr != nil {
		return kefu.Message{}, false
	}
	if diff := cmp.Diff(inClear.Message, p.Message); diff != "" {
		t.Fatalf("message (-in clear +encrypted):\n%s", diff)
	}
	wantSound(t, c, inClear)
	return p.Message, true
}

func FuzzMessageXML(f *testing.F) {
	for _, s := range samples() {
		f.Add(s.xml)
	}
	f.Add("<xml><Content>a&amp;&#x4f60;<![CDATA[b]]>c<!-- d --><i e='>'/></Content><?f?></xml>")
	f.Add("<xml><Content><![CDATA[a]]></Content><Content><![CDATA[<![CDATA[]]]]><![CDATA[>]]></Content>")
	f.Add("<!DOCTYPE a><xml/>")
	f.Add("<xml><MsgType>event</MsgType><Event>subscribe</Event></xml>")
	c := mustCodec(f, CodecOptions{Encryption: Plain})
	f.Fuzz(func(t *testing.T, text string) {
		if strings.HasPrefix(text, "<") {
			openBothWays(t, c, text)
		}
		if !comparableXML(text) {
			return
		}
		want, ok := readWithStandardXML(text)
		if !ok {
			return
		}
		if got, ok := readBy(readXML, text); !ok || got != want {
			t.Fatalf("readXML(%q) = %+v, %t, encoding/xml has %+v", text, got, ok, want)
		}
	})
}

func FuzzMessageJSON(f *testing.F) {
	for _, s := range samples() {
		f.Add(s.json)
	}
	f.Add("{\"Content\":\"a\nb\\u4f60\xe6\",\"MsgId\":1e400,\"MsgType\":null}")
	f.Add(`{"MsgId":"0","MsgId":18446744073709551616,"Title":["a",{"b":"}"}]}`)
	f.Add(`{ "encrypt" : "a", "Encrypt" : 12 , "encrypt":"b","Content":"\\\/\n\"" , "CreateTime":0 } `)
	f.Add(`{"CreateTime":01}`)
	f.Add(`{"CreateTime":1.5,"MsgId":-1}`)
	f.Add(`{"Content":"a",}`)
	f.Add(`{}{}`)
	c := mustCodec(f, CodecOptions{Encryption: Plain})
	f.Fuzz(func(t *testing.T, text string) {
		if !strings.HasPrefix(text, "{") {
			return
		}
		openBothWays(t, c, text)
		if got, ok := readBy(scanJSON, text); ok {
			if want, ok := readBy(readStandardJSON, []byte(text)); !ok || got != want {
				t.Fatalf("scanJSON(%q) = %+v, the standard way has %+v, %t", text, got, want, ok)
			}
		}
		members := map[string]any{}
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		if !json.Valid([]byte(text)) || !utf8.ValidString(text) || d.Decode(&members) != nil {
			return
		}
		got, ok := readBy(readJSON, []byte(text))
		if !ok {
			t.Fatalf("readJSON refuses %q", text)
		}
		for name, value := range map[string]string{"Content": got.content, "MsgId": got.msgID, "MsgType": got.msgType, "Title": got.title} {
			want := ""
			switch v := members[name].(type) {
			case string:
				want = v
			case json.Number:
				want = v.String()
			}
			if value != want {
				t.Fatalf("%s is %q, encoding/json has %q", name, value, want)
			}
		}
	})
}

func FuzzDecrypt(f *testing.F) {
	key := mustKey(f, testKey)
	rawKey, err := base64.RawStdEncoding.DecodeString(testKey)
	if err != nil {
		f.Fatal(err)
	}
	for _, message := range []string{"", "a", strings.Repeat("b", 26), strings.Repeat("c", 100)} {
		f.Add([]byte(message), uint32(len(message)), testAppID, byte(0), false)
		f.Add([]byte(message), uint32(len(message)), testAppID+"1", byte(1), false)
		f.Add([]byte(message), uint32(0xfffffffa), "", byte(2), true)
	}
	// The text is put together from its parts, so that most of what is tried
	// comes close to being right; or it is the ciphertext itself.
	f.Fuzz(func(t *testing.T, message []byte, length uint32, receiver string, padding byte, raw bool) {
		ciphertext := message
		if !raw {
			plain := decryptBlocks(key, util.AESEncryptMsg([]byte(testRandom), message, receiver, rawKey))
			copy(plain[randomSize:headerSize], []byte{byte(length >> 24), byte(length >> 16), byte(length >> 8), byte(length)})
			plain[len(plain)-1-int(padding)%len(plain)] ^= padding
			ciphertext = encryptBlocks(key, plain)
		}
		got, ok := key.decrypt(bytes.Clone(ciphertext), []byte(testAppID))
		if !ok {
			if got != nil {
				t.Fatalf("refused, and gives %q", got)
			}
			return
		}
		random, theirs, appID, err := util.AESDecryptMsg(ciphertext, rawKey)
		if err != nil || string(appID) != testAppID || !bytes.Equal(got, theirs) {
			t.Fatalf("decrypt = %q, the other reads %q for %q, %v", got, theirs, appID, err)
		}
		again, err := key.encrypt(new([]byte), bytes.NewReader(random), got, []byte(testAppID))
		if err != nil || string(again) != base64.StdEncoding.EncodeToString(ciphertext) {
			t.Fatalf("encrypted again it is %q, %v", again, err)
		}
	})
}
