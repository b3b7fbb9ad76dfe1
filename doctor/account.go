package doctor

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
	"unicode"

	"kefud/kefu"
)

// A Refusal is a call of WeChat's API that did not succeed.
type Refusal struct {
	Code   int    // WeChat's errcode; 0 = no proper answer came
	Reason string // a word for it
	Msg    string // what WeChat said; no secret
}

// The errcodes that have an advice of their own.
//
// WeChat, https://developers.weixin.qq.com/doc/channels/API/basics/commErrCode.html,
// read 2026-11.
const (
	codeWrongToken   = 40001 // from the token interface itself: a wrong secret
	codeBadAppID     = 40013
	codeBadSecret    = 40125
	codeNotListed    = 40164
	codeFrozen       = 40243
	codeDailyQuota   = 45009
	codeNoPermission = 43104
	codeUnauthorized = 48001
	codeLimited      = 50002
	codeDeskDisabled = 65400
	codeIPConsent    = 89503 // awaits the administrator
	codeIPRefused24h = 89506
	codeIPRefused1h  = 89507
)

// An Account is what WeChat's API says of an app.
type Account struct {
	Token     *Refusal      // nil = there is one
	TokenLife time.Duration // left of it
	Callback  *Refusal      // getcallbackip
	Addresses int           // from which WeChat pushes
	Staff     *Refusal      // getkflist
	Members   []kefu.Listed // who is at the desk at all
	Online    *Refusal      // getonlinekflist
	Seen      []Seen
}

// Seen is one row of the online list.
type Seen struct {
	IDs    kefu.Listed
	Online bool
}

// checkAccount looks whether WeChat's API can be used for an app.
func checkAccount(a *App, f *Facts) []Finding {
	t := about("app %s", a.Name)
	account, asked := f.Accounts[a.Name]
	if !asked {
		level := Warn
		if a.Switchboard {
			level = Fail // nothing can be sent to agents
		}
		t.add(level, "app.secret", "there is no app_secret: nobody is known to be online, and nothing can be sent",
			"set app_secret to the AppSecret of "+a.menuSecret())
		return t.found
	}
	if account.Token != nil {
		level, text, do := explain(a, account.Token)
		t.add(level, "app.token_api", "no access token: "+text, do)
		return t.found
	}
	t.ok("app.token_api", "app_id and app_secret are right, and this address may call (the token has %s left)", round(account.TokenLife))
	if account.Callback != nil {
		level, text, do := explain(a, account.Callback)
		t.add(level, "app.api", "getcallbackip: "+text, do)
	} else {
		t.ok("app.api", "the API answers; WeChat pushes from %d addresses", account.Addresses)
	}
	if e := account.Online; e != nil {
		level, text, do := explain(a, e)
		if a.Switchboard && e.Code == codeDeskDisabled {
			return t.found // a switchboard needs no desk
		}
		t.add(level, "app.permission", "getonlinekflist: "+text, do)
	} else {
		t.ok("app.permission", "the customer-service interfaces may be used")
	}
	return t.found
}

// explain puts an errcode into words, with what to do about it.
func explain(a *App, e *Refusal) (Level, string, string) {
	said := fmt.Sprintf("errcode %d: ", e.Code)
	switch e.Code {
	case 0:
		return Fail, "WeChat's API does not answer properly (" + e.Reason + detail(e.Msg) + ")", "check wechat.api_base, and the way out of this machine: curl -sS https://api.weixin.qq.com/cgi-bin/getcallbackip"
	case codeBadSecret, codeWrongToken:
		return Fail, said + "the app_secret is wrong", "set app_secret to the AppSecret; if nobody has it any more, reset it in " + a.menuSecret()
	case codeFrozen:
		return Fail, said + "the AppSecret is frozen", "unfreeze it in " + a.menuSecret()
	case codeBadAppID:
		return Fail, said + "there is no app with this app_id", "copy the AppID from " + a.menuSecret()
	case codeNotListed:
		return Fail, said + "WeChat does not let this server's address call", "add " + address(e.Msg) + " to " + a.menuSecret() + "-「IP白名单」"
	case codeIPConsent, codeIPRefused24h, codeIPRefused1h:
		return Fail, said + "the account's administrator has not consented to this server's address", "have him confirm it in WeChat, or add " + address(e.Msg) + " to " + a.menuSecret() + "-「IP白名单」"
	case codeUnauthorized, codeNoPermission:
		if a.Official {
			return Fail, said + "the account may not use the customer-service interfaces", "have it verified (微信认证), then look at 公众平台「设置与开发」-「接口权限」-「客服消息」"
		}
		return Fail, said + "the mini-program may not use the customer-service interfaces", "enable 客服 in " + a.menuDesk() + ", and see in " + a.menuThirdParty() + " whether a third-party platform has the permission 客服消息"
	case codeDeskDisabled:
		return Fail, said + "the account's desk is not enabled", "enable it: " + a.menuDesk()
	case codeDailyQuota:
		return Warn, said + "today's calls are used up", "wait until midnight, or reset them: 「清零」 in " + a.menuSecret()
	case codeLimited:
		return Fail, said + "the account is restricted", "see the notices in WeChat's console (通知中心)"
	}
	return Warn, said + e.Reason + detail(e.Msg), "look the code up in WeChat's 全局返回码"
}

