// Package kefu holds the nouns of a customer-service router for WeChat: who
// writes, through which button, who is to answer, and what was decided. It
// imports the standard library only, does no I/O, reads no clock and logs
// nothing, so every other package may depend on it and it depends on none.
//
// WeChat's words, once, beside ours:
//
//	app           小程序 or 公众号: one WeChat account that pushes to us
//	customer      用户: a WeChat user, known by an openid within one app
//	entry         the contact button (客服会话按钮) a customer came through,
//	              known by the tag in its session-from
//	agent         坐席 / 客服人员: a human who answers
//	transfer      转发到客服系统 (transfer_customer_service): the passive reply by
//	              which WeChat's own desk takes the conversation
//	relay         kefud carries the messages both ways by the customer-service API
//	allowance     下发条数: how many messages WeChat still lets us send to
//	              somebody, and until when
package kefu

// An AppID is the name of an app in config.yaml and in its callback URL
// (/wechat/{app}). It is not WeChat's wx… app id, which only package wechat needs.
type AppID string

// An AgentID is the id of an agent in config.yaml, [a-z0-9_-]{1,32}.
type AgentID string

// An EntryTag is the configured tag of an entry, such as "cs1", or "order:*"
// for all tags that begin with "order:". The tag a customer sends is matched
// to an EntryTag once; from then on the EntryTag names the entry.
type EntryTag string

// A MessageKey tells a push from every other push of the same customer and is
// the same when WeChat pushes it again: the MsgId, or for events, which have
// none, their creation time and name.
type MessageKey string

// A CustomerID is a WeChat user within one app: the same human has another one
// in another app. User is the openid; it is personal data, so String shortens it.
type CustomerID struct {
	App  AppID
	User string
}

// String gives the customer as log lines may show him: the app and the two
// ends of the openid.
func (c CustomerID) String() string { return string(c.App) + "/" + Shorten(c.User) }

// Shorten cuts an openid to its two ends, or for a short one to its first
// character, so that two customers can be told apart in a log and neither be
// looked up by it.
func Shorten(user string) string {
	const ends, whole = 4, 16
	if user == "" {
		return ""
	}
	if len(user) < whole {
		return user[:1] + "…"
	}
	return user[:ends] + "…" + user[len(user)-ends:]
}
