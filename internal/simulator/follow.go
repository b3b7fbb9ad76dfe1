package simulator

import (
	"errors"
	"time"
)

// Follow makes the event push of a user who follows an official account, to be
// sent later. Once it is sent he may be sent messages again, as many as
// following allows; what he was owed before he left is gone. (That it is gone is
// not documented.)
// https://developer.aliyun.com/article/107377, read 2026-11.
func (c *Customer) Follow() *Push { return c.follow("subscribe") }

// Unfollow makes the event push of a user who leaves an official account, to be
// sent later. Once it is sent nothing reaches him until he follows again.
func (c *Customer) Unfollow() *Push { return c.follow("unsubscribe") }

func (c *Customer) follow(event string) *Push {
	p := c.Raw(Fields{{"MsgType", "event"}, {"Event", event}, {"EventKey", ""}})
	if c.account.o.Kind != OfficialAccount {
		p.refused = errors.New("only official accounts have followers")
	}
	return p
}

// act is a customer's doing something: he may be sent messages now. The grants
// do not add up; the larger number and the later end hold. Locked.
// https://developers.weixin.qq.com/miniprogram/introduction/custom.html, read 2026-11.
func (c *Customer) act(p *Push) {
	a, now := c.account.o.Allowance, c.account.box.opts.Now()
	grant, window := a.AfterMessage, a.MessageWindow
	if p.event() {
		switch p.fields.text("Event") {
		case "user_enter_tempsession":
			grant, window = a.AfterEnter, a.EnterWindow
		case "subscribe":
			c.gone = false
			grant, window = a.AfterFollow, a.FollowWindow
		case "unsubscribe":
			c.gone, c.left, c.until = true, 0, time.Time{}
			return
		default:
			return
		}
	}
	if c.gone {
		return
	}
	if now.After(c.until) {
		c.left = 0
	}
	c.left = max(c.left, grant)
	if end := now.Add(window); end.After(c.until) {
		c.until = end
	}
	c.spoke = now
}

// Typed counts how often the account began to show the customer that somebody
// is typing.
func (c *Customer) Typed() int {
	c.account.box.mu.Lock()
	defer c.account.box.mu.Unlock()
	return c.typed
}
