package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"kefud/kefu"
)

const (
	goodToken = "5f1c2d9a7b3e4860"
	goodKey   = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
	openid    = "oWANG1234567890abcdefghijk"
)

var (
	now     = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	sealing = []byte("0123456789abcdef0123456789abcdef")
)

// agents are a relayed agent and one at a desk.
func agents() []kefu.Agent {
	return []kefu.Agent{
		{ID: "wang", Name: "王小姐", Capacity: 5, Relay: kefu.Relay{App: "board"}},
		{ID: "li", Name: "李先生", Capacity: 5, Desk: kefu.Desk{App: "account", Account: "kf1@gh_2", ID: ""}},
	}
}

// good is a deployment in which nothing is wrong: a mini-program whose agent is
// relayed, an official account with a desk, and a switchboard.
func good() (*Setup, *Facts, []kefu.App) {
	apps := []kefu.App{
		{ID: "shop", Default: "cs1", Entries: []kefu.Entry{{Tag: "cs1", Name: "售前", Link: "/pages/a", Steps: []kefu.Step{{Agents: []kefu.AgentID{"wang"}}}}}},
		{ID: "account", Default: "cs2", Entries: []kefu.Entry{{Tag: "cs2", Steps: []kefu.Step{{Group: "all", Agents: []kefu.AgentID{"li"}}}}}},
		{ID: "board", Switchboard: true},
	}
	app := func(name kefu.AppID, i int) App {
		return App{
			Name: name, AppID: fmt.Sprintf("wx%d", i), HasSecret: true, Token: goodToken + string(name), Key: goodKey[:42] + fmt.Sprint(i),
			Encryption: Safe, Transcripts: [2][]byte{sealing, nil},
		}
	}
	s := &Setup{
		File: File{Path: "config.yaml", Mode: 0o600, Literals: []string{"shop.token"}}, Listen: "127.0.0.1:8080",
		ReplyBudget: 2500 * time.Millisecond, APITimeout: 2 * time.Second, PushMaxAge: 10 * time.Minute,
		AdminToken: goodToken, Prefix: "kefud", Partitions: 16, Groups: []string{"all"},
		Apps: []App{app("shop", 1), app("account", 2), app("board", 3)},
	}
	s.Apps[1].Official, s.Apps[2].Official, s.Apps[2].Switchboard = true, true, true
	account := Account{TokenLife: time.Hour, Addresses: 2}
	desk := account
	desk.Members = []kefu.Listed{{Account: "kf1@gh_2", ID: "1001", User: openid}}
	desk.Seen = []Seen{{IDs: desk.Members[0], Online: true}}
	f := &Facts{
		Now: now,
		Redis: Redis{
			Kind: KindServer, Latency: time.Millisecond, Partitions: 16,
			Nodes: []Node{{Version: "7.0.15", Policy: "noeviction", Memory: 1 << 20, AOF: true, Fsync: "everysec", Role: "master", Replicas: 1}},
		},
		State: State{
			Chats:   []Chat{{Agent: "wang", App: "board", State: kefu.ChatOnline, Until: now.Add(time.Hour)}},
			LastNew: map[kefu.AgentID]time.Time{},
		},
		Accounts: map[kefu.AppID]Account{"shop": account, "account": desk, "board": account},
		Ready:    Readiness{Ready: true, Status: "ready"},
		Push:     &Push{App: "shop", Signed: true, Mode: Safe, Format: "JSON", Sealed: true, OpenedBy: "present", Accepted: true},
	}
	return s, f, apps
}

// A patient is a deployment that a test makes ill.
type patient struct {
	*Setup
	*Facts
	apps   []kefu.App
	people []kefu.Agent
}

func (p *patient) node() *Node { return &p.Redis.Nodes[0] }

func (p *patient) account(app kefu.AppID, change func(*Account)) {
	a := p.Accounts[app]
	change(&a)
	p.Accounts[app] = a
}

func examine(t *testing.T, change func(*patient)) []Finding {
	t.Helper()
	p := patient{people: agents()}
	p.Setup, p.Facts, p.apps = good()
	if change != nil {
		change(&p)
	}
	table, err := kefu.NewTable(p.apps, p.people)
	if err != nil {
		t.Fatal(err)
	}
	p.Table = table
	return Check(p.Setup, p.Facts)
}

// Of what a healthy deployment consists nothing is complained of, but for what
// cannot be known.
func TestNothingIsWrong(t *testing.T) {
	t.Parallel()
	for _, f := range examine(t, nil) {
		if f.Level != OK && f.ID != "app.pushes" {
			t.Errorf("%+v", f)
		}
		if f.Level == OK && f.Do != "" {
			t.Errorf("nothing is wrong, and something is to be done: %+v", f)
		}
	}
}