func detail(msg string) string {
	if msg == "" {
		return ""
	}
	return ": " + msg
}

// address finds the caller's address in what WeChat says of it. How the text
// reads is documented nowhere, an address is one all the same.
func address(msg string) string {
	words := strings.FieldsFunc(msg, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(",;()[]", r) })
	for _, w := range words {
		if ip, err := netip.ParseAddr(strings.Trim(w, ".'\"")); err == nil {
			return ip.Unmap().String()
		}
	}
	return "this server's public address"
}

// checkArrival tells whether customers' messages come here at all. WeChat's API
// has no call that says who gets them, but a running server knows what it got,
// and a customer who was given to an agent came by a push.
//
// WeChat, "小程序客服",
// https://developers.weixin.qq.com/miniprogram/introduction/custom.html, read 2026-11:
// with the permission set granted to a third-party platform, all messages go
// there; a type that goes to a cloud function does not come to the URL.
func checkArrival(s *Setup, a *App, f *Facts) []Finding {
	t := about("app %s", a.Name)
	if a.Switchboard {
		return nil
	}
	const id = "app.pushes"
	got, last := f.Ready.Pushes[a.Name], lastGiven(s, f)
	switch {
	case got.Answered > 0:
		t.ok(id, "customers' messages come here: the running server has answered %d pushes", got.Answered)
		return t.found
	case got.Refused > 0:
		t.add(Warn, id, fmt.Sprintf("the running server has refused all %d requests that came for this app: they do not fit its token, key or mode", got.Refused),
			"compare Token, EncodingAESKey and mode with "+a.menuPush()+"; a captured push tells which it is: kefud doctor --push FILE")
		return t.found
	case got.Strange > 0:
		t.add(Warn, id, fmt.Sprintf("the running server has refused all %d requests that came for this app: they came from addresses that are not WeChat's", got.Strange),
			"with a proxy in front, name it in trusted_proxies: else all comes from it; or set wechat.callback_addresses: any")
		return t.found
	case !last.IsZero():
		t.ok(id, "customers' messages come here: one was last given to an agent at %s", last.Local().Format(time.DateTime))
		return t.found
	}
	t.add(Unchecked, id, "not checkable from here: whether WeChat pushes customers' messages to this server, or to a third-party platform or a cloud function",
		"see that message push is enabled and goes to https://YOUR-HOST/wechat/"+string(a.Name)+" in "+a.menuPush()+
			", and that no platform in "+a.menuThirdParty()+" has 客服消息; then write to the app and look for \"callback answered\" in the log")
	return t.found
}

// lastGiven tells when an agent was last given a customer, if that says which
// app the customer was at.
func lastGiven(s *Setup, f *Facts) time.Time {
	var last time.Time
	if customerApps(s) != 1 || f.StateErr != nil {
		return last
	}
	for _, at := range f.State.LastNew {
		if at.After(last) {
			last = at
		}
	}
	return last
}

func customerApps(s *Setup) int {
	n := 0
	for i := range s.Apps {
		if !s.Apps[i].Switchboard {
			n++
		}
	}
	return n
}
