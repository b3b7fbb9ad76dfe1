package wechat

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"kefud/kefu"
)

const (
	maxTag  = 1000 // bytes of session-from; WeChat cuts there
	maxType = 64   // bytes of kefu.Message.Type
	maxKey  = 64   // characters of each text that a kefu.MessageKey keeps as it is
	maxUser = 128  // bytes of an openid; WeChat's have 28

	typeEvent     = "event"
	eventEnter    = "user_enter_tempsession"
	eventFollow   = "subscribe"
	eventUnfollow = "unsubscribe"
)

// fields are the elements of a push that somebody here reads, as text: numbers
// as they were written. What is absent or of an odd type is "".
type fields struct {
	toUserName, fromUserName, createTime, msgType, event, sessionFrom, msgID string
	content, picURL, mediaID, title, appID, pagePath, thumbURL, thumbMediaID string
	encrypt                                                                  string
}

// slot finds the place of an element by WeChat's name of it; nil if nobody
// reads it.
//
// WeChat, "接收消息",
// https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/customer-message/receive.html,
// read 2026-11. "encrypt" is how WeCom's robots spell it,
// https://developer.work.weixin.qq.com/document/path/101033.
func (f *fields) slot(name string) *string {
	switch name {
	case "ToUserName":
		return &f.toUserName
	case "FromUserName":
		return &f.fromUserName
	case "CreateTime":
		return &f.createTime
	case "MsgType":
		return &f.msgType
	case "Event":
		return &f.event
	case "SessionFrom":
		return &f.sessionFrom
	case "Content":
		return &f.content
	case "MsgId":
		return &f.msgID
	case "PicUrl":
		return &f.picURL
	case "MediaId":
		return &f.mediaID
	case "Title":
		return &f.title
	case "AppId":
		return &f.appID
	case "PagePath":
		return &f.pagePath
	case "ThumbUrl":
		return &f.thumbURL
	case "ThumbMediaId":
		return &f.thumbMediaID
	case "Encrypt", "encrypt":
		return &f.encrypt
	}
	return nil
}

// message makes m of the push, a message of the app's customer. A push that has to be
// routed and does not say whose it is, is ErrUnreadable; a follow of nobody is
// any other event.
func (f *fields) message(app kefu.AppID, m *kefu.Message) error {
	*m = kefu.Message{
		Customer: kefu.CustomerID{App: app, User: userName(f.fromUserName)},
		Kind:     f.kind(),
		Key:      f.key(),
		Type:     cutText(f.typeName(), maxType),
		At:       instant(f.createTime),
		Receiver: userName(f.toUserName),
	}
	if m.Kind.Routed() && m.Customer.User == "" {
		return fmt.Errorf("%w: no FromUserName", ErrUnreadable)
	}
	if m.Customer.User == "" && (m.Kind == kefu.KindFollow || m.Kind == kefu.KindUnfollow) {
		m.Kind = kefu.KindEvent
	}
	switch m.Kind {
	case kefu.KindText:
		m.Text = repaired(f.content)
	case kefu.KindImage:
		m.MediaID, m.URL = repaired(f.mediaID), repaired(f.picURL)
	case kefu.KindMedia:
		m.MediaID = repaired(f.mediaID)
	case kefu.KindCard:
		m.MediaID, m.URL = repaired(f.thumbMediaID), repaired(f.thumbURL)
		m.Title, m.Page, m.CardApp = repaired(f.title), repaired(f.pagePath), repaired(f.appID)
	case kefu.KindEnter:
		m.Tag = f.sessionFrom[:min(len(f.sessionFrom), maxTag)]
	case kefu.KindUnknown, kefu.KindEvent, kefu.KindFollow, kefu.KindUnfollow:
	}
	return nil
}

// kind tells what the push is about. The types and events that only official
// accounts get:
// https://developers.weixin.qq.com/doc/service/en/guide/product/message/Receiving_standard_messages.html
// and "关注/取消关注事件",
// https://developers.weixin.qq.com/doc/offiaccount/Message_Management/Receiving_event_pushes.html,
// read 2026-11.
func (f *fields) kind() kefu.Kind {
	switch f.msgType {
	case "text":
		return kefu.KindText
	case "image":
		return kefu.KindImage
	case "miniprogrampage":
		return kefu.KindCard
	case "voice", "video", "shortvideo", "location", "link", "file":
		return kefu.KindMedia
	case typeEvent:
		return f.eventKind()
	}
	return kefu.KindUnknown
}

