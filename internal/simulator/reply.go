package simulator

import (
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// An AnswerKind is what a server answered a push with.
type AnswerKind string

// The answers that exist.
const (
	AnswerNone     AnswerKind = ""
	AnswerSuccess  AnswerKind = "success"  // "success", or a body of zero bytes
	AnswerTransfer AnswerKind = "transfer" // transfer_customer_service
	AnswerText     AnswerKind = "text"     // a passive text; official accounts only
)

// An Answer is what a server's good answer means.
type Answer struct {
	Kind      AnswerKind
	KfAccount string // AnswerTransfer: the agent it names; "" = none
}

// String tells the answer in words.
func (a Answer) String() string {
	if a.KfAccount != "" {
		return string(a.Kind) + " to " + a.KfAccount
	}
	return string(a.Kind)
}

// A response is what came back for a push.
type response struct {
	status      int
	contentType string
	body        []byte
}

// A verdict is what a response was judged to be.
type verdict struct {
	answer Answer
	text   string // of AnswerText
	wrong  string // the rule it breaks; "" = none
}

// A question is a push as far as its answer is judged by it.
type question struct {
	account   AccountOptions
	key       []byte
	openid    string
	nonce     string
	event     bool
	now       time.Time
	tolerance time.Duration
}

// judge checks a response by every rule there is. Unless another address stands
// by a rule, it is from
// https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html, read 2026-11.
func (q question) judge(r response) verdict {
	if r.status != http.StatusOK {
		return refuse("status %d instead of 200", r.status)
	}
	if len(r.body) > maxReply {
		return refuse("the answer is longer than %d bytes", maxReply)
	}
	media, params, err := mime.ParseMediaType(r.contentType)
	if charset := params["charset"]; err == nil && charset != "" && !strings.EqualFold(charset, "utf-8") {
		return refuse("the answer's charset is %s instead of utf-8", charset)
	}
	switch {
	case len(r.body) == 0:
		return verdict{answer: Answer{Kind: AnswerSuccess}}
	case string(r.body) != "success":
		return q.judgeBody(r.body, media)
	case media != "text/plain":
		return refuse("success has the Content-Type %q instead of text/plain", media)
	}
	return verdict{answer: Answer{Kind: AnswerSuccess}}
}

// judgeBody checks an answer that is neither empty nor "success".
func (q question) judgeBody(body []byte, media string) verdict {
	first, types := byte('<'), []string{"text/xml", "application/xml"}
	if q.account.Format == JSON {
		first, types = '{', []string{"application/json"}
	}
	if body[0] != first {
		return refuse("the answer is neither success nor %s, the format of the push", q.account.Format)
	}
	// No document says it. An encrypted answer was only accepted as text/xml:
	// https://github.com/binarywang/WxJava/issues/1027, read 2026-11.
	if media != types[0] && media != types[len(types)-1] {
		return refuse("the answer in %s has the Content-Type %q instead of %s", q.account.Format, media, types[0])
	}
	outer, err := parse(q.account.Format, body)
	if err != nil {
		return refuse("%s", err)
	}
	_, sealed := outer["Encrypt"]
	switch {
	case sealed && q.account.Mode == Plain:
		return refuse("an encrypted answer to a push in clear")
	case sealed:
		return q.judgeSealed(outer)
	case q.account.Mode == Safe: // compatible mode takes both
		return refuse("an answer in clear to an encrypted push")
	}
	return q.judgeMessage(outer)
}

// judgeSealed checks an encrypted answer and what is in it.
func (q question) judgeSealed(outer elements) verdict {
	if wrong := outer.must(q.account.Format, "Encrypt", "MsgSignature", "TimeStamp#", "Nonce"); wrong != "" {
		return refuse("%s", wrong)
	}
	for name := range outer {
		switch name {
		case "Encrypt", "MsgSignature", "TimeStamp", "Nonce":
		default:
			return refuse("the encrypted answer has an unknown element %s", name)
		}
	}
	sealed, timestamp, nonce := outer["Encrypt"].text, outer["TimeStamp"].text, outer["Nonce"].text
	if outer["MsgSignature"].text != sign(q.account.Token, timestamp, nonce, sealed) {
		return refuse("MsgSignature is not that of token, TimeStamp, Nonce and Encrypt")
	}
	if wrong := q.sane("TimeStamp", timestamp); wrong != "" {
		return refuse("%s", wrong)
	}
	if nonce != q.nonce {
		return refuse("Nonce is not the one of the push")
	}
	text, err := decrypt(q.key, sealed, q.account.AppID)
	if err != nil {
		return refuse("%s", err)
	}
	// The user sees a fault notice then.
	// https://github.com/royalrick/weapp/issues/87, read 2026-11.
	if len(text) == 0 || string(text) == "success" {
		return refuse("success and empty answers must not be encrypted")
	}
	inner, err := parse(q.account.Format, text)
	if err != nil {
		return refuse("inside Encrypt: %s", err)
	}
	return q.judgeMessage(inner)
}

// judgeMessage checks the message that answers a push.
// https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/customer-message/trans.html, read 2026-11.
func (q question) judgeMessage(m elements) verdict {
	if wrong := m.must(q.account.Format, "ToUserName", "FromUserName", "CreateTime#", "MsgType"); wrong != "" {
		return refuse("%s", wrong)
	}
	to, from := m["ToUserName"].text, m["FromUserName"].text
	switch {
	case to == q.account.OriginalID && from == q.openid:
		return refuse("ToUserName and FromUserName are not swapped")
	case to != q.openid:
		return refuse("ToUserName is not the customer's openid")
	case from != q.account.OriginalID:
		return refuse("FromUserName is not the account's original id")
	}
	if wrong := q.sane("CreateTime", m["CreateTime"].text); wrong != "" {
		return refuse("%s", wrong)
	}
	switch kind := m["MsgType"].text; kind {
	case "transfer_customer_service":
		return q.judgeTransfer(m)
	case "text":
		return q.judgeText(m)
	default:
		return refuse("there is no answer of MsgType %q", kind)
	}
}

func (q question) judgeTransfer(m elements) verdict {
	if q.event {
		return refuse("a transfer in answer to an event")
	}
	if wrong := m.only("TransInfo"); wrong != "" {
		return refuse("%s", wrong)
	}
	answer := Answer{Kind: AnswerTransfer}
	info, named := m["TransInfo"]
	if !named {
		return verdict{answer: answer}
	}
	// https://developers.weixin.qq.com/doc/subscription/guide/product/kf/forwarding.html, read 2026-11.
	if q.account.Naming == NamingFault {
		return refuse("TransInfo is no part of a mini-program's transfer")
	}
	account := info.inner["KfAccount"]
	if len(info.inner) != 1 || account.text == "" || account.number {
		return refuse("TransInfo does not hold a KfAccount and nothing else")
	}
	if !strings.Contains(account.text, "@") {
		return refuse("KfAccount is not a full account, prefix@account")
	}
	answer.KfAccount = account.text
	return verdict{answer: answer}
}

// judgeText checks a passive text. Mini-programs have none: one was reported
// as never delivered.
// https://github.com/Eric-Guo/wechat/issues/264, read 2026-11.
func (q question) judgeText(m elements) verdict {
	if q.account.Kind != OfficialAccount {
		return refuse("a passive text, which mini-programs do not have")
	}
	if wrong := m.only("Content"); wrong != "" {
		return refuse("%s", wrong)
	}
	if m["Content"].text == "" {
		return refuse("a passive text without Content")
	}
	if len(m["Content"].text) > maxText {
		return refuse("a passive text of more than %d bytes", maxText)
	}
	return verdict{answer: Answer{Kind: AnswerText}, text: m["Content"].text}
}

// sane checks a time of the server's clock, in seconds.
func (q question) sane(name, text string) string {
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return fmt.Sprintf("%s is not a whole number of seconds", name)
	}
	if off := q.now.Sub(time.Unix(seconds, 0)).Abs(); off > q.tolerance {
		return fmt.Sprintf("%s is %s off", name, off.Round(time.Second))
	}
	return ""
}

func refuse(format string, args ...any) verdict {
	return verdict{wrong: fmt.Sprintf(format, args...)}
}
