package wechat

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"kefud/kefu"
)

func openClear(t *testing.T, body string) (kefu.Message, error) {
	t.Helper()
	p, err := mustCodec(t, CodecOptions{Encryption: Plain}).Open(queryFor(testNow, ""), []byte(body))
	return p.Message, err
}

// XML and JSON that is odd and still says what it says.
func TestOpenOddities(t *testing.T) {
	t.Parallel()
	said := func(text string) kefu.Message {
		return sampleMessage(kefu.Message{Kind: kefu.KindText, Type: "text", Text: text})
	}
	head := headXML + "<MsgType><![CDATA[text]]></MsgType>"
	headJ := headJSON + `"MsgType":"text",`
	tests := []struct {
		name, body string
		want       kefu.Message
	}{
		{"plain text", head + "<Content>a &lt;b&gt; &amp;amp; &quot;&apos;</Content>" + idXML, said(`a <b> &amp; "'`)},
		{"numbered characters", head + "<Content>&#20320;&#x597d;&#x1F600;</Content>" + idXML, said("你好😀")},
		{"numbers of no character", head + "<Content>&#0;&#xd800;&#x110000;&#99999999999;&#;&#x;</Content>" + idXML, said("&#0;&#xd800;&#x110000;&#99999999999;&#;&#x;")},
		{"unknown entities", head + "<Content>&copy; & &;</Content>" + idXML, said("&copy; & &;")},
		{"two sections", head + "<Content><![CDATA[a]]]]><![CDATA[>b]]></Content>" + idXML, said("a]]>b")},
		{"section and text", head + "<Content>a<![CDATA[<b>]]>c</Content>" + idXML, said("a<b>c")},
		{"comment in text", head + "<Content>a<!-- b -->c</Content>" + idXML, said("ac")},
		{"empty", head + "<Content></Content>" + idXML, said("")},
		{"empty section", head + "<Content><![CDATA[]]></Content>" + idXML, said("")},
		{"empty tag", head + "<Content/>" + idXML, said("")},
		{"empty tag with space", head + "<Content />" + idXML, said("")},
		{"spaces of a text are kept", head + "<Content><![CDATA[ a ]]></Content>" + idXML, said(" a ")},
		{"space of every kind", head + "<Content\ta='1'><![CDATA[a]]></Content><MsgId\r>\t\r\n 9007199254740993 \n\r\t</MsgId\n></xml>", said("a")},
		{"spaces of a number are not", head + "<Content>a</Content><MsgId>\n 9007199254740993 </MsgId></xml>", said("a")},
		{"attributes", head + `<Content a="1 > 0" b='"'>a</Content>` + idXML, said("a")},
		{"tags with space", head + "<Content >a</Content\n>" + idXML, said("a")},
		{"other root", strings.NewReplacer("<xml>", "<other>", "</xml>", "</other>").Replace(head + "<Content>a</Content>" + idXML), said("a")},
		{"after the root", head + "<Content>a</Content>" + idXML + "\n<!", said("a")},
		{"elements within", head + "<Info><Count>1</Count><Content>no</Content><A/><B>&amp;<![CDATA[</Info>]]></B></Info><Content>a</Content>" + idXML, said("a")},
		{"element within a text", head + "<Content>a<i>b</i>c</Content>" + idXML, said("ac")},
		{"same name within", head + "<Content>a<Content>b</Content>c</Content>" + idXML, said("ac")},
		{"deep", head + strings.Repeat("<d>", 5000) + strings.Repeat("</d>", 5000) + "<Content>a</Content>" + idXML, said("a")},
		{"the first counts", head + "<Content>a</Content><Content>b</Content><FromUserName>oOther</FromUserName>" + idXML, said("a")},
		{"declaration of another encoding", `<?xml version="1.0" encoding="GBK"?>` + head + "<Content>a</Content>" + idXML, said("a")},
		{"unknown field", head + "<Recognition><![CDATA[x]]></Recognition><Content>a</Content>" + idXML, said("a")},
		{"stray end tag", head + "</b><Content>a</Content>" + idXML, said("a")},

		// What WeChat sends and XML does not know.
		{"control characters", head + "<Content><![CDATA[a\x02\x10\x1db\x00]]></Content>" + idXML, said("a\x02\x10\x1db\x00")},
		{"character cut apart", head + "<Content><![CDATA[清\xe6\x85]]></Content>" + idXML, said("清\ufffd")},
		{"XML as text", head + "<Content><![CDATA[<a><![CDATA[x]]></a>]]></Content>" + idXML, said("<a><![CDATA[x]]></a>")},
		{"end of section as text", head + "<Content><![CDATA[a]]>b]]]></Content>" + idXML, said("a]]>b]")},
		{
			"text that forges fields",
			head + "<Content><![CDATA[a]]></Content><FromUserName><![CDATA[oOther]]></FromUserName><Content><![CDATA[]]></Content>" + idXML, said("a"),
		},

		{"number as text", headJ + `"Content":"a","MsgId":"9007199254740993"}`, said("a")},
		{"time as text", strings.Replace(headJ, "1789999990", `"1789999990"`, 1) + `"Content":"a",` + idJSON, said("a")},
		{"escapes", headJ + `"Content":"\u4f60\n\"\ud83d\ude00\/",` + idJSON, said("你\n\"😀/")},
		{"half a surrogate", headJ + `"Content":"\ud83d",` + idJSON, said("\ufffd")},
		{"raw control characters", headJ + "\"Content\":\"a\n\x1b[0m\\\\\",\n\t" + idJSON, said("a\n\x1b[0m\\")},
		{"cut apart in JSON", headJ + "\"Content\":\"清\xe6\x85\"," + idJSON, said("清\ufffd")},
		{"odd types", headJ + `"Content":"a","Title":{"a":[1]},"PicUrl":[],"AppId":null,"Event":true,` + idJSON, said("a")},
		{"text of an odd type", headJ + `"Content":["a"],` + idJSON, said("")},
		{"number for text", headJ + `"Content":12345678901234567890.10,` + idJSON, said("12345678901234567890.10")},
		{"the last counts", headJ + `"Content":"b","Content":"a",` + idJSON, said("a")},
		{"other case is another field", headJ + `"Content":"a","content":"b","FROMUSERNAME":"oOther",` + idJSON, said("a")},
		{"deep JSON", headJ + `"Content":"a","X":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + "," + idJSON, said("a")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := openClear(t, tt.body)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOpenUnreadable(t *testing.T) {
	t.Parallel()
	head := headXML + "<MsgType><![CDATA[text]]></MsgType>"
	from := "<FromUserName><![CDATA[" + sampleUser + "]]></FromUserName>"
	tests := map[string]string{
		"entities of a bomb":              `<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>` + head + "<Content>&b;</Content>" + idXML,
		"entity of a file":                `<?xml version="1.0"?><!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]>` + head + "<Content>&f;</Content>" + idXML,
		"DOCTYPE inside":                  head + "<!DOCTYPE x>" + idXML,
		"DOCTYPE that ends":               "<xml><!DOCTYPE x/></xml>",
		"no root":                         "<?xml version='1.0'?>",
		"end tag as root":                 "</xml>",
		"nameless root":                   "<>a</>",
		"nameless element":                "<xml><></xml>",
		"nameless element with a text":    "<xml><>a</x></xml>",
		"nothing behind a sign":           "<xml><",
		"open tag":                        "<xml",
		"open quote":                      `<xml a="><MsgType>text</MsgType></xml>`,
		"open comment":                    "<xml><!-- </xml>",
		"open section":                    "<xml><Content><![CDATA[a</Content></xml>",
		"open instruction":                "<xml><? </xml>",
		"open element":                    "<xml><Content>a</xml>",
		"too many elements":               "<xml>" + strings.Repeat("<a></a>", maxElements) + "</xml>",
		"no FromUserName":                 strings.Replace(head, from, "", 1) + "<Content>a</Content>" + idXML,
		"empty FromUserName":              strings.Replace(head, sampleUser, "", 1) + "<Content>a</Content>" + idXML,
		"long FromUserName":               strings.Replace(head, sampleUser, strings.Repeat("o", maxUser+1), 1) + idXML,
		"FromUserName with a space":       strings.Replace(head, sampleUser, "o o", 1) + idXML,
		"FromUserName that divides a key": strings.Replace(head, sampleUser, "o:seats:wang", 1) + idXML,
		"FromUserName that names a node":  strings.Replace(head, sampleUser, "o{agents}", 1) + idXML,
		"FromUserName that turns a line":  strings.Replace(head, sampleUser, "o\u202e\u0085", 1) + idXML,
		"broken FromUserName":             strings.Replace(head, sampleUser, "o\xff", 1) + idXML,
		"enter without FromUserName": strings.Replace(headXML, from, "", 1) +
			"<MsgType>event</MsgType><Event>user_enter_tempsession</Event></xml>",
		"FromUserName of an odd type": `{"FromUserName":{"a":1},"MsgType":"text"}`,
		"too deep JSON":               `{"a":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`,
		"JSON with a lone comma":      `{"MsgType":"text",}`,
		"two JSON objects":            `{}{}`,
	}
	for name, body := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := openClear(t, body)
			if !errors.Is(err, ErrUnreadable) {
				t.Fatalf("error %v, want ErrUnreadable; message %+v", err, m)
			}
			wantNoPayload(t, err, queryFor(testNow, ""), body)
		})
	}
}

