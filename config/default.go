package config

import (
	"time"

	"kefud/kefu"
)

// The texts of an app that has none of its own.
const (
	greeting   = `您好，{{or .Agent .Entry "客服"}}为您服务，请问有什么可以帮您？`
	waiting    = `{{or .Entry "客服"}}正忙，已为您排队{{if .Position}}，您目前排在第 {{.Position}} 位{{end}}，请稍候。`
	reassigned = `{{if .Agent}}接下来由{{.Agent}}为您服务，请稍候。{{else}}已为您转接其他客服，请稍候。{{end}}`
	closed     = `本次服务已结束，感谢您的咨询。如需帮助，欢迎随时再联系我们。`
)

const day = 24 * time.Hour

// Default is the file that ships, with an empty environment: everything a
// config has if it says nothing, and an example of agents, groups and one app,
// which a file of one's own replaces. Each call makes another.
func Default() *Config {
	c := base()
	c.Agents = []Agent{
		exampleAgent("wang", "王小姐", "kf2001@gh_1a2b3c"),
		exampleAgent("li", "李先生", "kf2002@gh_1a2b3c"),
		exampleAgent("zhao", "赵小姐", "kf2003@gh_1a2b3c"),
	}
	c.Groups = []Group{{Name: "presale", Agents: []kefu.AgentID{"wang", "li"}}}
	c.Apps = []App{exampleApp()}
	return c
}

// base is what a config has if it says nothing.
func base() *Config {
	return &Config{
		Listen:      ":8080",
		Log:         Log{Level: "info", Format: LogJSON},
		Redis:       Redis{KeyPrefix: "kefud", Partitions: 16},
		WeChat:      WeChat{APIBase: "https://api.weixin.qq.com", Timeout: 2 * time.Second, CallbackAddresses: AddressesAny},
		ReplyBudget: 2500 * time.Millisecond,
		PushMaxAge:  10 * time.Minute,

		ShutdownDelay: 2 * time.Second,
	}
}

func (a *Agent) setDefaults() {
	a.Capacity, a.Presence = 5, PresenceAuto
}

func (a *App) setDefaults() {
	*a = App{
		Kind:             KindMiniProgram,
		Role:             RoleCustomers,
		Encryption:       EncryptionPlain,
		TransferToAgent:  TransferAuto,
		Presence:         Presence{Refresh: 10 * time.Second, StaleAfter: 45 * time.Second},
		Sticky:           2 * day,
		ConversationIdle: 30 * time.Minute,
		Allowance: Allowance{
			AfterMessage: 5, AfterMessageWindow: 2 * day,
			AfterEnter: 2, AfterEnterWindow: time.Minute,
		},
		Notices:    Notices{Greeting: greeting, Waiting: waiting, Reassigned: reassigned, Closed: closed},
		Transcript: Transcript{Keep: 30 * day},
	}
}

func (e *Entry) setDefaults() { e.AnswerTimeout = 2 * time.Minute }

func exampleAgent(id kefu.AgentID, name, account string) Agent {
	var a Agent
	a.setDefaults()
	a.ID, a.Name = id, name
	a.Desk = Desk{App: "shop", Account: account}
	return a
}

func exampleApp() App {
	var a App
	a.setDefaults()
	a.Name = "shop"
	a.AppID, a.OriginalID = "wx0000000000000001", "gh_1a2b3c"
	a.Token = "demo-token"
	a.DefaultEntry = "cs1"
	month := 30 * day
	a.Entries = []Entry{
		{
			Tag: "cs1", Name: "售前客服", Link: "/pages/service1", Sticky: &month,
			Steps: []Step{{Agent: "wang"}, {Group: "presale"}},
		},
		{
			Tag: "cs2", Name: "售后客服", Link: "/pages/service1?tag=cs2",
			Steps: []Step{{Agent: "li"}, {Agent: "zhao"}},
		},
		{
			Tag: "vip", Name: "贵宾专线", Link: "/pages/service1?tag=vip",
			Steps: []Step{{Agent: "zhao"}, {Group: "presale"}},
		},
	}
	for i := range a.Entries {
		a.Entries[i].setDefaults()
	}
	return a
}