func refused(code int, msg string) *Refusal { return &Refusal{Code: code, Reason: "word", Msg: msg} }

// Each case makes one thing wrong, and is found, with what to do.
var cases = []struct {
	name    string
	change  func(*patient)
	id      string
	subject string
	level   Level
	text    string
	do      string
}{
	{"secrets for everybody", func(p *patient) { p.File.Mode = 0o644 }, "config.mode", "config", Fail, "shop.token", "chmod 600 config.yaml"},
	{"secrets for the group", func(p *patient) { p.File.Mode = 0o640 }, "config.mode", "config", Warn, "0640", "chown it to the user who runs kefud"},
	{"anybody writes", func(p *patient) { p.File.Mode, p.File.Literals = 0o666, nil }, "config.mode", "config", Fail, "change it", "chmod go-w config.yaml"},
	{"no secrets", func(p *patient) { p.File.Mode, p.File.Literals = 0o644, nil }, "config.mode", "config", OK, "no secret", ""},
	{"no admin token", func(p *patient) { p.AdminToken = "" }, "config.admin_token", "admin", OK, "403", ""},
	{"no admin token, embedded", func(p *patient) { p.AdminToken, p.Embedded = "", true }, "config.admin_token", "admin", Warn, "without a Redis", "KEFUD_ADMIN_TOKEN"},
	{"short admin token", func(p *patient) { p.AdminToken = "abc" }, "config.admin_token", "admin", Fail, "3 bytes", "openssl rand"},
	{"weak admin token", func(p *patient) { p.AdminToken = "changeme-changeme" }, "config.admin_token", "admin", Warn, "weak", "openssl rand"},
	{"one token for two", func(p *patient) { p.Apps[1].Token = p.Apps[0].Token }, "config.shared_token", "apps", Warn, "shop and account", "「服务器配置」"},
	{"one app id for two", func(p *patient) { p.Apps[1].AppID = p.Apps[0].AppID }, "config.shared_app_id", "apps", Fail, "shop and account", "AppID"},
	{"one key for two", func(p *patient) { p.Apps[1].Key = p.Apps[0].Key }, "config.shared_key", "apps", Warn, "shop and account", "draw another"},
	{"the demo's token", func(p *patient) { p.Apps[0].Token = "demo-token" }, "app.token", "app shop", Warn, "the demo's", "消息推送配置"},
	{"the demo's token for agents", func(p *patient) { p.Apps[2].Token = "demo-token" }, "app.token", "app board", Fail, "the demo's", "服务器配置"},
	{"a token to guess", func(p *patient) { p.Apps[0].Token = "aaaaaaaaaaaaaaaa" }, "app.token", "app shop", Warn, "guessed", "openssl rand"},
	{"a token to guess for agents", func(p *patient) { p.Apps[2].Token = "t" }, "app.token", "app board", Fail, "guessed", "openssl rand"},
	{"a short token", func(p *patient) { p.Apps[0].Token = "kx83hfp2a9" }, "app.token", "app shop", Warn, "10 bytes", "openssl rand"},
	{"a key cut short", func(p *patient) { p.Apps[0].Key = goodKey[:42] }, "app.aes_key", "app shop", Fail, "42 characters", "EncodingAESKey"},
	{"the key is the previous key", func(p *patient) { p.Apps[0].PreviousKey = p.Apps[0].Key }, "app.aes_key", "app shop", Warn, "previous", "leave it empty"},
	{"plain, without a key", func(p *patient) { p.Apps[0].Encryption, p.Apps[0].Key = Plain, "" }, "app.encryption", "app shop", Warn, "nothing signs", "安全模式"},
	{"compatible", func(p *patient) { p.Apps[0].Encryption = Compatible }, "app.encryption", "app shop", Warn, "still accepted", "encryption: safe"},
	{"a short transcript key", func(p *patient) { p.Apps[0].Transcripts[0] = sealing[:16] }, "app.transcript_key", "app shop", Fail, "32 bytes", "openssl rand -base64 32"},
	{"the transcript key twice", func(p *patient) { p.Apps[0].Transcripts[1] = sealing }, "app.transcript_key", "app shop", Warn, "previous_key", "leave it empty"},

	{"port 80", func(p *patient) { p.Listen = ":80" }, "server.port", "server", Warn, "without TLS", "TLS proxy"},
	{"port 443", func(p *patient) { p.Listen = ":443" }, "server.port", "server", Warn, "no TLS itself", "TLS proxy"},
	{"everybody is a proxy", func(p *patient) { p.TrustedProxies = []string{"0.0.0.0/0"} }, "server.proxies", "server", Warn, "0.0.0.0/0", "your proxies"},
	{"a proxy", func(p *patient) { p.TrustedProxies = []string{"10.0.0.1"} }, "server.proxies", "server", OK, "10.0.0.1", ""},
	{"WeChat alone, behind a proxy that is not named", func(p *patient) { p.FromWeChat, p.Listen = true, "127.0.0.1:8080" }, "server.addresses", "server", Fail, "every push will be refused", "trusted_proxies"},
	{"WeChat alone, perhaps behind a proxy", func(p *patient) { p.FromWeChat, p.Listen = true, ":8080" }, "server.addresses", "server", Warn, "if there is a proxy", "trusted_proxies"},
	{"WeChat alone, behind a proxy", func(p *patient) { p.FromWeChat, p.TrustedProxies = true, []string{"10.0.0.1"} }, "server.addresses", "server", OK, "alone", ""},
	{"WeChat alone, without a proxy", func(p *patient) { p.FromWeChat, p.Listen = true, ":80" }, "server.addresses", "server", OK, "alone", ""},
	{"a slow API", func(p *patient) { p.APITimeout = 3 * time.Second }, "server.budget", "server", Warn, "3s", "below reply_budget"},
	{"no server", func(p *patient) { p.ReadyErr = errors.New("refused") }, "server.ready", "server", Unchecked, "refused", "kefud serve"},
	{"not ready", func(p *patient) { p.Ready = Readiness{Status: "starting"} }, "server.ready", "server", Warn, "starting", "log"},
	{"degraded", func(p *patient) { p.Ready.Status, p.Ready.Faults = "degraded", []string{"token: x"} }, "server.ready", "server", Warn, "token: x", "log"},

	{"WeChat's clock is off", func(p *patient) { p.Clock = 6 * time.Second }, "clock.wechat", "clock", Warn, "6s ahead", "timedatectl"},
	{"WeChat's clock is far off", func(p *patient) { p.Clock = -6 * time.Minute }, "clock.wechat", "clock", Fail, "6m0s behind", "timedatectl"},
	{"far off, and any age will do", func(p *patient) { p.Clock, p.PushMaxAge = time.Hour, 0 }, "clock.wechat", "clock", Warn, "1h0m0s ahead", "timedatectl"},
	{"no clock", func(p *patient) { p.ClockErr = errors.New("no date") }, "clock.wechat", "clock", Unchecked, "no date", "reachability"},
	{"Redis's clock is off", func(p *patient) { p.Redis.Offset = -20 * time.Second }, "clock.redis", "clock", Warn, "20s behind", "Redis too"},
	{"Redis's clock is far off", func(p *patient) { p.Redis.Offset = time.Hour }, "clock.redis", "clock", Fail, "ahead", "Redis too"},
	{"no clock of Redis", func(p *patient) { p.Redis.OffsetErr = errors.New("denied") }, "clock.redis", "clock", Unchecked, "denied", "see"},

	{"embedded", func(p *patient) { p.Embedded = true }, "redis.store", "redis", Warn, "ends with it", "redis.addrs"},
	{"no Redis", func(p *patient) { p.Redis.Err = errors.New("connection refused") }, "redis.reach", "redis", Fail, "connection refused", "redis-cli"},
	{"a password is wanted", func(p *patient) { p.Redis.Err = errors.New("answered NOAUTH Authentication required") }, "redis.reach", "redis", Fail, "NOAUTH", "KEFUD_REDIS_PASSWORD"},
	{"no sentinel", func(p *patient) { p.Redis.Kind, p.Redis.Err = KindSentinel, errors.New("all sentinels") }, "redis.reach", "redis", Fail, "sentinel", "master_name"},
	{"no cluster", func(p *patient) {
		p.Redis.Kind, p.Redis.Err = KindCluster, errors.New("ERR This instance has cluster support disabled")
	}, "redis.reach", "redis", Fail, "cluster", "one address"},
	{"slow", func(p *patient) { p.Redis.Latency = 100 * time.Millisecond }, "redis.latency", "redis", Warn, "100ms", "nearer"},
	{"too slow", func(p *patient) { p.Redis.Latency = time.Second }, "redis.latency", "redis", Fail, "1s", "reply_budget"},
	{"unused", func(p *patient) { p.Redis.Partitions = 0 }, "redis.partitions", "redis", OK, "nothing is stored", ""},
	{"no partitions to be read", func(p *patient) { p.Redis.Partitions = -1 }, "redis.partitions", "redis", Unchecked, "cannot be read", "refuses"},
	{"other partitions", func(p *patient) { p.Redis.Partitions = 4 }, "redis.partitions", "redis", Fail, "over 4 partitions", "redis.partitions: 4"},
	{"commands refused", func(p *patient) { p.Redis.Refused = []string{"XADD (no permission)", "b", "c", "d", "e", "f", "g"} }, "redis.commands", "redis", Fail, "and 1 more", "ACL SETUSER … ~kefud:*"},
	{"ancient", func(p *patient) { p.node().Version = "6.0.16" }, "redis.version", "redis", Fail, "6.0.16", "7.0"},
	{"old", func(p *patient) { p.node().Version = "6.2.1" }, "redis.version", "redis", Warn, "6.2.1", "7.0"},
	{"newer", func(p *patient) { p.node().Version = "10.1" }, "redis.version", "redis", OK, "10.1", ""},
	{"no version", func(p *patient) { p.node().Version = "" }, "redis.version", "redis", Unchecked, "not checked", "7.0"},
	{"a replica", func(p *patient) { p.node().Role = "slave" }, "redis.role", "redis", Fail, "replica", "master"},
	{"a cluster by one address", func(p *patient) { p.node().Cluster, p.node().ClusterState = true, "ok" }, "redis.role", "redis", Fail, "part of a cluster", "at least two"},
	{"a broken cluster", func(p *patient) { p.Redis.Kind, p.node().Cluster, p.node().ClusterState = KindCluster, true, "fail" }, "redis.role", "redis", Fail, "cluster_state:fail", "--cluster check"},
	{"a master alone", func(p *patient) { p.Redis.Kind, p.node().Replicas = KindSentinel, 0 }, "redis.role", "redis", Warn, "no replica", "add a replica"},
	{"no role", func(p *patient) { p.node().Role = "" }, "redis.role", "redis", Unchecked, "not checked", "+info"},
	{"evicting", func(p *patient) { p.node().Policy, p.node().MaxMemory = "allkeys-lru", 1<<30 }, "redis.eviction", "redis", Fail, "allkeys-lru", "noeviction"},
	{"evicting some", func(p *patient) { p.node().Policy, p.node().MaxMemory = "volatile-ttl", 1<<30 }, "redis.eviction", "redis", Warn, "volatile-ttl", "noeviction"},
	{"would evict", func(p *patient) { p.node().Policy = "allkeys-lru" }, "redis.eviction", "redis", Warn, "as soon as", "noeviction"},
	{"no policy", func(p *patient) { p.node().Policy = "" }, "redis.eviction", "redis", Unchecked, "not checked", "noeviction"},
	{"filling", func(p *patient) { p.node().Memory, p.node().MaxMemory = 85<<20, 100<<20 }, "redis.memory", "redis", Warn, "85%", "maxmemory"},
	{"full", func(p *patient) { p.node().Memory, p.node().MaxMemory = 99<<20, 100<<20 }, "redis.memory", "redis", Fail, "99%", "maxmemory"},
	{"never synced", func(p *patient) { p.node().Fsync = "no" }, "redis.persistence", "redis", Warn, "30 s", "everysec"},
	{"snapshots", func(p *patient) { p.node().AOF, p.node().SaveKnown, p.node().Save = false, true, "3600 1" }, "redis.persistence", "redis", Warn, "snapshots", "appendonly yes"},
	{"nothing kept", func(p *patient) { p.node().AOF, p.node().SaveKnown, p.node().Replicas = false, true, 0 }, "redis.persistence", "redis", Warn, "a restart loses", "appendonly yes"},
	{"nothing kept, but for a replica", func(p *patient) { p.node().AOF, p.node().SaveKnown = false, true }, "redis.persistence", "redis", Warn, "restart together", "appendonly yes"},
	{"kept, perhaps", func(p *patient) { p.node().AOF = false }, "redis.persistence", "redis", Unchecked, "not checked", "outlives"},
	{"the second of two nodes", func(p *patient) {
		p.Redis.Kind = KindCluster
		n := *p.node()
		n.Version = "6.0"
		p.Redis.Nodes = append(p.Redis.Nodes, n)
	}, "redis.version", "redis 2", Fail, "6.0", "7.0"},

	{"no secret", func(p *patient) { delete(p.Accounts, "shop") }, "app.secret", "app shop", Warn, "no app_secret", "「开发设置」"},
	{"no secret of the switchboard", func(p *patient) { delete(p.Accounts, "board") }, "app.secret", "app board", Fail, "no app_secret", "「基本配置」"},
	{"a wrong secret", token(refused(40125, "invalid appsecret")), "app.token_api", "app shop", Fail, "40125: the app_secret is wrong", "reset it in"},
	{"a wrong secret, said otherwise", token(refused(40001, "")), "app.token_api", "app shop", Fail, "the app_secret is wrong", "reset"},
	{"a frozen secret", token(refused(40243, "")), "app.token_api", "app shop", Fail, "frozen", "unfreeze"},
	{"a wrong app id", token(refused(40013, "invalid appid")), "app.token_api", "app shop", Fail, "40013", "AppID"},
	{"an address that is not listed", token(refused(40164, "invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist")), "app.token_api", "app shop", Fail, "40164", "add 203.0.113.7 to 小程序后台「开发」-「开发管理」-「开发设置」-「IP白名单」"},
	{"an address that WeChat does not name", token(refused(40164, "no")), "app.token_api", "app shop", Fail, "40164", "this server's public address"},
	{"an address to be confirmed", token(refused(89503, "ip (2001:db8::1) needs confirmation")), "app.token_api", "app shop", Fail, "consented", "2001:db8::1"},
	{"nobody answers", token(refused(0, "timeout")), "app.token_api", "app shop", Fail, "timeout", "api_base"},
	{"a quota", token(refused(45009, "")), "app.token_api", "app shop", Warn, "used up", "「清零」"},
	{"restricted", token(refused(50002, "")), "app.token_api", "app shop", Fail, "restricted", "通知中心"},
	{"an errcode nobody knows", token(refused(12345, "what")), "app.token_api", "app shop", Warn, "what", "全局返回码"},
	{"getcallbackip fails", func(p *patient) { p.account("shop", func(a *Account) { a.Callback = refused(-1, "system busy") }) }, "app.api", "app shop", Warn, "system busy", "返回码"},
	{"no permission", func(p *patient) { p.account("shop", func(a *Account) { a.Online = refused(48001, "") }) }, "app.permission", "app shop", Fail, "48001", "第三方设置"},
	{"not verified", func(p *patient) { p.account("board", func(a *Account) { a.Online = refused(48001, "") }) }, "app.permission", "app board", Fail, "48001", "微信认证"},
	{"no desk", func(p *patient) { p.account("account", func(a *Account) { a.Online = refused(65400, "") }) }, "app.permission", "app account", Fail, "65400", "「客服」"},
	{"pushes arrive", func(p *patient) {
		p.apps, p.people = append(p.apps[:1], p.apps[2]), p.people[:1]
		p.Apps, p.Groups = append(p.Apps[:1], p.Apps[2]), nil
		p.State.LastNew["wang"] = now
	}, "app.pushes", "app shop", OK, "come here", ""},
	{"pushes arrive now", func(p *patient) { p.Ready.Pushes = map[kefu.AppID]Pushes{"shop": {Answered: 2, Refused: 1}} }, "app.pushes", "app shop", OK, "answered 2 pushes", ""},
	{"pushes are refused", func(p *patient) { p.Ready.Pushes = map[kefu.AppID]Pushes{"shop": {Refused: 3}} }, "app.pushes", "app shop", Warn, "refused all 3", "--push FILE"},
	{"pushes come from elsewhere", func(p *patient) { p.Ready.Pushes = map[kefu.AppID]Pushes{"shop": {Strange: 4}} }, "app.pushes", "app shop", Warn, "refused all 4", "trusted_proxies"},
	{"pushes go somewhere", nil, "app.pushes", "app shop", Unchecked, "not checkable from here", "「第三方设置」"},

	{"a mini-program that names", func(p *patient) { p.Apps[0].AlwaysNames = true }, "app.designated", "app shop", Warn, "documents no such element", "auto"},
	{"a mini-program with a desk", func(p *patient) { p.people[0].Relay.App = ""; p.people[0].Desk.App = "shop" }, "app.designated", "app shop", Warn, "customers of wang", "relay"},
	{"a long tag", func(p *patient) {
		p.apps[0].Entries[0].Tag = kefu.EntryTag(strings.Repeat("x", 1001))
		p.apps[0].Default = p.apps[0].Entries[0].Tag
	}, "entry.tag", "entry " + strings.Repeat("x", 1001), Fail, "1001 bytes", "shorter"},
	{"a link to the web", func(p *patient) { p.apps[0].Entries[0].Link = "https://example.com" }, "entry.link", "entry cs1", Warn, "no path", "/pages/"},
	{"a link without a slash", func(p *patient) { p.apps[0].Entries[0].Link = "pages/a" }, "entry.link", "entry cs1", Warn, "no /", "/pages/a"},
	{"no steps", func(p *patient) { p.apps[0].Entries[0].Steps = nil }, "entry.steps", "entry cs1", Warn, "no steps", "steps"},
	{"a step elsewhere", func(p *patient) { p.apps[0].Entries[0].Steps[0].Agents[0] = "li" }, "entry.steps", "entry cs1", Warn, "can never take", "relay"},
	{"a step after all", func(p *patient) {
		p.people[0].Capacity, p.people[0].Manual.State = 0, kefu.ManualOnline
		p.apps[0].Entries[0].Steps = append(p.apps[0].Entries[0].Steps, kefu.Step{Agents: []kefu.AgentID{"wang"}})
	}, "entry.steps", "entry cs1", Warn, "step 2 (wang) is never reached", "capacity"},
	{"a group for nobody", func(p *patient) { p.Groups = append(p.Groups, "night") }, "group.used", "groups", Warn, "night", "remove"},
	{"a long notice", func(p *patient) {
		p.apps[0].Notices, _ = kefu.NewNotices(map[kefu.NoticeKind]string{kefu.NoticeGreeting: "{{.Agent}}" + strings.Repeat("好", 680)})
	}, "app.texts", "app shop", Fail, "notices.greeting can have 2049 bytes", "shorten"},
	{"a notice that cannot be written", func(p *patient) {
		p.apps[0].Notices, _ = kefu.NewNotices(map[kefu.NoticeKind]string{kefu.NoticeClosed: "{{if .Position}}{{slice .Agent 9 99}}{{end}}"})
	}, "app.texts", "app shop", Fail, "cannot be written", "template"},
	{"a long text", func(p *patient) { p.Apps[2].Texts = map[string]string{"help": strings.Repeat("x", 2049)} }, "app.texts", "app board", Fail, "texts.help", "shorten"},

	{"no chat", func(p *patient) { p.State.Chats = nil }, "agent.chat", "agent wang", Fail, "no chat is bound", "kefud agents invite wang"},
	{"a chat by configuration", func(p *patient) { p.State.Chats, p.people[0].Relay.User = nil, openid }, "agent.chat", "agent wang", Warn, "has not written", "上线"},
	{"a chat gone", func(p *patient) { p.State.Chats[0].State = kefu.ChatGone }, "agent.chat", "agent wang", Fail, "unfollowed", "follow"},
	{"a chat closed", func(p *patient) { p.State.Chats[0].Until = now }, "agent.chat", "agent wang", Warn, "window is over", "上线"},
	{"a chat busy", func(p *patient) { p.State.Chats[0].State = kefu.ChatBusy }, "agent.chat", "agent wang", OK, "busy", ""},
	{"no chat, but a desk", func(p *patient) { p.State.Chats, p.people[0].Desk = nil, p.people[1].Desk }, "agent.chat", "agent wang", Warn, "no chat is bound", "invite"},
	{"no desk, but a chat", func(p *patient) { p.people[0].Desk = kefu.Desk{App: "account", ID: "9"} }, "agent.desk", "agent wang", Warn, "his ids", "write one of these"},
	{"neither desk nor chat", func(p *patient) { p.State.Chats, p.people[0].Desk = nil, kefu.Desk{App: "account", ID: "9"} }, "agent.desk", "agent wang", Fail, "his ids", "write one of these"},
	{"no state", func(p *patient) { p.StateErr = errors.New("refused") }, "agent.chat", "agent wang", Unchecked, "refused", "start"},
	{"nowhere", func(p *patient) { p.people[1].Desk = kefu.Desk{} }, "agent.way", "agent li", Warn, "neither", "desk"},
	{"in no entry", func(p *patient) { p.people = append(p.people, kefu.Agent{ID: "zhao", Desk: p.people[1].Desk}) }, "agent.used", "agent zhao", Warn, "no entry", "steps"},
	{"a desk without ids", func(p *patient) { p.people[1].Desk.Account = "" }, "agent.desk", "agent li", Warn, "none of the three ids", "desk.kf_id"},
	{"a desk of an app that fails", func(p *patient) { p.account("account", func(a *Account) { a.Token = refused(40013, "") }) }, "agent.desk", "agent li", Unchecked, "cannot be used", "that app"},
	{"no lists", func(p *patient) {
		p.account("account", func(a *Account) { a.Staff, a.Online = refused(48001, ""), refused(48001, "") })
	}, "agent.desk", "agent li", Unchecked, "no list", "app account"},
	{"nobody at the desk", func(p *patient) { p.account("account", func(a *Account) { a.Members, a.Seen = nil, nil }) }, "agent.desk", "agent li", Fail, "nobody is at", "客服人员"},
	{"a wrong id", func(p *patient) { p.people[1].Desk.Account = "kf9@gh_2" }, "agent.desk", "agent li", Fail, "account kf1@gh_2 = kf_id 1001 = openid oWAN…hijk", "write one of these"},
	{"only who is online, and he is not", func(p *patient) {
		p.account("account", func(a *Account) { a.Staff, a.Members, a.Seen = refused(48001, ""), nil, nil })
	}, "agent.desk", "agent li", Unchecked, "lists only who is online", "online"},
	{"an id that the online list does not have", func(p *patient) {
		p.account("account", func(a *Account) { a.Seen[0].IDs.Account = "" })
	}, "agent.desk", "agent li", Fail, "does not carry the id", "desk.kf_id: 1001"},
	{"an openid is all that the online list has", func(p *patient) {
		p.account("account", func(a *Account) { a.Seen[0].IDs = kefu.Listed{User: openid} })
	}, "agent.desk", "agent li", Fail, "oWAN…hijk", "desk.openid: the kf_openid"},
	{"an account is all that the online list has", func(p *patient) {
		p.people[1].Desk = kefu.Desk{App: "account", ID: "1001"}
		p.account("account", func(a *Account) { a.Seen[0].IDs = kefu.Listed{Account: "kf1@gh_2"} })
	}, "agent.desk", "agent li", Fail, "does not carry the id", "desk.account: kf1@gh_2"},
	{"no online list", func(p *patient) { p.account("account", func(a *Account) { a.Online = refused(48001, "") }) }, "agent.desk", "agent li", Unchecked, "whether he is online", "the app"},
	{"offline, and never given anybody", func(p *patient) { p.account("account", func(a *Account) { a.Seen[0].Online = false }) }, "agent.desk", "agent li", Warn, "given no customer", "网页端客服"},
	{"offline today", func(p *patient) {
		p.account("account", func(a *Account) { a.Seen[0].Online = false })
		p.State.LastNew["li"] = now
	}, "agent.desk", "agent li", OK, "last given", ""},
	{"offline, and nobody knows", func(p *patient) {
		p.account("account", func(a *Account) { a.Seen[0].Online = false })
		p.State.LastNew = nil
	}, "agent.desk", "agent li", OK, "not seen online", ""},

	{"no sample", func(p *patient) { p.Push = nil }, "push.sample", "push", Unchecked, "not checked", "--push FILE"},
	{"no sample at all", func(p *patient) { p.Push = &Push{Unread: "no URL"} }, "push.sample", "push", Fail, "no URL", "curl"},
	{"a sample of nobody", func(p *patient) { p.Push.App = "x" }, "push.sample", "push", Fail, "not known", "shop, account, board"},
	{"a sample of another", func(p *patient) { p.Push.Signed, p.Push.SignedFor = false, "account" }, "push.signature", "push", Fail, "token of app account", "/wechat/account"},
	{"a wrong signature", func(p *patient) { p.Push.Signed = false }, "push.signature", "push", Fail, "403", "copy Token"},
	{"the URL's check", func(p *patient) { p.Push.Echo = true }, "push.sample", "push", OK, "check of the URL", ""},
	{"a body of nothing", func(p *patient) { p.Push.Mode = "" }, "push.body", "push", Fail, "neither XML nor JSON", "whole"},
	{"no message", func(p *patient) { p.Push.Accepted = false }, "push.body", "push", Fail, "no message", "whole"},
	{"plain for safe", func(p *patient) { p.Push.Mode, p.Push.Accepted = Plain, false }, "push.mode", "push", Fail, "明文模式, the configuration says encryption: safe", "choose 安全模式 in 小程序后台「开发」-「开发管理」-「消息推送配置」, or set encryption: plain"},
	{"safe for plain", func(p *patient) { p.Apps[0].Encryption, p.Apps[0].Key, p.Push.Accepted = Plain, "", false }, "push.mode", "push", Fail, "安全模式, the configuration says encryption: plain", "set encryption: safe and encoding_aes_key"},
	{"safe for plain with a key", func(p *patient) { p.Apps[0].Encryption = Plain }, "push.mode", "push", Warn, "for no reason", "set encryption: safe"},
	{"compatible for safe", func(p *patient) { p.Push.Mode = Compatible }, "push.mode", "push", Warn, "兼容模式", "安全模式"},
	{"another ciphertext", func(p *patient) { p.Push.Sealed, p.Push.Accepted = false, false }, "push.signature", "push", Fail, "msg_signature", "one and the same"},
	{"another key", func(p *patient) { p.Push.OpenedBy, p.Push.Accepted = "", false }, "push.key", "push", Fail, "cannot be opened", "EncodingAESKey"},
	{"the previous key", func(p *patient) { p.Push.OpenedBy = "previous" }, "push.key", "push", Warn, "previous key", "save"},
	{"JSON of an official account", func(p *patient) { p.Push.App, p.Push.Accepted = "account", false }, "push.format", "push", Fail, "JSON", "XML"},
	{"for another account", func(p *patient) { p.Push.Elsewhere = "gh_9" }, "push.account", "push", Warn, "gh_9", "original_id: gh_9"},
	{"an old sample", func(p *patient) { p.Push.Age = time.Hour }, "push.sample", "push", OK, "1h0m0s old", ""},
}

