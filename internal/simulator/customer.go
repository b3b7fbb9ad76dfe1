package simulator

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// A Customer is a WeChat user within one account. One of a switchboard is an
// agent, who chats with it from his own WeChat.
type Customer struct {
	account *Account
	openid  string
	name    string // "" = openid
	chat    chat   // of a switchboard

	pushes []*Push
	inbox  []Received

	left   int       // messages that may still be sent to him
	until  time.Time // and until when
	spoke  time.Time // his last action
	typing time.Time // until when "typing" is shown
	typed  int       // how often it came up
	gone   bool      // follows no longer

	desk    deskState
	agent   *Agent // deskServed, deskStuck: whose he is
	since   time.Time
	waiting []*Push // transferred, and not yet at anybody
}

// A Received is a message as the customer finds it in his chat.
type Received struct {
	At   time.Time
	From Source
	Type string // text, image, …; FaultLine and passive replies are text
	Text string // of a text; else what there is to read: a title, an id

	Media []byte // the picture of an image or a card; nil without one
}

// A Source is where a message to a customer came from.
type Source string

// The sources.
const (
	FromAPI    Source = "api"    // message/custom/send
	FromReply  Source = "reply"  // a passive text reply
	FromDesk   Source = "desk"   // an agent at WeChat's desk
	FromSystem Source = "system" // WeChat itself: the FaultLine
)

const maxInbox = 10_000 // messages kept per customer, the newest

// OpenID is the customer's openid.
func (c *Customer) OpenID() string { return c.openid }

// SetName gives the customer a name for people: an agent's, of one of a switchboard.
func (c *Customer) SetName(name string) {
	c.account.box.mu.Lock()
	defer c.account.box.mu.Unlock()
	c.name = name
}

// Name is the customer's name, or his openid if he was given none.
func (c *Customer) Name() string {
	c.account.box.mu.Lock()
	defer c.account.box.mu.Unlock()
	return c.chatName()
}

// chatName is Name. Locked.
func (c *Customer) chatName() string { return cmp.Or(c.name, c.openid) }

// agentName is the name of who is an agent; "" of a customer. Locked.
func (c *Customer) agentName() string {
	if !c.account.o.Switchboard {
		return ""
	}
	return c.chatName()
}

// Account is the customer's account.
func (c *Customer) Account() *Account { return c.account }

// Inbox is what the customer has received, the oldest first.
func (c *Customer) Inbox() []Received {
	c.account.box.mu.Lock()
	defer c.account.box.mu.Unlock()
	return slices.Clone(c.inbox)
}

// receive puts a message into the customer's chat, if he is still there. Locked.
func (c *Customer) receive(r Received) {
	if c.gone {
		return
	}
	b := c.account.box
	r.At = b.opts.Now()
	if len(c.inbox) >= maxInbox {
		c.inbox = slices.Delete(c.inbox, 0, 1)
	}
	c.inbox = append(c.inbox, r)
	text := r.Text
	if r.Type == "image" {
		text = "[image]" // its text is but an id
	}
	b.emit(Event{Kind: Delivered, Account: c.account.o.Name, Customer: c.openid, Agent: c.agentName(), Text: text})
	if r.From == FromAPI && c.account.o.Switchboard {
		c.carry(r)
	}
}

// Tap comes through a contact button with a session-from, and returns when the
// push has been dealt with.
func (c *Customer) Tap(ctx context.Context, sessionFrom string) (Result, error) {
	return c.Enter(sessionFrom).Send(ctx)
}

// Say writes a text, and returns when the message has been dealt with.
func (c *Customer) Say(ctx context.Context, text string) (Result, error) {
	return c.Text(text).Send(ctx)
}

// SendImage sends a picture.
func (c *Customer) SendImage(ctx context.Context) (Result, error) { return c.Image().Send(ctx) }

// SendCard sends a mini-program card.
func (c *Customer) SendCard(ctx context.Context, title, path string) (Result, error) {
	return c.Card(title, path).Send(ctx)
}

// The bodies below:
// https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/customer-message/receive.html, read 2026-11.

// maxSessionFrom is where a session-from is cut, in bytes and not in characters.
// https://developers.weixin.qq.com/minigame/dev/api/wx.openCustomerServiceConversation.html, read 2026-11.
const maxSessionFrom = 1000

// Enter makes the event push of a tap on a contact button, to be sent later.
func (c *Customer) Enter(sessionFrom string) *Push {
	sessionFrom = sessionFrom[:min(len(sessionFrom), maxSessionFrom)]
	return c.Raw(Fields{{"MsgType", "event"}, {"Event", "user_enter_tempsession"}, {"SessionFrom", sessionFrom}})
}

// Text makes the push of a text, to be sent later.
func (c *Customer) Text(text string) *Push {
	return c.Raw(Fields{{"MsgType", "text"}, {"Content", text}})
}

// Image makes the push of a picture, to be sent later.
func (c *Customer) Image() *Push {
	id := c.account.Media()
	return c.Raw(Fields{{"MsgType", "image"}, {"PicUrl", "https://mmbiz.qpic.cn/mmbiz_jpg/" + id + "/0"}, {"MediaId", id}})
}

// Card makes the push of a mini-program card, to be sent later.
func (c *Customer) Card(title, path string) *Push {
	id := c.account.Media()
	return c.Raw(Fields{
		{"MsgType", "miniprogrampage"},
		{"Title", title},
		{"AppId", c.account.o.AppID},
		{"PagePath", path},
		{"ThumbUrl", "https://mmbiz.qpic.cn/mmbiz_jpg/" + id + "/0"},
		{"ThumbMediaId", id},
	})
}

// Raw makes a push of any elements, to be sent later. ToUserName, FromUserName,
// CreateTime and, unless MsgType is event, MsgId are put in where they are missing.
func (c *Customer) Raw(fields Fields) *Push {
	b := c.account.box
	b.mu.Lock()
	defer b.unlock()
	b.lastID++
	now := b.opts.Now()
	p := &Push{customer: c, id: b.lastID, kind: fields.text("MsgType"), made: now}
	for _, f := range (Fields{{"ToUserName", c.account.o.OriginalID}, {"FromUserName", c.openid}, {"CreateTime", now.Unix()}}) {
		if fields.text(f.Name) == "" {
			p.fields = append(p.fields, f)
		}
	}
	p.fields = append(p.fields, fields...)
	if p.kind != "event" && fields.text("MsgId") == "" {
		p.fields = append(p.fields, Field{"MsgId", p.id})
	}
	if c.account.o.TextNumbers && c.account.o.Format == JSON {
		for i, f := range p.fields {
			if _, number := f.Value.(int64); number {
				p.fields[i].Value = p.fields.text(f.Name)
			}
		}
	}
	m, _ := c.account.medium(cmp.Or(fields.text("MediaId"), fields.text("ThumbMediaId")))
	p.picture = string(m.bytes)
	c.pushes = append(c.pushes, p)
	return p
}

// Reached tells of every message of the customer which human has it.
func (c *Customer) Reached() []Reach {
	b := c.account.box
	b.mu.Lock()
	defer b.settled()
	c.account.expire()
	var reached []Reach
	for _, p := range c.pushes {
		if !p.event() {
			reached = append(reached, p.reach())
		}
	}
	return reached
}
