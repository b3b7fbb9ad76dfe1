package wechat

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"kefud/kefu"
)

// texted is a decision for a passive text, at the instant of decided.
func texted(text string) *kefu.Decision {
	d := decided(kefu.WayText, "")
	d.Answer.Text = text
	return d
}

const textXML = "<xml><ToUserName><![CDATA[" + sampleUser + "]]></ToUserName><FromUserName><![CDATA[gh_1a2b3c]]></FromUserName>" +
	"<CreateTime>1789999000</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA["

func TestSealText(t *testing.T) {
	t.Parallel()
	ways := map[Encryption][]string{Plain: {inClear}, Compatible: {inClear, sealed, beside}, Safe: {sealed}}
	for _, tt := range []struct{ name, text, want string }{
		{"text", "好的 <a>&amp;</a>", "好的 <a>&amp;</a>"},
		{"lines", "a\r\nb\tc\u2028d", "a\nb\tc\nd"},
		{"control characters", "a\x00\x1b\x7f\ufffe\uffffb", "ab"},
		{"broken UTF-8", "a\xe4\xbdb", "a\ufffd\ufffdb"},
		{"2048 bytes", strings.Repeat("x", 2048), strings.Repeat("x", 2048)},
		{"2049 bytes", strings.Repeat("x", 2049), strings.Repeat("x", 2045) + "…"},
		{"cut at a character", strings.Repeat("好", 700), strings.Repeat("好", 681) + "…"},
		{"cut before a character", strings.Repeat("x", 2044) + "😀😀", strings.Repeat("x", 2044) + "…"},
		{"nothing", "", ""},
		{"spaces", " \n", ""},
		{"nothing that can be seen", "\x00\uffff", ""},
	} {
		for mode, list := range ways {
			c := mustCodec(t, CodecOptions{Encryption: mode, XMLOnly: true})
			for _, way := range list {
				t.Run(fmt.Sprintf("%s/%s/%s", tt.name, mode, way), func(t *testing.T) {
					t.Parallel()
					q, body := wrap(t, way, samples()[0].xml)
					p, err := c.Open(q, []byte(body))
					if err != nil {
						t.Fatal(err)
					}
					got, gotType, err := c.Seal(nil, &p, texted(tt.text))
					if err != nil {
						t.Fatal(err)
					}
					if tt.want == "" {
						if string(got) != "success" || gotType != typeText {
							t.Errorf("answer %q as %s, want success in clear", got, gotType)
						}
						return
					}
					if gotType != typeXML {
						t.Errorf("Content-Type %q, want %q", gotType, typeXML)
					}
					if way != inClear {
						got = unseal(t, formatXML, q, got)
					}
					if diff := cmp.Diff(textXML+tt.want+"]]></Content></xml>", string(got)); diff != "" {
						t.Errorf("answer (-want +got):\n%s", diff)
					}
				})
			}
		}
	}
}

// A text reads as it was, whoever reads the XML.
func TestSealTextHostile(t *testing.T) {
	t.Parallel()
	c := mustCodec(t, CodecOptions{Encryption: Plain})
	p := Push{Message: kefu.Message{Customer: kefu.CustomerID{User: sampleUser}, Receiver: sampleAccount}, inner: formatXML, outer: formatXML}
	for _, text := range []string{"好的", "<x>&amp;", "]]>", "a]]>b]]>", "]]]]>>", `"\`, "]]></Content></xml>", " a\n"} {
		body, _, err := c.Seal(nil, &p, texted(text))
		if err != nil {
			t.Fatal(err)
		}
		var got reply
		if err := xml.Unmarshal(body, &got); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		want := reply{ToUserName: sampleUser, FromUserName: sampleAccount, CreateTime: 1789999000, MsgType: "text", Content: text}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q is %s (-want +got):\n%s", text, body, diff)
		}
		if ours, ok := readBy(readXML, string(body)); !ok || ours.content != text {
			t.Errorf("readXML of %s: %q", body, ours.content)
		}
	}
}

func TestSealTextInJSON(t *testing.T) {
	t.Parallel()
	c := mustCodec(t, CodecOptions{Encryption: Plain})
	p, err := c.Open(queryFor(testNow, ""), []byte(samples()[0].json))
	if err != nil {
		t.Fatal(err)
	}
	got, gotType, err := c.Seal(nil, &p, texted("好的"))
	want := `{"ToUserName":"` + sampleUser + `","FromUserName":"gh_1a2b3c","CreateTime":1789999000,"MsgType":"text","Content":"好的"}`
	if err != nil || gotType != typeJSON || string(got) != want {
		t.Errorf("answer %s as %s, %v; want %s", got, gotType, err, want)
	}
	if !json.Valid(got) || !utf8.Valid(got) {
		t.Error("no JSON")
	}
}

func TestSealTextErrors(t *testing.T) {
	t.Parallel()
	o := withDefaults(CodecOptions{Encryption: Safe})
	o.Random = bytes.NewReader(nil)
	c, err := NewCodec(o)
	if err != nil {
		t.Fatal(err)
	}
	q, body := wrap(t, sealed, samples()[0].xml)
	p, err := c.Open(q, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, push := range map[string]Push{"without random bytes": p, "of no push": {}} {
		if got, _, err := c.Seal(nil, &push, texted("SECRET")); err == nil || got != nil || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("Seal %s = %q, %v; want an error without the text", name, got, err)
		}
	}
	if got, _, err := c.Seal(nil, &Push{}, texted("")); err != nil || string(got) != "success" {
		t.Errorf("nothing to nobody: %q, %v", got, err)
	}
}

// A text has the instant of the decision, so that a repeat is answered the same.
func TestSealTextInstant(t *testing.T) {
	t.Parallel()
	c := mustCodec(t, CodecOptions{Encryption: Plain})
	p := Push{Message: kefu.Message{Customer: kefu.CustomerID{User: sampleUser}}, inner: formatXML, outer: formatXML}
	d := texted("a")
	d.At = time.Time{}
	body, _, err := c.Seal(nil, &p, d)
	if want := fmt.Sprintf("<CreateTime>%d<", testNow.Unix()); err != nil || !strings.Contains(string(body), want) {
		t.Errorf("%s lacks %s, %v", body, want, err)
	}
}
