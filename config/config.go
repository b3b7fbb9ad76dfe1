// Package config turns config.yaml into a checked struct, or into one error
// that lists everything wrong with it, each with its line and what would be
// right.
//
// Three rules make the file predictable. A value is the text that stands there,
// and its key says how the text is read: 1001 is a number for redis.db and a tag
// for entries[].tag, quoted or not. Whatever the file does not say has the
// default of the file that ships; only agents, groups, apps and entries have
// none. And ${NAME} is replaced inside values, after the YAML has been read, so
// that nothing in the environment can change what the file's structure is.
package config

import (
	"fmt"
	"io"
	"os"
	"time"

	"kefud/kefu"
)

// Values of the keys that choose between a few words.
const (
	KindMiniProgram     = "mini_program"
	KindOfficialAccount = "official_account"

	RoleCustomers   = "customers"
	RoleSwitchboard = "switchboard"

	EncryptionPlain      = "plain"
	EncryptionCompatible = "compatible"
	EncryptionSafe       = "safe"

	TransferAuto   = "auto"
	TransferAlways = "always"
	TransferNever  = "never"

	AddressesAny    = "any"
	AddressesWeChat = "wechat"

	PresenceAuto   = "auto"
	PresenceOnline = "online"
	PresencePaused = "paused"
	PresenceAway   = "away"

	LogJSON    = "json"
	LogConsole = "console"
)

// A Config is the whole file. The shipped config.yaml explains every key, its
// unit and its default; the tags here are the rules of single values.
type Config struct {
	Listen         string        `yaml:"listen" validate:"listen"`
	Log            Log           `yaml:"log"`
	Redis          Redis         `yaml:"redis"`
	WeChat         WeChat        `yaml:"wechat"`
	ReplyBudget    time.Duration `yaml:"reply_budget" validate:"gt=0,lt=4500ms"`
	PushMaxAge     time.Duration `yaml:"push_max_age"` // 0 = any
	ShutdownDelay  time.Duration `yaml:"shutdown_delay" validate:"gte=0,lte=4s"`
	TrustedProxies Addresses     `yaml:"trusted_proxies" validate:"dive,proxy"`
	Admin          Admin         `yaml:"admin"`
	Agents         []Agent       `yaml:"agents" validate:"dive"`
	Groups         []Group       `yaml:"groups" validate:"dive"`
	Apps           []App         `yaml:"apps" validate:"dive"`
}

// Addresses is a list that may also be written as one text with commas, so that
// one environment variable can hold it. Nil when empty.
type Addresses []string

// Log says what is logged and how.
type Log struct {
	Level  string `yaml:"level" validate:"oneof=debug info warn error"`
	Format string `yaml:"format" validate:"oneof=json console"`
}

// Redis is where the state lives. Without Addrs it is the embedded store.
type Redis struct {
	Addrs      Addresses `yaml:"addrs" validate:"dive,address"`
	MasterName string    `yaml:"master_name"`
	Username   string    `yaml:"username"`
	Password   Secret    `yaml:"password"`
	DB         int       `yaml:"db" validate:"gte=0"`
	TLS        bool      `yaml:"tls"`
	KeyPrefix  string    `yaml:"key_prefix" validate:"key_prefix"`
	Partitions int       `yaml:"partitions" validate:"gte=1,lte=4096"`
}

// WeChat is how its API is called.
type WeChat struct {
	APIBase string        `yaml:"api_base" validate:"api_base"`
	Timeout time.Duration `yaml:"timeout" validate:"gt=0"`

	CallbackAddresses string `yaml:"callback_addresses" validate:"oneof=any wechat"`
}

// Admin is where administration and metrics are served, and who may: an empty
// Listen is the address of everything else, an empty Token closes /api/v1.
type Admin struct {
	Listen string `yaml:"listen" validate:"omitempty,listen"`
	Token  Secret `yaml:"token" validate:"omitempty,word"`
}

// An Agent is a human who answers.
type Agent struct {
	ID        kefu.AgentID `yaml:"id" validate:"id"`
	Name      string       `yaml:"name"` // "" = the id
	Capacity  int          `yaml:"capacity" validate:"gte=0"`
	Presence  string       `yaml:"presence" validate:"oneof=auto online paused away"`
	AwayUntil time.Time    `yaml:"away_until"` // zero = until the presence is changed
	Desk      Desk         `yaml:"desk"`
	Relay     Relay        `yaml:"relay"`
}

// A Desk is where the agent sits at WeChat's own desk; one of the ids will do.
type Desk struct {
	App     kefu.AppID `yaml:"app"`
	Account string     `yaml:"account" validate:"omitempty,word"`
	OpenID  string     `yaml:"openid" validate:"omitempty,word"`
	KfID    string     `yaml:"kf_id" validate:"omitempty,word"`
}

// A Relay is the agent's own WeChat chat with a switchboard.
type Relay struct {
	App    kefu.AppID `yaml:"app"`
	OpenID string     `yaml:"openid" validate:"omitempty,word"` // "" = not bound yet
}

// A Group is a named list of agents.
type Group struct {
	Name   string         `yaml:"name" validate:"name"`
	Agents []kefu.AgentID `yaml:"agents" validate:"required"`
}

