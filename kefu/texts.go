package kefu

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// A TextKind names one of the texts that a switchboard says to agents.
type TextKind string

// The texts.
const (
	TextStranger    TextKind = "stranger"    // to whoever is bound to no agent
	TextBound       TextKind = "bound"       // the code was right
	TextWrongCode   TextKind = "wrong_code"  // it was not, or it has expired
	TextTooMany     TextKind = "too_many"    // too many wrong codes
	TextTaken       TextKind = "taken"       // the code is for another than the agent whose chat this is
	TextWelcome     TextKind = "welcome"     // an agent follows the account again
	TextHelp        TextKind = "help"        // 帮助
	TextOnline      TextKind = "online"      // 上线
	TextOffline     TextKind = "offline"     // 下线
	TextBusy        TextKind = "busy"        // 忙碌
	TextList        TextKind = "list"        // the head of 列表
	TextRow         TextKind = "row"         // a conversation in it
	TextWaited      TextKind = "waited"      // how long its customer has waited
	TextNobody      TextKind = "nobody"      // no conversation is open
	TextWhich       TextKind = "which"       // several are open, none is selected
	TextNoLabel     TextKind = "no_label"    // there is no conversation of that label
	TextLost        TextKind = "lost"        // the selected conversation is no longer his
	TextSelected    TextKind = "selected"    // another is selected now
	TextNoHistory   TextKind = "no_history"  // 历史 of nothing
	TextClosed      TextKind = "closed"      // 结束
	TextHanded      TextKind = "handed"      // 转给
	TextNotHanded   TextKind = "not_handed"  // 转给, but nobody of those could take it
	TextNoSuch      TextKind = "no_such"     // 转给 somebody who is not there
	TextFrom        TextKind = "from"        // the head of a conversation that comes from another agent
	TextLeft        TextKind = "left"        // replies left, when few
	TextFull        TextKind = "full"        // no more replies before the customer writes; kept
	TextTooLate     TextKind = "too_late"    // the customer has been silent too long
	TextUndelivered TextKind = "undelivered" // an answer could not be delivered
	TextCannot      TextKind = "cannot"      // a kind of message that cannot be carried
	TextMissed      TextKind = "missed"      // a conversation was moved on, he had not answered
	TextTwice       TextKind = "twice"       // the second time in a row: he is busy now
	TextMore        TextKind = "more"        // more waits for him
	TextReply       TextKind = "reply"       // how to answer a conversation that is not selected
	TextDoubt       TextKind = "doubt"       // before a line that he may have had already
	TextImage       TextKind = "image"       // stands for a picture
	TextCard        TextKind = "card"        // stands for a mini-program card
	TextMedia       TextKind = "media"       // stands for what cannot be carried
	TextNoImage     TextKind = "no_image"    // a picture that could not be had
	TextTrouble     TextKind = "trouble"     // something is broken, and perhaps nothing was sent
	TextSpace       TextKind = "space"       // a label with words right behind it
	TextTo          TextKind = "to"          // who has a conversation that was taken from him
	TextReason      TextKind = "reason"      // why something could not be done, .Code being the stable word
	TextSaying      TextKind = "saying"      // one line of a history
	TextUnreadable  TextKind = "unreadable"  // stands for words that no key opens any more
)

// TextData is what a text may use.
type TextData struct {
	Agent  string // a name
	Entry  string // a name
	Label  int
	Other  int    // another label
	Left   int    // messages
	Code   string // what was typed, or a stable word
	Text   string // words, a title, a list
	Page   string // of a card
	Reason string // in words
	// A time is given as whole hours, as whole minutes and as whole seconds.
	Hours, Minutes, Seconds int
	Waited                  string // a time in words; "" = the customer does not wait
	Selected                bool   // the conversation is the selected one
}

