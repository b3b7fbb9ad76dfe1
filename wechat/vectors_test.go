package wechat

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/silenceper/wechat/v2/util"

	"kefud/kefu"
)

// A vector is a published example: WeChat's own, or one that another
// implementation tests itself with. Source says where it stands.
type vector struct {
	ID           string  `json:"id"`
	Kind         string  `json:"kind"`
	Source       string  `json:"source"`
	Token        *string `json:"token"`
	Key          string  `json:"aes_key"`
	AppID        string  `json:"appid_or_corpid"`
	Timestamp    string  `json:"timestamp"`
	Nonce        string  `json:"nonce"`
	Signature    string  `json:"signature"`
	MsgSignature string  `json:"msg_signature"`
	Echo         string  `json:"echostr"`
	Encrypted    string  `json:"encrypted"`
	Expected     *string `json:"expected_plaintext"` // as published
	Plain        string  `json:"decrypted_plaintext"`
	Random       string  `json:"decrypted_random16"`
	Receiver     string  `json:"decrypted_receive_id"`
}

func loadVectors(t *testing.T) []vector {
	t.Helper()
	raw, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []vector
	if err := json.Unmarshal(raw, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors) == 0 {
		t.Fatal("no vectors")
	}
	return vectors
}

func (v vector) token() string {
	if v.Token == nil {
		return "any"
	}
	return *v.Token
}

// query is the URL's part; a signature that was not published is made by the
// other implementation.
func (v vector) query() Query {
	q := Query{
		Signature: v.Signature, MessageSignature: v.MsgSignature,
		Timestamp: v.Timestamp, Nonce: v.Nonce, EncryptType: "aes", Echo: v.Echo,
	}
	if q.Signature == "" {
		q.Signature = util.Signature(v.token(), v.Timestamp, v.Nonce)
	}
	return q
}

