package wechat

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"kefud/kefu"
)

const (
	typeText = "text/plain; charset=utf-8"
	typeXML  = "text/xml; charset=utf-8"
	typeJSON = "application/json; charset=utf-8"

	success      = "success"
	transferType = "transfer_customer_service"
	textType     = "text"

	maxContent = 2048 // bytes of a passive text
	ellipsis   = "…"  // at the end of one that was longer
)

// Seal appends the answer that a decision is to b, and gives its Content-Type.
//
// A transfer and a text go in the push's own format, encrypted if the push was,
// with the key that opened it. A transfer names the account of WayNamed. A text
// keeps its line breaks and tabs, loses other control characters, and is cut
// where WeChat would refuse it; an empty one is "success", as all else is, which
// is never encrypted. The error is that of a push without a customer to answer,
// or of the source of random bytes.
//
// WeChat, "消息推送",
// https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html,
// "转发消息",
// https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/customer-message/trans.html,
// for TransInfo
// https://developers.weixin.qq.com/doc/subscription/guide/product/kf/forwarding.html,
// and for texts, of 2048 bytes at most, "被动回复用户消息",
// https://developers.weixin.qq.com/doc/offiaccount/Message_Management/Passive_user_reply_message.html,
// read 2026-11.
func (c *Codec) Seal(b []byte, p *Push, d *kefu.Decision) ([]byte, string, error) {
	r, ok := c.reply(p, d)
	if !ok {
		return append(b, success...), typeText, nil
	}
	if r.ToUserName == "" {
		return nil, "", errors.New("seal reply: the push has no customer")
	}
	if p.key == nil {
		return r.write(b, p.inner), contentType(p.inner), nil
	}
	const usual = 1024 // bytes, of a transfer
	message, buffer := takeBuffer(usual), takeBuffer(usual)
	defer putBack(message)
	defer putBack(buffer)
	*message = r.write(*message, p.inner)
	sealed, err := c.encrypted(buffer, p, *message)
	if err != nil {
		return nil, "", fmt.Errorf("encrypt reply: %w", err)
	}
	return sealed.write(b, p.outer), contentType(p.outer), nil
}

func contentType(f format) string {
	if f == formatJSON {
		return typeJSON
	}
	return typeXML
}

// A reply is an answer that says something: it hands the customer to WeChat's
// desk, or is a text. The order is WeChat's.
type reply struct {
	ToUserName   string
	FromUserName string
	CreateTime   int64
	MsgType      string
	Content      string    `json:",omitempty"`
	TransInfo    transInfo `json:",omitzero"`
}

type transInfo struct{ KfAccount string }

// reply is the same for a push and its repeats; false if the answer is nothing
// but "success".
func (c *Codec) reply(p *Push, d *kefu.Decision) (reply, bool) {
	at := d.At
	if at.IsZero() {
		at = c.now()
	}
	r := reply{
		ToUserName: p.Message.Customer.User, FromUserName: cmp.Or(p.Message.Receiver, c.original),
		CreateTime: at.Unix(),
	}
	switch {
	case d.Answer.Way.Transfers():
		r.MsgType = transferType
	case d.Answer.Way == kefu.WayText:
		r.MsgType, r.Content = textType, passiveText(d.Answer.Text)
		return r, r.Content != ""
	default:
		return reply{}, false
	}
	if d.Answer.Way == kefu.WayNamed {
		r.TransInfo.KfAccount = d.Answer.Account
	}
	return r, true
}

// passiveText gives a text as a passive answer can hold it; "" for one that
// shows nothing. Beyond what printable drops, XML has no U+FFFE and U+FFFF.
func passiveText(text string) string {
	text = strings.NewReplacer("\ufffe", "", "\uffff", "").Replace(printable(text))
	if strings.TrimSpace(text) == "" {
		return ""
	}
	if len(text) <= maxContent {
		return text
	}
	return cutText(text, maxContent-len(ellipsis)) + ellipsis
}

// What answers are made of.
var (
	elementToUserName   = newElement("ToUserName")
	elementFromUserName = newElement("FromUserName")
	elementCreateTime   = newElement("CreateTime")
	elementMsgType      = newElement("MsgType")
	elementContent      = newElement("Content")
	elementTransInfo    = newElement("TransInfo")
	elementKfAccount    = newElement("KfAccount")
	elementEncrypt      = newElement("Encrypt")
	elementMsgSignature = newElement("MsgSignature")
	elementTimeStamp    = newElement("TimeStamp")
	elementNonce        = newElement("Nonce")
)

// write writes the reply into b, or into more if that has no room.
func (r reply) write(b []byte, f format) []byte {
	w := newWriter(b, f)
	w.text(elementToUserName, r.ToUserName)
	w.text(elementFromUserName, r.FromUserName)
	w.number(elementCreateTime, r.CreateTime)
	w.text(elementMsgType, r.MsgType)
	if r.Content != "" {
		w.text(elementContent, r.Content)
	}
	if r.TransInfo.KfAccount != "" {
		w.open(elementTransInfo)
		w.text(elementKfAccount, r.TransInfo.KfAccount)
		w.close(elementTransInfo)
	}
	return w.document()
}

// An encryptedReply is the envelope of an answer. Its order is WeChat's.
type encryptedReply struct {
	Encrypt      []byte
	MsgSignature signature
	TimeStamp    int64
	Nonce        string
}

// encrypted encrypts an answer in the buffer, and uses it up.
func (c *Codec) encrypted(buffer *[]byte, p *Push, body []byte) (encryptedReply, error) {
	ciphertext, err := p.key.encrypt(buffer, c.random, body, c.receiver)
	if err != nil {
		return encryptedReply{}, err
	}
	now := c.now().Unix()
	var digits [20]byte // of any int64
	return encryptedReply{
		Encrypt: ciphertext, TimeStamp: now, Nonce: p.nonce,
		MsgSignature: signatureOf(body, ciphertext, c.token, string(strconv.AppendInt(digits[:0], now, 10)), p.nonce),
	}, nil
}

func (r encryptedReply) write(b []byte, f format) []byte {
	w := newWriter(b, f)
	w.bare(elementEncrypt, r.Encrypt)
	w.bare(elementMsgSignature, r.MsgSignature[:])
	w.number(elementTimeStamp, r.TimeStamp)
	w.text(elementNonce, r.Nonce)
	return w.document()
}
