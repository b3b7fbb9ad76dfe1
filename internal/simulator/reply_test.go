package simulator

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestGoodAnswersAreTaken(t *testing.T) {
	t.Parallel()
	empty := func(*http.Request, heard) answer { return answer{} }
	inClear := func(_ *http.Request, h heard) answer {
		return answer{contentType: mediaType(h.o.Format), body: string(h.transfer().render(h.o.Format))}
	}
	tests := []struct {
		name   string
		modes  []Mode
		answer func(*http.Request, heard) answer
		want   Answer
		fate   Fate
	}{
		{"transfer", []Mode{Plain, Compatible, Safe}, transfer(""), Answer{Kind: AnswerTransfer}, FateQueued},
		{"named transfer", []Mode{Plain, Compatible, Safe}, transfer("li@gh"), Answer{Kind: AnswerTransfer, KfAccount: "li@gh"}, FateQueued},
		{"transfer in clear", []Mode{Plain, Compatible}, inClear, Answer{Kind: AnswerTransfer}, FateQueued},
		{"success", []Mode{Plain, Compatible, Safe}, success, Answer{Kind: AnswerSuccess}, FateLost},
		{"nothing", []Mode{Plain, Compatible, Safe}, empty, Answer{Kind: AnswerSuccess}, FateLost},
	}
	for _, tt := range tests {
		for _, mode := range tt.modes {
			for _, format := range []Format{XML, JSON} {
				t.Run(fmt.Sprint(tt.name, " ", mode, " ", format), func(t *testing.T) {
					t.Parallel()
					o := account()
					o.Mode, o.Format = mode, format
					w := newWorld(t, Options{}, o)
					w.server.answer = tt.answer
					r := say(t, w.Customer(w.account, "oCustomer"), "你好 <a> & ]]> \"quoted\" \\")
					if len(r.Attempts) != 1 || r.Attempts[0].Answer != tt.want || r.Attempts[0].Wrong != "" || r.Reach.Fate != tt.fate {
						t.Errorf("result = %+v, want %v, %s", r, tt.want, tt.fate)
					}
					if got := w.server.pushes()[0].text("Content"); got != "你好 <a> & ]]> \"quoted\" \\" {
						t.Errorf("the server read %q", got)
					}
				})
			}
		}
	}
}

// replace changes one element of a message; a nil value takes it away.
func replace(f Fields, name string, value any) Fields {
	var out Fields
	for _, field := range f {
		if field.Name == name {
			field.Value = value
		}
		if field.Value != nil {
			out = append(out, field)
		}
	}
	return out
}

