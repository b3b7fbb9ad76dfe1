package kefu

import (
	"strings"
	"time"
)

// A Kind says what a push is about, as far as routing cares.
type Kind uint8

// The kinds of push. Text to Media are a customer's own messages, which must
// end at a human; the others are answered and counted.
const (
	KindUnknown  Kind = iota // a type that no document of WeChat's names
	KindText                 // 文本
	KindImage                // 图片
	KindCard                 // 小程序卡片 (miniprogrampage)
	KindMedia                // voice, video, location, link, file: official accounts
	KindEnter                // the customer opened the conversation (user_enter_tempsession)
	KindEvent                // any other event
	KindFollow               // somebody follows the official account (subscribe)
	KindUnfollow             // and no longer does (unsubscribe)
)

var kindNames = [...]string{"unknown", "text", "image", "card", "media", "enter", "event", "follow", "unfollow"}

// String gives the kind as metrics and logs name it.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return kindNames[KindUnknown]
}

// FromCustomer reports whether the push is a customer's message, which must
// end at a human.
func (k Kind) FromCustomer() bool { return k >= KindText && k <= KindMedia }

// Routed reports whether the push concerns the router at all: a customer's
// message or his entering. All else is answered "success" and counted.
func (k Kind) Routed() bool { return k.FromCustomer() || k == KindEnter }

// Words gives what a customer's message says, as a transcript keeps it.
func (m Message) Words() Words {
	w := Words{Text: m.Text}
	switch m.Kind {
	case KindImage:
		w.Media = Media{App: m.Customer.App, ID: m.MediaID}
	case KindCard:
		w.Text = strings.TrimSpace(m.Title + "\n" + m.Page)
	case KindMedia:
		w.Text = m.Type
	}
	return w
}

// A Message is one push, opened and verified. Every field comes from WeChat
// except Tag, which the customer's client chose and nobody vouches for.
type Message struct {
	Customer CustomerID
	Key      MessageKey
	Kind     Kind
	Type     string    // WeChat's own MsgType, or Event for events; at most 64 bytes
	At       time.Time // when WeChat says it was made, to the second; zero if it did not say

	Tag string // enter events: session-from as sent, at most 1000 bytes; may be cut inside a character

	Text     string // KindText
	MediaID  string // KindImage, KindMedia, thumbnail of KindCard: to fetch within 3 days
	URL      string // picture or thumbnail on WeChat's servers, temporary
	Title    string // KindCard
	Page     string // KindCard: the page's path with its parameters
	CardApp  string // KindCard: WeChat's id of the mini-program the card opens
	Receiver string // the account the customer wrote to (ToUserName); the sender of a reply
}
