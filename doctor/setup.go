package doctor

import (
	"io/fs"
	"time"

	"kefud/kefu"
)

// A Setup is what doctor must know of a configuration that has been checked. It
// holds secrets; printing it shows none.
type Setup struct {
	File           File
	Listen         string
	TrustedProxies []string
	FromWeChat     bool // pushes are let in from WeChat's addresses alone
	ReplyBudget    time.Duration
	APITimeout     time.Duration
	PushMaxAge     time.Duration // 0 = any
	AdminToken     string        `json:"-"`
	Embedded       bool
	Prefix         string // of keys in Redis
	Partitions     int
	Table          *kefu.Table
	Groups         []string
	Apps           []App
}

// String names nothing of it.
func (s *Setup) String() string { return "setup of " + s.File.Path }

// GoString is String, for %#v.
func (s *Setup) GoString() string { return s.String() }

// A File is the configuration file as it lies on the disk.
type File struct {
	Path     string
	Mode     fs.FileMode
	Literals []string // the keys whose secret stands in the file itself
}

// The modes of an app's message push, as the configuration names them.
const (
	Plain      = "plain"
	Compatible = "compatible"
	Safe       = "safe"
)

// An App is what doctor must know of one app.
type App struct {
	Name        kefu.AppID
	Official    bool // an official account; else a mini-program
	Switchboard bool
	AppID       string // wx…
	HasSecret   bool
	Token       string `json:"-"`
	Key         string `json:"-"` // EncodingAESKey
	PreviousKey string `json:"-"`
	Encryption  string // Plain, Compatible or Safe
	AlwaysNames bool   // transfer_to_agent: always
	// Transcripts are the keys that seal transcripts, the present one and the one
	// before; nil = none.
	Transcripts [2][]byte         `json:"-"`
	Texts       map[string]string // what a switchboard says, as the file has it
}

// String names the app only.
func (a *App) String() string { return "app " + string(a.Name) }

// GoString is String, for %#v.
func (a *App) GoString() string { return a.String() }

// Menus of WeChat's console (https://mp.weixin.qq.com). The mini-program's push:
// WeChat, "消息推送",
// https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html,
// read 2026-11.
func (a *App) menuPush() string {
	if a.Official {
		return "公众平台「设置与开发」-「基本配置」-「服务器配置」"
	}
	return "小程序后台「开发」-「开发管理」-「消息推送配置」"
}

func (a *App) menuSecret() string {
	if a.Official {
		return "公众平台「设置与开发」-「基本配置」"
	}
	return "小程序后台「开发」-「开发管理」-「开发设置」"
}

func (a *App) menuDesk() string {
	if a.Official {
		return "公众平台「客服」"
	}
	return "小程序后台「客服」"
}

func (a *App) menuThirdParty() string {
	if a.Official {
		return "公众平台「设置与开发」-「公众号设置」-「授权管理」"
	}
	return "小程序后台「设置」-「第三方设置」"
}