func TestWrongAnswersAreRefused(t *testing.T) {
	t.Parallel()
	q := func(mode Mode, format Format) question {
		o := account().withDefaults()
		o.Mode, o.Format = mode, format
		key, _ := parseKey(o.AESKey)
		return question{account: o, key: key, openid: "oCustomer", nonce: "123", now: time.Unix(1_760_000_000, 0), tolerance: time.Minute}
	}
	h := func(q question) heard {
		return heard{query: query("token", "1760000000", "123"), now: q.now, o: q.account, fields: elements{
			"FromUserName": {text: q.openid}, "ToUserName": {text: q.account.OriginalID},
		}}
	}
	changed := func(mode Mode, format Format, name string, value any) (question, answer) {
		q := q(mode, format)
		return q, h(q).seal(replace(h(q).transfer(), name, value))
	}
	envelope := func(format Format, name string, value any) (question, answer) {
		q := q(Safe, format)
		sealed, err := parse(format, []byte(h(q).seal(h(q).transfer()).body))
		if err != nil {
			t.Fatal(err)
		}
		fields := Fields{
			{"Encrypt", sealed["Encrypt"].text},
			{"MsgSignature", sealed["MsgSignature"].text},
			{"TimeStamp", q.now.Unix()},
			{"Nonce", sealed["Nonce"].text},
		}
		return q, answer{contentType: mediaType(format), body: string(replace(fields, name, value).render(format))}
	}
	plain := func(contentType, body string) (question, answer) {
		return q(Plain, XML), answer{contentType: contentType, body: body}
	}
	type made struct {
		q question
		a answer
	}
	of := func(q question, a answer) made { return made{q, a} }
	with := func(m made, change func(*question, *answer)) made {
		change(&m.q, &m.a)
		return m
	}
	good := func(mode Mode, format Format) made { return of(changed(mode, format, "", nil)) }
	xml := func(inner string) made { return of(plain("text/xml", inner)) }
	const head = "<ToUserName>oCustomer</ToUserName><FromUserName>gh_1a2b3c</FromUserName><CreateTime>1760000000</CreateTime>"
	const moved = head + "<MsgType>transfer_customer_service</MsgType>"

	tests := []struct {
		name string
		made made
		want string
	}{
		{"status", with(good(Plain, XML), func(_ *question, a *answer) { a.status = 403 }), "status 403"},
		{"status 204", with(good(Plain, XML), func(_ *question, a *answer) { a.status = 204 }), "status 204"},
		{"too long", of(plain("text/xml", strings.Repeat("x", maxReply+1))), "longer than"},
		{"charset", of(plain("text/xml; charset=gbk", "<xml/>")), "charset is gbk"},
		{"success as html", of(plain("text/html", "success")), "Content-Type \"text/html\" instead of text/plain"},
		{"success in quotes", of(plain("text/plain", `"success"`)), "neither success nor xml"},
		{"success and a newline", of(plain("text/plain", "success\n")), "neither success nor xml"},
		{"JSON for XML", with(good(Plain, JSON), func(q *question, _ *answer) { q.account.Format = XML }), "neither success nor xml"},
		{"XML for JSON", with(good(Plain, XML), func(q *question, _ *answer) { q.account.Format = JSON }), "neither success nor json"},
		{"XML as JSON", with(good(Plain, XML), func(_ *question, a *answer) { a.contentType = "application/json" }), "Content-Type \"application/json\" instead of text/xml"},
		{"JSON as text", with(good(Plain, JSON), func(_ *question, a *answer) { a.contentType = "text/plain" }), "instead of application/json"},
		{"no Content-Type", with(good(Plain, XML), func(_ *question, a *answer) { a.contentType = "" }), "Content-Type \"\""},
		{"encrypted for clear", with(good(Safe, XML), func(q *question, _ *answer) { q.account.Mode = Plain }), "encrypted answer to a push in clear"},
		{"clear for encrypted", with(good(Plain, JSON), func(q *question, _ *answer) { q.account.Mode = Safe }), "in clear to an encrypted push"},
		{"not swapped", with(of(changed(Plain, XML, "ToUserName", "gh_1a2b3c")), func(_ *question, a *answer) {
			a.body = strings.Replace(a.body, "<FromUserName><![CDATA[gh_1a2b3c]]>", "<FromUserName><![CDATA[oCustomer]]>", 1)
		}), "not swapped"},
		{"another customer", of(changed(Safe, JSON, "ToUserName", "oOther")), "ToUserName is not the customer's openid"},
		{"another account", of(changed(Plain, JSON, "FromUserName", "gh_other")), "FromUserName is not the account's original id"},
		{"no ToUserName", of(changed(Plain, XML, "ToUserName", nil)), "ToUserName is missing"},
		{"no CreateTime", of(changed(Plain, JSON, "CreateTime", nil)), "CreateTime is missing"},
		{"empty MsgType", of(changed(Plain, JSON, "MsgType", "")), "MsgType is empty"},
		{"CreateTime in milliseconds", of(changed(Plain, XML, "CreateTime", int64(1_760_000_000_000))), "CreateTime is"},
		{"CreateTime 0", of(changed(Safe, XML, "CreateTime", int64(0))), "CreateTime is"},
		{"CreateTime in words", of(changed(Plain, XML, "CreateTime", "now")), "not a whole number"},
		{"CreateTime as JSON text", of(changed(Plain, JSON, "CreateTime", "1760000000")), "CreateTime has the wrong JSON type"},
		{"ToUserName as JSON number", of(changed(Plain, JSON, "ToUserName", int64(1))), "ToUserName has the wrong JSON type"},
		{"unknown MsgType", of(changed(Plain, XML, "MsgType", "news")), `MsgType "news"`},
		{"passive text", of(changed(Plain, XML, "MsgType", "text")), "mini-programs do not have"},
		{"event", with(good(Plain, XML), func(q *question, _ *answer) { q.event = true }), "a transfer in answer to an event"},
		{"TransInfo where it is a fault", with(xml("<xml>"+moved+"<TransInfo><KfAccount>a@b</KfAccount></TransInfo></xml>"), func(q *question, _ *answer) {
			q.account.Naming = NamingFault
		}), "no part of a mini-program's transfer"},
		{"empty KfAccount", xml("<xml>" + moved + "<TransInfo><KfAccount></KfAccount></TransInfo></xml>"), "does not hold a KfAccount"},
		{"more than KfAccount", xml("<xml>" + moved + "<TransInfo><KfAccount>a@b</KfAccount><X>1</X></TransInfo></xml>"), "does not hold a KfAccount"},
		{"half a KfAccount", xml("<xml>" + moved + "<TransInfo><KfAccount>a</KfAccount></TransInfo></xml>"), "not a full account"},
		{"unknown element", xml("<xml>" + moved + "<Extra>1</Extra></xml>"), "unknown element Extra"},
		{"element twice", xml("<xml>" + moved + head + "</xml>"), "stands twice"},
		{"another root", xml("<other>" + moved + "</other>"), "does not begin with <xml>"},
		{"declaration", xml(`<?xml version="1.0"?><xml>` + moved + "</xml>"), "does not begin with <xml>"},
		{"attribute", xml("<xml>" + head + `<MsgType a="b">text</MsgType></xml>`), "attributes"},
		{"comment", xml("<xml>" + moved + "<!-- x --></xml>"), "comments"},
		{"text between", xml("<xml>x" + moved + "</xml>"), "mixes text"},
		{"no elements", xml("<xml>x</xml>"), "no elements"},
		{"something after", xml("<xml>" + moved + "</xml>success"), "something follows"},
		{"unclosed", xml("<xml>" + moved), "not well-formed"},
		{"JSON and more", with(good(Plain, JSON), func(_ *question, a *answer) { a.body += "{}" }), "something follows"},
		{"JSON cut", with(good(Plain, JSON), func(_ *question, a *answer) { a.body = a.body[:20] }), "not well-formed JSON"},
		{"JSON twice", with(good(Plain, JSON), func(_ *question, a *answer) { a.body = `{"a":"1","a":"2"}` }), "stands twice"},
		{"JSON array", with(good(Plain, JSON), func(_ *question, a *answer) { a.body = `{"a":[1]}` }), "neither text nor number"},
		{"JSON lower case", with(good(Plain, JSON), func(_ *question, a *answer) { a.body = strings.ReplaceAll(a.body, "MsgType", "msgtype") }), "MsgType is missing"},

		{"wrong MsgSignature", of(envelope(XML, "MsgSignature", "0123")), "MsgSignature is not"},
		{"no MsgSignature", of(envelope(JSON, "MsgSignature", nil)), "MsgSignature is missing"},
		{"no Nonce", of(envelope(JSON, "Nonce", nil)), "Nonce is missing"},
		{"TimeStamp as JSON text", of(envelope(JSON, "TimeStamp", "1760000000")), "TimeStamp has the wrong JSON type"},
		{"TimeStamp of another", of(envelope(XML, "TimeStamp", int64(1_760_000_001))), "MsgSignature is not"},
		{"old TimeStamp", with(good(Safe, XML), func(q *question, _ *answer) { q.now = q.now.Add(time.Hour) }), "TimeStamp is 1h0m0s off"},
		{"another nonce", with(good(Safe, XML), func(q *question, _ *answer) { q.nonce = "999" }), "Nonce is not"},
		{"another key", with(good(Safe, JSON), func(q *question, _ *answer) { q.key = make([]byte, 32); q.key[0] = 1 }), "sealed with another key"},
		{"another app", with(good(Safe, XML), func(q *question, _ *answer) { q.account.AppID = "wx2" }), "app id inside"},
		{"more in the envelope", with(good(Safe, XML), func(_ *question, a *answer) {
			a.body = strings.Replace(a.body, "</xml>", "<ToUserName>x</ToUserName></xml>", 1)
		}), "unknown element ToUserName"},
		{"encrypted success", with(good(Safe, JSON), func(q *question, a *answer) { a.body = h(*q).encrypt("success") }), "must not be encrypted"},
		{"encrypted nothing", with(good(Compatible, JSON), func(q *question, a *answer) { a.body = h(*q).encrypt("") }), "must not be encrypted"},
		{"XML inside JSON", with(good(Safe, JSON), func(q *question, a *answer) { a.body = h(*q).encrypt("<xml></xml>") }), "inside Encrypt: the answer is not well-formed JSON"},
		{"JSON inside XML", with(good(Safe, XML), func(q *question, a *answer) { a.body = h(*q).encrypt("{}") }), "inside Encrypt: the answer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := tt.made.a
			if a.status == 0 {
				a.status = http.StatusOK
			}
			got := tt.made.q.judge(response{status: a.status, contentType: a.contentType, body: []byte(a.body)})
			if !strings.Contains(got.wrong, tt.want) || got.answer != (Answer{}) {
				t.Errorf("judged %+v, want %q", got, tt.want)
			}
		})
	}
}