func token(r *Refusal) func(*patient) {
	return func(p *patient) { p.account("shop", func(a *Account) { a.Token = r }) }
}

func TestWhatIsWrongIsFound(t *testing.T) {
	t.Parallel()
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			found := examine(t, tt.change)
			ok := slices.ContainsFunc(found, func(f Finding) bool {
				return f.ID == tt.id && f.Subject == tt.subject && f.Level == tt.level &&
					strings.Contains(f.Text, tt.text) && (f.Do == "") == (tt.do == "") && strings.Contains(f.Do, tt.do)
			})
			if !ok {
				t.Errorf("no %s of %s, %s, with %q and %q in:", tt.id, tt.subject, tt.level, tt.text, tt.do)
				for _, f := range found {
					if f.ID == tt.id || f.Subject == tt.subject {
						t.Logf("%+v", f)
					}
				}
			}
			for _, f := range found {
				for _, secret := range []string{goodToken, goodKey[:42], openid, string(sealing)} {
					if strings.Contains(f.Text+f.Do, secret) {
						t.Errorf("a secret stands in %+v", f)
					}
				}
				if f.Level == Fail && f.Do == "" || strings.ContainsAny(f.Text+f.Do, "\n") {
					t.Errorf("it does not say in one line what to do: %+v", f)
				}
			}
		})
	}
}

