package wechat

import (
	"cmp"
	"encoding/json"
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
)

// Seal writes the answer that a decision is, and gives its Content-Type.
//
// A transfer goes in the push's own format, encrypted if the push was, with the
// key that opened it; it names the account of WayNamed. All else is "success",
// which is never encrypted. The error is that of a push without a customer to
// transfer, or of the source of random bytes.
//
// WeChat, "消息推送",
// https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html,
// "转发消息",
// https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/customer-message/trans.html
// and for TransInfo
// https://developers.weixin.qq.com/doc/subscription/guide/product/kf/forwarding.html,
// read 2026-11.
func (c *Codec) Seal(p Push, d kefu.Decision) ([]byte, string, error) {
	if !d.Answer.Way.Transfers() {
		return []byte(success), typeText, nil
	}
	if p.Message.Customer.User == "" {
		return nil, "", errors.New("seal transfer: the push has no customer")
	}
	body, err := c.transfer(p, d).write(p.inner)
	if err != nil {
		return nil, "", fmt.Errorf("write transfer: %w", err)
	}
	if p.key == nil {
		return body, contentType(p.inner), nil
	}
	sealed, err := c.encrypted(p, body)
	if err != nil {
		return nil, "", fmt.Errorf("encrypt transfer: %w", err)
	}
	if body, err = sealed.write(p.outer); err != nil {
		return nil, "", fmt.Errorf("write envelope: %w", err)
	}
	return body, contentType(p.outer), nil
}

func contentType(f format) string {
	if f == formatJSON {
		return typeJSON
	}
	return typeXML
}

// A transfer hands the customer to WeChat's desk.
type transfer struct {
	ToUserName   string
	FromUserName string
	CreateTime   int64
	MsgType      string
	TransInfo    *transInfo `json:",omitempty"`
}

type transInfo struct{ KfAccount string }

// transfer is the same for a push and its repeats.
func (c *Codec) transfer(p Push, d kefu.Decision) transfer {
	at := d.At
	if at.IsZero() {
		at = c.now()
	}
	t := transfer{
		ToUserName: p.Message.Customer.User, FromUserName: cmp.Or(p.Message.Receiver, c.original),
		CreateTime: at.Unix(), MsgType: transferType,
	}
	if d.Answer.Way == kefu.WayNamed && d.Answer.Account != "" {
		t.TransInfo = &transInfo{KfAccount: d.Answer.Account}
	}
	return t
}

func (t transfer) write(f format) ([]byte, error) {
	if f == formatJSON {
		return json.Marshal(t)
	}
	w := newXMLWriter()
	w.text("ToUserName", t.ToUserName)
	w.text("FromUserName", t.FromUserName)
	w.number("CreateTime", t.CreateTime)
	w.text("MsgType", t.MsgType)
	if t.TransInfo != nil {
		w.raw("<TransInfo>")
		w.text("KfAccount", t.TransInfo.KfAccount)
		w.raw("</TransInfo>")
	}
	return w.document(), nil
}

// An encryptedReply is the envelope of an answer. Its order is WeChat's.
type encryptedReply struct {
	Encrypt      string
	MsgSignature string
	TimeStamp    int64
	Nonce        string
}

func (c *Codec) encrypted(p Push, body []byte) (encryptedReply, error) {
	ciphertext, err := p.key.encrypt(c.random, body, c.receiver)
	if err != nil {
		return encryptedReply{}, err
	}
	now := c.now().Unix()
	return encryptedReply{
		Encrypt: ciphertext, TimeStamp: now, Nonce: p.nonce,
		MsgSignature: sign(c.token, strconv.FormatInt(now, 10), p.nonce, ciphertext),
	}, nil
}

func (r encryptedReply) write(f format) ([]byte, error) {
	if f == formatJSON {
		return json.Marshal(r)
	}
	w := newXMLWriter()
	w.text("Encrypt", r.Encrypt)
	w.text("MsgSignature", r.MsgSignature)
	w.number("TimeStamp", r.TimeStamp)
	w.text("Nonce", r.Nonce)
	return w.document(), nil
}

// An xmlWriter writes the children of an <xml> element.
type xmlWriter struct{ b []byte }

func newXMLWriter() *xmlWriter {
	const usual = 1024 // bytes; an encrypted answer has about 600
	return &xmlWriter{b: append(make([]byte, 0, usual), "<xml>"...)}
}

// text writes an element with one text. A "]]>" in it is shared between two
// CDATA sections, since it would end one.
func (w *xmlWriter) text(name, value string) {
	w.raw("<", name, ">", cdataOpen)
	w.raw(strings.ReplaceAll(value, cdataClose, "]]"+cdataClose+cdataOpen+">"))
	w.raw(cdataClose, "</", name, ">")
}

func (w *xmlWriter) number(name string, value int64) {
	w.raw("<", name, ">")
	w.b = strconv.AppendInt(w.b, value, 10)
	w.raw("</", name, ">")
}

func (w *xmlWriter) raw(parts ...string) {
	for _, part := range parts {
		w.b = append(w.b, part...)
	}
}

func (w *xmlWriter) document() []byte { return append(w.b, "</xml>"...) }