// DefaultTexts are the texts of a switchboard that has none of its own. Each
// call makes another map.
func DefaultTexts() map[TextKind]string {
	return map[TextKind]string{
		TextStranger:    "您好，这里是客服坐席的工作号。如果您是坐席，请发送管理员给您的 6 位绑定码。",
		TextBound:       "{{.Agent}}，绑定成功，您已上线。客户的消息会发到这里，直接回复即可；发送“帮助”查看用法。",
		TextWrongCode:   "绑定码不正确或已过期，请向管理员索取新的绑定码。",
		TextTooMany:     "尝试次数过多，请 10 分钟后再试。",
		TextTaken:       "此微信已绑定坐席{{.Agent}}，请先由管理员解除绑定。",
		TextWelcome:     "{{.Agent}}，欢迎回来。发送“上线”开始接待，发送“帮助”查看用法。",
		TextOnline:      "您已上线，新的会话会分配给您。",
		TextOffline:     "您已下线，不再接新会话{{if .Left}}；还有 {{.Left}} 个会话请继续答复或发送“结束”{{end}}。",
		TextBusy:        "已设为忙碌，不再接新会话{{if .Left}}；还有 {{.Left}} 个会话请继续答复{{end}}。发送“上线”恢复。",
		TextList:        "{{if .Left}}进行中的会话 {{.Left}} 个：{{else}}现在没有进行中的会话。{{end}}",
		TextRow:         "#{{.Label}} {{.Entry}}{{if .Selected}} ←{{end}}{{if .Waited}} · {{.Waited}}{{end}} · {{.Text}}",
		TextWaited:      "{{if .Hours}}{{.Hours}}小时{{else if .Minutes}}{{.Minutes}}分钟{{else}}{{.Seconds}}秒{{end}}",
		TextNobody:      "现在没有进行中的会话，这条没有发出。",
		TextWhich:       "请先选择会话，这条没有发出。回复“#编号 内容”：\n{{.Text}}",
		TextNoLabel:     "没有编号为 #{{.Label}} 的会话，这条没有发出。发送“列表”查看。",
		TextLost:        "会话 #{{.Label}} 已不在您这里（{{.Text}}），这条没有发出。{{if .Other}}现在是会话 #{{.Other}}，要发给 #{{.Other}} 请再发一次。{{end}}",
		TextSelected:    "现在是会话 #{{.Label}} {{.Entry}}。",
		TextNoHistory:   "会话 #{{.Label}} 没有可显示的记录。",
		TextClosed:      "会话 #{{.Label}} 已结束。{{if .Other}}现在是会话 #{{.Other}}。{{end}}",
		TextHanded:      "会话 #{{.Label}} 已转给{{.Agent}}。{{if .Other}}现在是会话 #{{.Other}}。{{end}}",
		TextNotHanded:   "{{.Agent}}现在不能接（{{.Reason}}），会话 #{{.Label}} 仍在您这里。",
		TextNoSuch:      "{{if .Code}}没有叫“{{.Code}}”的坐席或分组。{{end}}可以转给：{{.Text}}",
		TextFrom:        "（{{.Agent}}转来的会话）",
		TextLeft:        "已发送，还可回复 {{.Left}} 条。",
		TextFull:        "客户再次发言之前，微信不允许再发；这条已保留，客户发言后自动发出。",
		TextTooLate:     "没有发出：客户 48 小时内没有再发言，微信不允许再发。",
		TextUndelivered: "会话 #{{.Label}} 的回复没有送达：{{.Reason}}。内容：{{.Text}}",
		TextCannot:      "只能转发文字和图片，这条没有发出。",
		TextMissed:      "会话 #{{.Label}} {{.Minutes}} 分钟没有答复，{{if .Agent}}已转给{{.Agent}}{{else}}已不在您这里{{end}}。",
		TextTwice:       "您连续两次没有答复，已设为忙碌，不再接新会话。回来后请发送“上线”。",
		TextMore:        "还有新消息，回复任意内容查看",
		TextReply:       "（答复请发送：#{{.Label}} 内容）",
		TextDoubt:       "（可能重复）",
		TextImage:       "[图片]",
		TextCard:        "[小程序卡片] {{.Text}}{{if .Page}}\n路径：{{.Page}}{{end}}",
		TextMedia:       `[{{if eq .Code "voice"}}语音{{else if eq .Code "video" "shortvideo"}}视频{{else if eq .Code "location"}}位置{{else if eq .Code "link"}}链接{{else if eq .Code "file"}}文件{{else}}消息{{end}}，无法转发]`,
		TextNoImage:     "[图片没有取到]{{if .Text}} {{.Text}}{{end}}",
		TextTrouble:     "系统暂时有故障，这条可能没有发出，请稍后用“历史”查看。",
		TextSpace:       "请在编号后加空格再发，这条没有发出：#{{.Label}} 内容",
		TextTo:          "{{if .Agent}}已转给{{.Agent}}{{else}}已转到微信客服{{end}}",
		TextReason:      `{{if eq .Code "full"}}已满{{else if eq .Code "offline" "away" "unknown"}}不在线{{else if eq .Code "paused"}}忙碌{{else if eq .Code "no_way"}}没有绑定微信{{else if eq .Code "refused"}}联系不上{{else if eq .Code "out_of_window"}}客户 48 小时内没有再发言，微信不允许再发{{else if eq .Code "out_of_count"}}微信不允许再发更多条{{else if eq .Code "bad_openid"}}找不到该客户{{else if eq .Code "bad_media" "too_large"}}图片无法发送{{else if eq .Code "unauthorized"}}小程序没有发送客服消息的权限{{else if eq .Code "attempts"}}多次重试仍然失败{{else if eq .Code "pool"}}没有人能接{{else}}系统故障（{{.Code}}）{{end}}`,
		TextSaying:      "{{if .Agent}}{{.Agent}}{{else}}客户{{end}}：{{.Text}}",
		TextUnreadable:  "[无法解密]",
		TextHelp: "直接回复：发给当前会话\n#编号 内容：发给该会话，并设为当前\n#编号：设为当前会话\n" +
			"上线／下线／忙碌：是否接新会话\n列表：进行中的会话\n历史：当前会话的记录\n结束：结束当前会话\n转给 坐席或分组：转走当前会话\n" +
			"后四个可以写在 #编号 之后。",
	}
}