// A switchboard needs no desk.
func TestASwitchboardNeedsNoDesk(t *testing.T) {
	t.Parallel()
	for _, f := range examine(t, func(p *patient) {
		p.account("board", func(a *Account) { a.Online, a.Staff = refused(65400, ""), refused(65400, "") })
	}) {
		if f.Level > Unchecked {
			t.Errorf("%+v", f)
		}
	}
}

func TestLevels(t *testing.T) {
	t.Parallel()
	found := []Finding{{Level: OK}, {Level: Warn}, {Level: OK}, {Level: Unchecked}}
	if Worst(found) != Warn || Worst(nil) != OK || Tally(found)[OK] != 2 {
		t.Errorf("worst %s, %v", Worst(found), Tally(found))
	}
	text, err := json.Marshal(map[Level]Finding{Fail: {ID: "a", Subject: "b", Level: Unchecked, Text: "c"}})
	if want := `{"FAIL":{"id":"a","subject":"b","level":"unchecked","text":"c"}}`; string(text) != want || err != nil {
		t.Errorf("%s, %v; want %s", text, err, want)
	}
}

func TestASetupPrintsNoSecret(t *testing.T) {
	t.Parallel()
	s, _, _ := good()
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		text := fmt.Sprintf(format, s) + fmt.Sprintf(format, &s.Apps[0])
		if strings.Contains(text, goodToken) || strings.Contains(text, goodKey[:42]) {
			t.Errorf("%s prints %s", format, text)
		}
	}
}

// crowd answers everything, or nothing before its time is over.
type crowd struct {
	f      *Facts
	silent bool
}

func (c crowd) wait(ctx context.Context) error {
	if !c.silent {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

func (c crowd) Redis(ctx context.Context) Redis {
	if err := c.wait(ctx); err != nil {
		return Redis{Kind: KindServer, Err: err}
	}
	return c.f.Redis
}
func (c crowd) State(ctx context.Context) (State, error)         { return c.f.State, c.wait(ctx) }
func (c crowd) Clock(ctx context.Context) (time.Duration, error) { return 0, c.wait(ctx) }
func (c crowd) Ready(ctx context.Context) (Readiness, error)     { return c.f.Ready, c.wait(ctx) }
func (c crowd) Account(ctx context.Context, app kefu.AppID) Account {
	if c.wait(ctx) != nil {
		return Account{Token: &Refusal{Reason: "timeout"}}
	}
	return c.f.Accounts[app]
}
