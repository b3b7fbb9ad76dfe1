package doctor

import (
	"fmt"
	"strings"
	"time"

	"kefud/kefu"
)

// A Push is what became of a captured request of WeChat's when it was held
// against an app's settings.
type Push struct {
	App       kefu.AppID
	Unread    string     // why the sample is none; nothing else is known then
	Echo      bool       // it is the question whether the URL is ours, not a push
	Signed    bool       // signature holds for the app's token
	SignedFor kefu.AppID // another app whose token it holds for; "" = none
	Mode      string     // in which it came: Plain, Compatible or Safe; "" = the body is no push
	Format    string     // "XML" or "JSON"
	Sealed    bool       // msg_signature holds for the ciphertext
	OpenedBy  string     // "present" or "previous": the key that opens it; "" = none does
	Accepted  bool       // the server would take it, but for its age
	Age       time.Duration
	Elsewhere string // the account that it is for, if that is not the app's original_id
}

// The modes as WeChat's console names them.
var consoleModes = map[string]string{Plain: "明文模式", Compatible: "兼容模式", Safe: "安全模式"}

// checkPush judges a sample of a push.
func checkPush(s *Setup, p *Push) []Finding {
	t := about("push")
	if p == nil {
		t.add(Unchecked, "push.sample", "not checked: whether WeChat's console and the configuration agree on token, key and mode",
			"capture a push (URL with its query, and body) and give it: kefud doctor --push FILE")
		return t.found
	}
	a := s.app(p.App)
	switch {
	case p.Unread != "":
		t.add(Fail, "push.sample", "the sample cannot be read: "+p.Unread, "write the URL with its query in the first line and the body below, or a curl command, or the raw HTTP request")
	case a == nil:
		t.add(Fail, "push.sample", "it is not known which app the sample was pushed to", "name it: --app, one of "+strings.Join(s.names(), ", "))
	case !p.Signed:
		t.unsigned(a, p)
	case p.Echo:
		t.ok("push.sample", "WeChat's check of the URL of app %s would be answered", p.App)
	default:
		t.push(a, p, s.PushMaxAge)
	}
	return t.found
}

func (s *Setup) names() []string {
	all := make([]string, 0, len(s.Apps))
	for i := range s.Apps {
		all = append(all, string(s.Apps[i].Name))
	}
	return all
}

func (t *topic) unsigned(a *App, p *Push) {
	if p.SignedFor != "" {
		t.add(Fail, "push.signature", fmt.Sprintf("it is signed with the token of app %s, and came to %s", p.SignedFor, a.Name),
			fmt.Sprintf("give that account's console the URL https://YOUR-HOST/wechat/%s", p.SignedFor))
		return
	}
	t.add(Fail, "push.signature", "the signature is not of app "+string(a.Name)+"'s token: it would be refused with 403", "copy Token from "+a.menuPush()+" to token")
}

func (t *topic) push(a *App, p *Push, maxAge time.Duration) {
	if p.Mode == "" {
		t.add(Fail, "push.body", "the body is neither XML nor JSON of a push", "capture the body whole, as WeChat sent it")
		return
	}
	t.mode(a, p)
	if p.Mode != Plain {
		t.opened(a, p)
	}
	if a.Official && p.Format == "JSON" {
		t.add(Fail, "push.format", "it is JSON, which an official account does not push", "choose 数据格式 XML in "+a.menuPush()+", or kind: mini_program")
	}
	if p.Elsewhere != "" {
		t.add(Warn, "push.account", "it is for the account "+p.Elsewhere+", which is not the app's original_id", "write original_id: "+p.Elsewhere+", or give the console another URL")
	}
	age := ""
	if maxAge > 0 && p.Age.Abs() > maxAge {
		age = fmt.Sprintf("; it is %s old now, and sent again it would be refused", round(p.Age))
	}
	if p.Accepted {
		t.ok("push.sample", "app %s accepts it: %s, %s%s", a.Name, consoleModes[p.Mode], p.Format, age)
	} else if Worst(t.found) < Fail {
		t.add(Fail, "push.body", "it would be refused: no message can be read in it", "capture the body whole, as WeChat sent it")
	}
}

// mode compares the console's mode with the configuration's.
func (t *topic) mode(a *App, p *Push) {
	const id = "push.mode"
	text := fmt.Sprintf("WeChat's console is set to %s, the configuration says encryption: %s", consoleModes[p.Mode], a.Encryption)
	follow := "set encryption: " + p.Mode
	if a.Key == "" && p.Mode != Plain {
		follow += " and encoding_aes_key, from " + a.menuPush()
	}
	switch {
	case p.Mode == a.Encryption:
		t.ok(id, "the mode is as configured: %s", consoleModes[p.Mode])
	case a.Encryption == Safe && p.Mode == Plain:
		t.add(Fail, id, text+": it would be refused", "choose 安全模式 in "+a.menuPush()+", or "+follow)
	case p.Mode == Safe && a.Key == "":
		t.add(Fail, id, text+": it cannot be read", follow)
	case p.Mode == Safe:
		t.add(Warn, id, text+": bodies that are not encrypted are accepted for no reason", follow)
	default:
		t.add(Warn, id, text, "choose "+consoleModes[a.Encryption]+" in "+a.menuPush()+", or "+follow)
	}
}

func (t *topic) opened(a *App, p *Push) {
	switch {
	case !p.Sealed:
		t.add(Fail, "push.signature", "msg_signature does not fit the ciphertext", "capture query and body of one and the same push, unchanged")
	case a.Key == "":
	case p.OpenedBy == "":
		t.add(Fail, "push.key", "encoding_aes_key or app_id is wrong: the ciphertext cannot be opened", "copy EncodingAESKey from "+a.menuPush()+" and the AppID from "+a.menuSecret())
	case p.OpenedBy == "previous":
		t.add(Warn, "push.key", "it was encrypted with the previous key: WeChat does not use the present one yet", "if it stays so, save the new EncodingAESKey in "+a.menuPush())
	default:
		t.ok("push.key", "encoding_aes_key opens it")
	}
}