// codec is the app that the vector was made for, at the vector's instant.
func (v vector) codec(t *testing.T, mode Encryption) *Codec {
	t.Helper()
	seconds, err := strconv.ParseInt(v.Timestamp, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewCodec(CodecOptions{
		App: "shop", AppID: v.AppID, Token: v.token(), Key: v.Key, Encryption: mode, MaxAge: 10 * time.Minute,
		Now:    func() time.Time { return time.Unix(seconds, 0) },
		Random: strings.NewReader(v.Random),
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What a vector of each kind has to show. A kind that is not here is a vector
// nobody checks.
var vectorChecks = map[string][]func(*testing.T, vector){
	"plain_signature": {checkVectorSignature},
	"signature_only":  {checkVectorMessageSignature},
	"push_json":       {checkVectorSignature, checkVectorMessageSignature, checkVectorCipher, checkVectorPush},
	"push_xml":        {checkVectorSignature, checkVectorMessageSignature, checkVectorCipher, checkVectorPush},
	"reply_json":      {checkVectorMessageSignature, checkVectorCipher, checkVectorReply},
	"reply_xml":       {checkVectorMessageSignature, checkVectorCipher, checkVectorReply},
	"encrypt_only":    {checkVectorCipher},
	"wecom_echostr":   {checkVectorMessageSignature, checkVectorCipher},
}

func TestVectors(t *testing.T) {
	t.Parallel()
	for _, v := range loadVectors(t) {
		t.Run(v.ID, func(t *testing.T) {
			t.Parallel()
			if v.Source == "" {
				t.Error("no source")
			}
			checks := vectorChecks[v.Kind]
			if checks == nil {
				t.Fatalf("kind %q is checked by nothing", v.Kind)
			}
			for _, check := range checks {
				check(t, v)
			}
		})
	}
}

func checkVectorSignature(t *testing.T, v vector) {
	t.Helper()
	c := v.codec(t, Plain)
	if _, err := c.Verify(v.query(), c.now()); err != nil {
		t.Errorf("Verify: %v", err)
	}
	if v.Signature != "" && signed(v.token(), v.Timestamp, v.Nonce) != v.Signature {
		t.Error("sign gives another signature")
	}
}

func checkVectorMessageSignature(t *testing.T, v vector) {
	t.Helper()
	if got := signed(v.token(), v.Timestamp, v.Nonce, v.Encrypted); got != v.MsgSignature {
		t.Errorf("sign = %s, want %s", got, v.MsgSignature)
	}
	if err := v.codec(t, Plain).verifyCiphertext(nil, v.query(), v.Encrypted); err != nil {
		t.Errorf("verifyCiphertext: %v", err)
	}
}

func checkVectorCipher(t *testing.T, v vector) {
	t.Helper()
	key, err := newCipherKey(v.Key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base64.StdEncoding.DecodeString(v.Encrypted)
	if err != nil {
		t.Fatal(err)
	}
	if v.Receiver != v.AppID {
		t.Errorf("receiver %q, want %q", v.Receiver, v.AppID)
	}
	got, ok := key.decrypt(bytes.Clone(raw), []byte(v.AppID))
	if !ok {
		t.Fatal("decrypt refused")
	}
	if diff := cmp.Diff(v.Plain, string(got)); diff != "" {
		t.Errorf("decrypt (-want +got):\n%s", diff)
	}
	if v.Expected != nil && string(got) != *v.Expected {
		t.Errorf("decrypt = %q, published %q", got, *v.Expected)
	}
	for _, other := range []string{"", v.AppID + "0", v.AppID[1:], "wx0000000000000000"} {
		if _, ok := key.decrypt(bytes.Clone(raw), []byte(other)); ok {
			t.Errorf("decrypt for receiver %q succeeds", other)
		}
	}
	again, err := key.encrypt(new([]byte), strings.NewReader(v.Random), []byte(v.Plain), []byte(v.AppID))
	if err != nil || string(again) != v.Encrypted {
		t.Errorf("encrypt = %s, %v, want %s", again, err, v.Encrypted)
	}
}

// vectorMessages are the messages of the push vectors.
var vectorMessages = map[string]kefu.Message{
	"official-mp-aes-push-json": {
		Customer: kefu.CustomerID{App: "shop", User: "o9AgO5Kd5ggOC-bXrbNODIiE3bGY"}, Receiver: "gh_97417a04a28d",
		Kind: kefu.KindEvent, Type: "debug_demo", Key: "e:1714112445:debug_demo", At: time.Unix(1714112445, 0).UTC(),
	},
	"official-3rdparty-aes-push-xml": {
		Customer: kefu.CustomerID{App: "shop", User: "o9AgO5Kd5ggOC-bXrbNODIiE3bGY"}, Receiver: "gh_97417a04a28d",
		Kind: kefu.KindEvent, Type: "debug_demo", Key: "e:1715943329:debug_demo", At: time.Unix(1715943329, 0).UTC(),
	},
	"wechatpy-work-decrypt": {
		Customer: kefu.CustomerID{App: "shop", User: "messense"}, Receiver: "wx49f0ab532d5d035a",
		Kind: kefu.KindText, Type: "text", Key: "4363689963896700987", At: time.Unix(1411525903, 0).UTC(), Text: "test",
	},
}

func checkVectorPush(t *testing.T, v vector) {
	t.Helper()
	body := `{"ToUserName":"gh_97417a04a28d","Encrypt":"` + v.Encrypted + `"}`
	if v.Kind == "push_xml" {
		body = "<xml><ToUserName><![CDATA[gh_97417a04a28d]]></ToUserName><Encrypt><![CDATA[" + v.Encrypted + "]]></Encrypt></xml>"
	}
	want, ok := vectorMessages[v.ID]
	if !ok {
		t.Fatal("no message to compare with")
	}
	for _, mode := range []Encryption{Plain, Compatible, Safe} {
		p, err := v.codec(t, mode).Open(v.query(), []byte(body))
		if err != nil {
			t.Fatalf("Open, %s: %v", mode, err)
		}
		if diff := cmp.Diff(want, p.Message); diff != "" {
			t.Errorf("Open, %s (-want +got):\n%s", mode, diff)
		}
	}
}

func checkVectorReply(t *testing.T, v vector) {
	t.Helper()
	c := v.codec(t, Safe)
	r, err := c.encrypted(new([]byte), &Push{key: c.keys[0], nonce: v.Nonce}, []byte(v.Plain))
	if err != nil {
		t.Fatal(err)
	}
	f := formatJSON
	want := `{"Encrypt":"` + v.Encrypted + `","MsgSignature":"` + v.MsgSignature + `","TimeStamp":` + v.Timestamp + `,"Nonce":"` + v.Nonce + `"}`
	if v.Kind == "reply_xml" {
		f = formatXML
		want = "<xml><Encrypt><![CDATA[" + v.Encrypted + "]]></Encrypt><MsgSignature><![CDATA[" + v.MsgSignature +
			"]]></MsgSignature><TimeStamp>" + v.Timestamp + "</TimeStamp><Nonce><![CDATA[" + v.Nonce + "]]></Nonce></xml>"
	}
	got := r.write(nil, f)
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("reply (-want +got):\n%s", diff)
	}
}