// What nobody has to route needs no sender and no fields at all.
func TestOpenNotRouted(t *testing.T) {
	t.Parallel()
	tests := map[string]kefu.Message{
		`{}`:                              {Key: "t:::" + kefu.MessageKey(digest("\x00\x00\x00\x00"))},
		`<xml></xml>`:                     {Key: "t:::" + kefu.MessageKey(digest("\x00\x00\x00\x00"))},
		`<xml/>`:                          {Key: "t:::" + kefu.MessageKey(digest("\x00\x00\x00\x00"))},
		`{"action":"CheckContainerPath"}`: {Key: "t:::" + kefu.MessageKey(digest("\x00\x00\x00\x00"))},
		`{"MsgType":"event","Event":"x","CreateTime":1.5}`:          {Kind: kefu.KindEvent, Type: "x", Key: "e:1.5:x"},
		`{"MsgType":"event"}`:                                       {Kind: kefu.KindEvent, Type: "event", Key: "e::"},
		`{"MsgType":"event","Event":"subscribe","CreateTime":1}`:    {Kind: kefu.KindEvent, Type: "subscribe", Key: "e:1:subscribe", At: time.Unix(1, 0).UTC()},
		`{"MsgType":"event","Event":"unsubscribe"}`:                 {Kind: kefu.KindEvent, Type: "unsubscribe", Key: "e::unsubscribe"},
		`{"MsgType":"Text","MsgId":1}`:                              {Type: "Text", Key: "1"},
		`{"MsgType":"hologram","MsgId":2,"FromUserName":"o\u0000"}`: {Type: "hologram", Key: "2"},
	}
	for body, want := range tests {
		got, err := openClear(t, body)
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		want.Customer.App = "shop"
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: message (-want +got):\n%s", body, diff)
		}
	}
}