func TestPassiveTextOfAnOfficialAccount(t *testing.T) {
	t.Parallel()
	o := account()
	o.Kind = OfficialAccount
	w := newWorld(t, Options{}, o)
	w.server.answer = func(_ *http.Request, h heard) answer {
		return h.seal(append(replace(h.transfer(), "MsgType", "text"), Field{"Content", "在线"}))
	}
	c := w.Customer(w.account, "oAgent")
	say(t, c, "上线")
	if in := c.Inbox(); len(in) != 1 || in[0].From != FromReply || in[0].Text != "在线" {
		t.Errorf("inbox = %+v", in)
	}
	w.want(t, c, "lost")
}

func TestPassiveTextIsLimited(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{}, board())
	text := strings.Repeat("x", 2048)
	w.server.answer = func(_ *http.Request, h heard) answer {
		return h.seal(append(replace(h.transfer(), "MsgType", "text"), Field{"Content", text}))
	}
	c := w.Customer(w.account, "oAgent")
	if r := say(t, c, "列表"); r.Attempts[0].Wrong != "" {
		t.Errorf("2048 bytes: %+v", r)
	}
	text += "x"
	if r := say(t, c, "列表"); r.Reach.Fate != FateFault || !strings.Contains(r.Attempts[0].Wrong, "2048 bytes") {
		t.Errorf("2049 bytes: %+v", r)
	}
}