// An App is one WeChat account that pushes to us.
type App struct {
	Name                   kefu.AppID    `yaml:"name" validate:"id"`
	Kind                   string        `yaml:"kind" validate:"oneof=mini_program official_account"`
	Role                   string        `yaml:"role" validate:"oneof=customers switchboard"`
	AppID                  string        `yaml:"app_id" validate:"omitempty,word"`
	AppSecret              Secret        `yaml:"app_secret" validate:"omitempty,word"`
	OriginalID             string        `yaml:"original_id" validate:"omitempty,word"`
	Token                  Secret        `yaml:"token" validate:"token"`
	EncodingAESKey         Secret        `yaml:"encoding_aes_key" validate:"omitempty,aes_key"`
	PreviousEncodingAESKey Secret        `yaml:"previous_encoding_aes_key" validate:"omitempty,aes_key"`
	Encryption             string        `yaml:"encryption" validate:"oneof=plain compatible safe"`
	TransferToAgent        string        `yaml:"transfer_to_agent" validate:"oneof=auto always never"`
	Presence               Presence      `yaml:"presence"`
	Sticky                 time.Duration `yaml:"sticky"` // 0 = none
	ConversationIdle       time.Duration `yaml:"conversation_idle" validate:"gt=0"`
	Allowance              Allowance     `yaml:"allowance"`
	Notices                Notices       `yaml:"notices"`
	Texts                  Texts         `yaml:"texts"`
	DefaultEntry           kefu.EntryTag `yaml:"default_entry"`
	Entries                []Entry       `yaml:"entries" validate:"dive"`
	Transcript             Transcript    `yaml:"transcript"`
}

// Presence is how WeChat's online list is read.
type Presence struct {
	Refresh    time.Duration `yaml:"refresh" validate:"gte=100ms"`
	StaleAfter time.Duration `yaml:"stale_after" validate:"gtfield=Refresh"`
}

// Allowance is how many messages WeChat lets us send, and for how long.
type Allowance struct {
	AfterMessage       int           `yaml:"after_message" validate:"gte=0"`
	AfterMessageWindow time.Duration `yaml:"after_message_window" validate:"gt=0"`
	AfterEnter         int           `yaml:"after_enter" validate:"gte=0"`
	AfterEnterWindow   time.Duration `yaml:"after_enter_window" validate:"gt=0"`
}

// Notices are the texts sent to customers, templates; "" = not sent.
type Notices struct {
	Greeting   string `yaml:"greeting"`
	Waiting    string `yaml:"waiting"`
	Reassigned string `yaml:"reassigned"`
	Closed     string `yaml:"closed"`
}

// Texts are what a switchboard says to agents, templates; what is not in it has
// kefu's default. Nil when empty.
type Texts map[kefu.TextKind]string

// An Entry is a contact button.
type Entry struct {
	Tag           kefu.EntryTag  `yaml:"tag" validate:"tag"`
	Name          string         `yaml:"name"`
	Steps         []Step         `yaml:"steps"`
	Sticky        *time.Duration `yaml:"sticky"` // nil = the app's
	Link          string         `yaml:"link"`
	AnswerTimeout time.Duration  `yaml:"answer_timeout"` // 0 = never
}

// A Step names one agent or one group.
type Step struct {
	Agent kefu.AgentID  `yaml:"agent"`
	Group string        `yaml:"group"`
	Wait  time.Duration `yaml:"wait"`
}

// A Transcript is what is kept of relayed messages. Keep 0 or no Key = nothing.
type Transcript struct {
	Keep        time.Duration `yaml:"keep"`
	Key         Secret        `yaml:"key" validate:"omitempty,key32"`
	PreviousKey Secret        `yaml:"previous_key" validate:"omitempty,key32"`
}

// maxSize bounds the file; 10,000 agents and 5,000 entries take 1.5 MiB.
const maxSize = 2 << 20

// Load reads and checks the file at path. Its error is an *Error, also when
// there is no such file. env looks an environment variable up, as os.LookupEnv
// does; nil means that there are none.
func Load(path string, env func(string) (string, bool)) (*Config, error) {
	data, err := read(path)
	if err != nil {
		return nil, &Error{File: path, Problems: []Problem{{
			Wrong: "cannot be read: " + err.Error(), Right: "name a readable file with --config",
		}}}
	}
	return Parse(path, data, env)
}

// read stops one byte past the bound, which is enough for Parse to refuse it.
func read(path string) ([]byte, error) {
	file, err := os.Open(path) //nolint:gosec // whoever starts the server names its file
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // only read from: there is nothing a close could lose
	return io.ReadAll(io.LimitReader(file, maxSize+1))
}

// Parse checks the text of a file; name is what its problems are reported
// under. Its error is an *Error. See Load for env.
func Parse(name string, data []byte, env func(string) (string, bool)) (*Config, error) {
	if env == nil {
		env = func(string) (string, bool) { return "", false }
	}
	r := newReport()
	c := base()
	if body, ok := parseYAML(data, r); ok {
		d := decoder{report: r, env: env, left: maxValues, anchors: map[string]node{}}
		d.root(body, c)
		check(c, r)
	}
	if err := r.err(name); err != nil {
		return nil, err
	}
	return c, nil
}

// Table gives the routing part of a checked config. Its error means that the
// config was not checked, and names what a ladder lacks.
func (c *Config) Table() (*kefu.Table, error) {
	groups := make(map[string][]kefu.AgentID, len(c.Groups))
	for _, g := range c.Groups {
		groups[g.Name] = g.Agents
	}
	apps := make([]kefu.App, 0, len(c.Apps))
	for i := range c.Apps {
		app, err := c.Apps[i].routing(groups)
		if err != nil {
			return nil, fmt.Errorf("app %q: %w", c.Apps[i].Name, err)
		}
		apps = append(apps, app)
	}
	agents := make([]kefu.Agent, 0, len(c.Agents))
	for i := range c.Agents {
		agents = append(agents, c.Agents[i].routing())
	}
	table, err := kefu.NewTable(apps, agents)
	if err != nil {
		return nil, fmt.Errorf("build routing table: %w", err)
	}
	return table, nil
}