func TestMessageKey(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("1", 65)
	tests := []struct {
		name string
		f    fields
		want kefu.MessageKey
	}{
		{"64 bits", fields{msgID: "18446744073709551615", msgType: "text"}, "18446744073709551615"},
		{"more than 64 bits", fields{msgID: "340282366920938463463374607431768211455"}, "340282366920938463463374607431768211455"},
		{
			"of WeChat's own sample",
			fields{msgID: "49d72d67b16d115e7935ac386f2f0fa41535298877_1555684067"},
			"49d72d67b16d115e7935ac386f2f0fa41535298877_1555684067",
		},
		{"64 characters", fields{msgID: long[:64]}, kefu.MessageKey(long[:64])},
		{"too long", fields{msgID: long}, kefu.MessageKey("~" + digest(long))},
		{"looks like an event's", fields{msgID: "e:1:x"}, kefu.MessageKey("~" + digest("e:1:x"))},
		{"with braces", fields{msgID: "{1}"}, kefu.MessageKey("~" + digest("{1}"))},
		{"looks like a digest", fields{msgID: "~" + digest(long)}, kefu.MessageKey("~" + digest("~"+digest(long)))},
		{"event", fields{msgType: "event", event: "user_enter_tempsession", createTime: "1"}, "e:1:user_enter_tempsession"},
		{"event, whatever MsgId it has", fields{msgType: "event", event: "user_enter_tempsession", createTime: "1", msgID: "7"}, "e:1:user_enter_tempsession"},
		{"one button", fields{msgType: "event", event: "user_enter_tempsession", createTime: "1", sessionFrom: "cs1"}, "e:1:user_enter_tempsession:8b44391cb28ca42b"},
		{"another within the same second", fields{msgType: "event", event: "user_enter_tempsession", createTime: "1", sessionFrom: "cs2"}, "e:1:user_enter_tempsession:27321e07197e4d90"},
		{"event with a colon", fields{msgType: "event", event: "a:b", createTime: "1"}, kefu.MessageKey("e:1:~" + digest("a:b"))},
		{"MsgId 0 is none", fields{msgType: "event", event: "x", createTime: "1", msgID: "0"}, "e:1:x"},
		{"message without", fields{msgType: "text", createTime: "1", content: "a"}, kefu.MessageKey("t:1:text:" + digest("a\x00\x00\x00\x00"))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := tt.f.key(); got != tt.want {
				t.Errorf("key %q, want %q", got, tt.want)
			}
		})
	}
}