func (f *fields) eventKind() kefu.Kind {
	switch f.event {
	case eventEnter:
		return kefu.KindEnter
	case eventFollow:
		return kefu.KindFollow
	case eventUnfollow:
		return kefu.KindUnfollow
	}
	return kefu.KindEvent
}

func (f *fields) typeName() string {
	if f.msgType == typeEvent && f.event != "" {
		return f.event
	}
	return f.msgType
}

// key is the same for a push and its repeats, and another for every other push
// of the customer: the MsgId; for events, which have none, the creation time and
// the event's name, and the session-from, since two buttons can be tapped within
// a second; for a message that should have a MsgId and has not, the creation
// time, the type and what it says.
//
// WeChat, "接收普通消息",
// https://developers.weixin.qq.com/doc/service/en/guide/product/message/Receiving_standard_messages.html,
// read 2026-11: de-duplicate by MsgId, or by FromUserName and CreateTime.
func (f *fields) key() kefu.MessageKey {
	switch {
	case f.msgType == typeEvent && f.sessionFrom != "":
		return kefu.MessageKey("e:" + bounded(f.createTime) + ":" + bounded(f.event) + ":" + digest(f.sessionFrom))
	case f.msgType == typeEvent:
		return kefu.MessageKey("e:" + bounded(f.createTime) + ":" + bounded(f.event))
	case f.msgID != "" && f.msgID != "0":
		return kefu.MessageKey(bounded(f.msgID))
	}
	said := digest(strings.Join([]string{f.content, f.mediaID, f.title, f.pagePath, f.thumbMediaID}, "\x00"))
	return kefu.MessageKey("t:" + bounded(f.createTime) + ":" + bounded(f.msgType) + ":" + said)
}

// bounded gives a text as a key may hold it: itself if it is short and plain,
// as all are that WeChat sends, else a digest, which no plain text equals.
func bounded(s string) string {
	if len(s) > maxKey || !isPlain(s) {
		return "~" + digest(s)
	}
	return s
}

func isPlain(s string) bool {
	for i := range len(s) {
		if !plain[s[i]] {
			return false
		}
	}
	return true
}

// plain is which bytes WeChat's ids and names, also those of elements, are made of.
var plain = bytesOf("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-.")

func bytesOf(s string) [256]bool {
	var is [256]bool
	for i := range len(s) {
		is[s[i]] = true
	}
	return is
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:8])
}

// instant reads a CreateTime; zero if it is none.
func instant(createTime string) time.Time {
	seconds, ok := parseSeconds(createTime)
	if !ok || seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

// userName gives an openid or an account's original id; "" for what cannot be
// one. The result is printable and of bounded length: it becomes part of keys,
// in which ':' divides and braces choose a node.
func userName(s string) string {
	if len(s) <= maxUser && isPlain(s) {
		return s // as all are that WeChat gives
	}
	if len(s) > maxUser || strings.ContainsAny(s, ":{}") {
		return ""
	}
	for _, r := range s {
		if !unicode.IsGraphic(r) || unicode.IsSpace(r) || r == utf8.RuneError {
			return ""
		}
	}
	return s
}

// repaired gives a text without the broken characters that WeChat's cutting leaves.
func repaired(s string) string {
	if utf8.ValidString(s) { // which takes half as long to tell
		return s
	}
	return strings.ToValidUTF8(s, "\ufffd")
}

// cutText gives the text, or as many whole characters of it as fit.
func cutText(s string, limit int) string {
	s = repaired(s)
	if len(s) <= limit {
		return s
	}
	for !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

// setXML takes in an element. Of texts the customer's own and the tag keep the spaces
// at their ends.
func (f *fields) setXML(name, value string) {
	slot := f.slot(name)
	if slot == nil || *slot != "" {
		return
	}
	if slot != &f.content && slot != &f.sessionFrom && slot != &f.title {
		value = trim(value)
	}
	*slot = value
}

// space and trim do for a byte and for the ends of a text what the standard library
// needs a table for, which it makes for each call.
func space(b byte) bool { return b == ' ' || b == '\t' || b == '\r' || b == '\n' }

func trim(s string) string {
	for s != "" && space(s[0]) {
		s = s[1:]
	}
	for s != "" && space(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}
