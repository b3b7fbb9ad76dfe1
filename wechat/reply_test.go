package wechat

import (
	"encoding/json"
	"encoding/xml"
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

// decided is a decision at an instant that is not now.
func decided(way kefu.Way, account string) *kefu.Decision {
	return &kefu.Decision{Answer: kefu.Answer{Way: way, Agent: "wang", Account: account}, At: time.Unix(1789999000, 999)}
}

const (
	plainXML = "<xml><ToUserName><![CDATA[" + sampleUser + "]]></ToUserName><FromUserName><![CDATA[gh_1a2b3c]]></FromUserName>" +
		"<CreateTime>1789999000</CreateTime><MsgType><![CDATA[transfer_customer_service]]></MsgType>"
	plainJSON = `{"ToUserName":"` + sampleUser + `","FromUserName":"gh_1a2b3c","CreateTime":1789999000,"MsgType":"transfer_customer_service"`
)

func TestSeal(t *testing.T) {
	t.Parallel()
	c := mustCodec(t, CodecOptions{Encryption: Compatible})
	tests := []struct {
		name     string
		decision *kefu.Decision
		xml      string // "" = success
		json     string
	}{
		{"success", decided(kefu.WaySuccess, ""), "", ""},
		{"relay", decided(kefu.WayRelay, "kf1@gh"), "", ""},
		{"undecided", decided(kefu.WayNone, ""), "", ""},
		{"no way at all", decided('X', "kf1@gh"), "", ""},
		{"plain", decided(kefu.WayPlain, ""), plainXML + "</xml>", plainJSON + "}"},
		{"plain names nobody", decided(kefu.WayPlain, "kf1@gh"), plainXML + "</xml>", plainJSON + "}"},
		{
			"named", decided(kefu.WayNamed, "kf2001@gh_1a2b3c"),
			plainXML + "<TransInfo><KfAccount><![CDATA[kf2001@gh_1a2b3c]]></KfAccount></TransInfo></xml>",
			plainJSON + `,"TransInfo":{"KfAccount":"kf2001@gh_1a2b3c"}}`,
		},
		{"named without an account", decided(kefu.WayNamed, ""), plainXML + "</xml>", plainJSON + "}"},
	}
	for _, tt := range tests {
		for _, way := range []string{inClear, sealed, beside} {
			for _, f := range []format{formatXML, formatJSON} {
				t.Run(fmt.Sprintf("%s/%s/%c", tt.name, way, f), func(t *testing.T) {
					t.Parallel()
					message, want, wantType := samples()[0].xml, tt.xml, "text/xml; charset=utf-8"
					if f == formatJSON {
						message, want, wantType = samples()[0].json, tt.json, "application/json; charset=utf-8"
					}
					q, body := wrap(t, way, message)
					p, err := c.Open(q, []byte(body))
					if err != nil {
						t.Fatal(err)
					}
					got, gotType, err := c.Seal(nil, &p, tt.decision)
					if err != nil {
						t.Fatal(err)
					}
					if want == "" {
						if string(got) != "success" || gotType != "text/plain; charset=utf-8" {
							t.Errorf("answer %q as %s, want success in clear", got, gotType)
						}
						return
					}
					if gotType != wantType {
						t.Errorf("Content-Type %q, want %q", gotType, wantType)
					}
					if way != inClear {
						got = unseal(t, f, q, got)
					}
					if diff := cmp.Diff(want, string(got)); diff != "" {
						t.Errorf("answer (-want +got):\n%s", diff)
					}
				})
			}
		}
	}
}

// unseal opens an encrypted answer as WeChat would, with other code than ours.
func unseal(t *testing.T, f format, q Query, body []byte) []byte {
	t.Helper()
	var got struct {
		Encrypt, MsgSignature, Nonce string
		TimeStamp                    int64
	}
	var err error
	if f == formatJSON {
		err = json.Unmarshal(body, &got)
	} else {
		err = xml.Unmarshal(body, &got)
	}
	if err != nil {
		t.Fatalf("read envelope: %v", err)
	}
	if got.TimeStamp != testNow.Unix() || got.Nonce != q.Nonce {
		t.Errorf("TimeStamp %d and Nonce %q, want now and the nonce of the query", got.TimeStamp, got.Nonce)
	}
	if want := util.Signature(testToken, strconv.FormatInt(got.TimeStamp, 10), got.Nonce, got.Encrypt); got.MsgSignature != want {
		t.Errorf("MsgSignature %s, want %s", got.MsgSignature, want)
	}
	random, message, err := util.DecryptMsg(testAppID, got.Encrypt, testKey)
	if err != nil {
		t.Fatal(err)
	}
	if string(random) != testRandom {
		t.Errorf("random bytes %q are not those of the source", random)
	}
	return message
}

// A body and what is encrypted in it may differ in format; the answer follows both.
func TestSealMixedFormats(t *testing.T) {
	t.Parallel()
	c := mustCodec(t, CodecOptions{Encryption: Safe})
	for _, tt := range []struct {
		message, before, after, want, wantType string
		outer                                  format
	}{
		{samples()[0].xml, `{"Encrypt":"`, `"}`, plainXML + "</xml>", typeJSON, formatJSON},
		{samples()[0].json, "<xml><Encrypt>", "</Encrypt></xml>", plainJSON + "}", typeXML, formatXML},
	} {
		ciphertext := encryptWith(t, testKey, tt.message)
		q := queryFor(testNow, ciphertext)
		p, err := c.Open(q, []byte(tt.before+ciphertext+tt.after))
		if err != nil {
			t.Fatal(err)
		}
		got, gotType, err := c.Seal(nil, &p, decided(kefu.WayPlain, ""))
		if err != nil || gotType != tt.wantType {
			t.Fatalf("Seal: %s, %v", gotType, err)
		}
		if diff := cmp.Diff(tt.want, string(unseal(t, tt.outer, q, got))); diff != "" {
			t.Errorf("answer (-want +got):\n%s", diff)
		}
	}
}

// Texts that would end a CDATA section arrive as they were.
func TestSealHostileText(t *testing.T) {
	t.Parallel()
	c := mustCodec(t, CodecOptions{Encryption: Plain})
	for _, account := range []string{"]]>", "a]]>b", "]]]]>>", "<x>&amp;", `"\`, "]]></KfAccount></TransInfo></xml>", "]]>]]>"} {
		for _, f := range []format{formatXML, formatJSON} {
			p := Push{Message: kefu.Message{Customer: kefu.CustomerID{User: sampleUser}, Receiver: "gh]]>"}, inner: f, outer: f}
			body, _, err := c.Seal(nil, &p, decided(kefu.WayNamed, account))
			if err != nil {
				t.Fatal(err)
			}
			var got reply
			if f == formatJSON {
				err = json.Unmarshal(body, &got)
			} else {
				err = xml.Unmarshal(body, &got)
			}
			if err != nil {
				t.Fatalf("%s: %v", body, err)
			}
			want := reply{sampleUser, "gh]]>", 1789999000, transferType, "", transInfo{account}}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%c, account %q (-want +got):\n%s", f, account, diff)
			}
		}
	}
}

// The answer to a repeat is the same, apart from what encryption varies.
func TestSealRepeat(t *testing.T) {
	t.Parallel()
	o := withDefaults(CodecOptions{Encryption: Plain})
	now := testNow
	o.Now = func() time.Time { now = now.Add(time.Second); return now }
	c, err := NewCodec(o)
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.Open(queryFor(testNow, ""), []byte(samples()[0].xml))
	if err != nil {
		t.Fatal(err)
	}
	first, _, err := c.Seal(nil, &p, decided(kefu.WayPlain, ""))
	if err != nil {
		t.Fatal(err)
	}
	second, _, err := c.Seal(nil, &p, decided(kefu.WayPlain, ""))
	if err != nil || string(first) != string(second) {
		t.Errorf("answers %q and %q, %v, want the same", first, second, err)
	}
	undated, _, err := c.Seal(nil, &p, &kefu.Decision{Answer: kefu.Answer{Way: kefu.WayPlain}})
	if err != nil || !strings.Contains(string(undated), "<CreateTime>17900000") {
		t.Errorf("answer without an instant %q, %v, want it of now", undated, err)
	}
}

var errEmpty = errors.New("empty")

type noRandom struct{}

func (noRandom) Read([]byte) (int, error) { return 0, errEmpty }

func TestSealErrors(t *testing.T) {
	t.Parallel()
	o := withDefaults(CodecOptions{Encryption: Safe})
	o.Random = noRandom{}
	c, err := NewCodec(o)
	if err != nil {
		t.Fatal(err)
	}
	q, body := wrap(t, sealed, samples()[0].xml)
	p, err := c.Open(q, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	if got, _, err := c.Seal(nil, &p, decided(kefu.WayPlain, "")); !errors.Is(err, errEmpty) || got != nil {
		t.Errorf("Seal without random bytes = %q, %v", got, err)
	}
	if got, _, err := c.Seal(nil, &p, decided(kefu.WayRelay, "")); err != nil || string(got) != "success" {
		t.Errorf("success needs random bytes: %q, %v", got, err)
	}
	if got, _, err := c.Seal(nil, &Push{}, decided(kefu.WayPlain, "")); err == nil || got != nil {
		t.Errorf("Seal of no push = %q, want an error", got)
	}
	if got, _, err := c.Seal(nil, &Push{}, &kefu.Decision{}); err != nil || string(got) != "success" {
		t.Errorf("success of no push = %q, %v", got, err)
	}
}

// A push that does not name its receiver is answered in the app's own name.
func TestSealWithoutReceiver(t *testing.T) {
	t.Parallel()
	c := mustCodec(t, CodecOptions{Encryption: Plain, OriginalID: "gh_own"})
	p := Push{Message: kefu.Message{Customer: kefu.CustomerID{User: sampleUser}}, inner: formatXML, outer: formatXML}
	body, _, err := c.Seal(nil, &p, &kefu.Decision{Answer: kefu.Answer{Way: kefu.WayPlain}})
	if err != nil {
		t.Fatal(err)
	}
	if want := "<FromUserName><![CDATA[gh_own]]></FromUserName>"; !strings.Contains(string(body), want) {
		t.Errorf("%s lacks %s", body, want)
	}
}