// Two messages of one second without MsgIds are two, the same one again is one.
func TestMessageKeyWithoutID(t *testing.T) {
	t.Parallel()
	seen := map[kefu.MessageKey]string{}
	for _, f := range []fields{
		{msgType: "text", content: "a"},
		{msgType: "text", content: "b"},
		{msgType: "image", mediaID: "a"},
		{msgType: "image", mediaID: "b"},
		{msgType: "miniprogrampage", title: "a"},
		{msgType: "miniprogrampage", pagePath: "a"},
		{msgType: "miniprogrampage", thumbMediaID: "a"},
	} {
		f.createTime = "1"
		key := f.key()
		if key != f.key() {
			t.Errorf("%+v: another key the second time", f)
		}
		if other, ok := seen[key]; ok {
			t.Errorf("%+v has the key of %s", f, other)
		}
		seen[key] = string(key)
	}
}

func TestMessageLimits(t *testing.T) {
	t.Parallel()
	// 999 bytes of text and the first byte of another character.
	cut := strings.Repeat("标", 333) + "\xe6"
	tag := func(body string) string {
		m, err := openClear(t, body)
		if err != nil {
			t.Fatal(err)
		}
		return m.Tag
	}
	enter := headXML + "<MsgType>event</MsgType><Event>user_enter_tempsession</Event><SessionFrom><![CDATA["
	enterJSON := headJSON + `"MsgType":"event","Event":"user_enter_tempsession","SessionFrom":"`
	for _, got := range []string{
		tag(enter + cut + "]]></SessionFrom></xml>"),
		tag(enterJSON + cut + `"}`),
		tag(enter + cut + "\xa0\x87标签]]></SessionFrom></xml>"),
		tag(enterJSON + `\u6807` + cut[3:] + "\"}"),
	} {
		if got != cut {
			t.Errorf("tag of %d bytes, ends with %q; want %d bytes as they were", len(got), got[max(0, len(got)-4):], len(cut))
		}
	}
	for _, absent := range []string{
		headXML + "<MsgType>event</MsgType><Event>user_enter_tempsession</Event></xml>",
		headJSON + `"MsgType":"event","Event":"user_enter_tempsession"}`,
		headJSON + `"MsgType":"event","Event":"user_enter_tempsession","SessionFrom":null}`,
	} {
		if got := tag(absent); got != "" {
			t.Errorf("tag %q, want none", got)
		}
	}
	m, err := openClear(t, `{"MsgType":"`+strings.Repeat("类", 30)+`","MsgId":1}`)
	if err != nil || m.Type != strings.Repeat("类", 21) {
		t.Errorf("type %q, %v, want 21 characters", m.Type, err)
	}
	m, err = openClear(t, "<xml><MsgType>a\xff</MsgType></xml>")
	if err != nil || m.Type != "a\ufffd" {
		t.Errorf("type %q, %v", m.Type, err)
	}
}