// Texts are a switchboard's texts, compiled. The zero value has the defaults.
type Texts struct {
	texts map[TextKind]*template
}

// NewTexts compiles texts; those that are not given are the defaults. A name
// that is none, and a text that is no template or uses another field than those
// of TextData, are errors that name the text.
func NewTexts(own map[TextKind]string) (Texts, error) {
	if len(own) == 0 {
		return defaultTexts(), nil
	}
	t := Texts{texts: maps.Clone(defaultTexts().texts)}
	var errs []error
	for _, kind := range slices.Sorted(maps.Keys(own)) {
		if t.texts[kind] == nil {
			errs = append(errs, fmt.Errorf("there is no text %s", kind))
			continue
		}
		compiled, err := newTemplate(string(kind), own[kind], TextData{})
		if err != nil {
			errs = append(errs, fmt.Errorf("text %s: %w", kind, err))
			continue
		}
		t.texts[kind] = compiled
	}
	return t, errors.Join(errs...)
}

// Render gives a text.
func (t Texts) Render(kind TextKind, d TextData) string {
	texts := t.texts
	if texts == nil {
		texts = defaultTexts().texts
	}
	c := texts[kind]
	if c == nil {
		return string(kind)
	}
	text, err := c.render(d)
	if err != nil {
		return string(kind) // a text that was compiled does not fail, as good as ever
	}
	return strings.TrimSpace(text)
}

// Say gives the text of words, or what stands for those that nobody can read.
func (t Texts) Say(w Words) string {
	if w.Unreadable {
		return t.Render(TextUnreadable, TextData{})
	}
	return w.Text
}

var defaultTexts = sync.OnceValue(func() Texts {
	t := Texts{texts: map[TextKind]*template{}}
	for kind, text := range DefaultTexts() {
		compiled, err := newTemplate(string(kind), text, TextData{})
		if err != nil {
			panic(err) // the defaults are ours, and a test compiles them
		}
		t.texts[kind] = compiled
	}
	return t
})

// posing is a line of a customer's text that would look like the beginning of
// another customer's.
var posing = regexp.MustCompile("\n([ \t　]*[#＃][0-9０-９])")

// Show gives a line as the agent reads it: "#LABEL ENTRY · TEXT", with what he
// has to know about it. Entry is the entry's name.
func (l Line) Show(entry string, t Texts) string {
	text := t.Say(l.Words)
	if !l.Note {
		text = posing.ReplaceAllString(text, "\n| $1")
	}
	switch {
	case l.Note, l.Part:
	case entry == "":
		text = fmt.Sprintf("#%d · %s", l.Label, mark(l, t)+text)
	default:
		text = fmt.Sprintf("#%d %s · %s", l.Label, entry, mark(l, t)+text)
	}
	if l.Note {
		text = mark(l, t) + text
	}
	if l.Hint && !l.Note {
		text += "\n" + t.Render(TextReply, TextData{Label: l.Label})
	}
	return text
}

func mark(l Line, t Texts) string {
	if l.Doubt {
		return t.Render(TextDoubt, TextData{})
	}
	return ""
}