func TestInstant(t *testing.T) {
	t.Parallel()
	tests := map[string]time.Time{
		"1714112445":           time.Unix(1714112445, 0).UTC(),
		"":                     {},
		"0":                    {},
		"-1":                   {},
		"1.5":                  {},
		"1e9":                  {},
		"1714112445000":        {},
		"99999999999999999999": {},
	}
	for createTime, want := range tests {
		if got := instant(createTime); !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("instant(%q) = %v, want %v", createTime, got, want)
		}
	}
}

// readWithStandardXML reads as readXML does, with encoding/xml.
func readWithStandardXML(s string) (fields, bool) {
	var f fields
	d := xml.NewDecoder(strings.NewReader(s))
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	var name string
	var text strings.Builder
	for depth := 0; ; {
		token, err := d.Token()
		if err != nil {
			return f, false
		}
		switch token := token.(type) {
		case xml.Directive:
			return f, false
		case xml.StartElement:
			if depth++; depth == 2 {
				name = token.Name.Local
				text.Reset()
			}
		case xml.CharData:
			if depth == 2 {
				text.Write(token)
			}
		case xml.EndElement:
			if depth == 2 {
				f.setXML(name, text.String())
			}
			if depth--; depth == 0 {
				return f, true
			}
		}
	}
}

// comparableXML tells whether encoding/xml and readXML have to agree: the text
// is XML, without what readXML reads in WeChat's own way.
func comparableXML(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsAny(s, "\r:") && strings.Count(s, "<") <= maxElements &&
		(strings.Count(s, cdataClose) <= 1 || !strings.Contains(s, cdataOpen))
}

func TestReadXMLAgainstStandard(t *testing.T) {
	t.Parallel()
	for _, s := range samples() {
		want, ok := readWithStandardXML(s.xml)
		if !ok {
			t.Fatalf("%s: encoding/xml refuses the sample", s.name)
		}
		got, ok := readBy(readXML, s.xml)
		if !ok || got != want {
			t.Errorf("%s: %+v, %t, want %+v", s.name, got, ok, want)
		}
	}
}

func TestEscapeControls(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"{\"a\":\"b\nc\"}":                  `{"a":"b\u000ac"}`,
		"{\n\"a\" :\t\"\\\"\x01\\\\\"\n}":   "{\n\"a\" :\t\"\\\"\\u0001\\\\\"\n}",
		"{\"a\":\"\\\\\",\n\"b\":\"\x1f\"}": "{\"a\":\"\\\\\",\n\"b\":\"\\u001f\"}",
		"{\"a\x00\":1}":                     `{"a\u0000":1}`,
	}
	for text, want := range tests {
		got := string(escapeControls([]byte(text)))
		if got != want {
			t.Errorf("escapeControls(%q) = %q, want %q", text, got, want)
		}
		if !json.Valid([]byte(got)) {
			t.Errorf("%q is no JSON", got)
		}
	}
}

// Sections that end late are looked for to the end of the body: a few times, as
// customers' texts may need, not as often as fit in.
func TestSectionsThatEndLate(t *testing.T) {
	t.Parallel()
	const from = "<FromUserName>o1</FromUserName><MsgType>text</MsgType>"
	for n, want := range map[int]bool{1: true, maxOdd: true, maxOdd + 1: false, maxElements - 10: false} {
		_, ok := readBy(readXML, "<xml>"+strings.Repeat("<a><![CDATA[b]]> </a>", n)+from+"</xml>")
		if ok != want {
			t.Errorf("%d of them: read %t, want %t", n, ok, want)
		}
	}
}

// readBy gives what one of the readers of this package makes of a text.
func readBy[Text any](read func(Text, *fields) bool, text Text) (fields, bool) {
	var f fields
	ok := read(text, &f)
	return f, ok
}
