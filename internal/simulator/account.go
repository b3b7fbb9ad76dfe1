package simulator

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// A Kind is what sort of WeChat account pushes.
type Kind string

// The kinds.
const (
	MiniProgram     Kind = "mini_program"
	OfficialAccount Kind = "official_account"
)

// A Mode is how much of a push is encrypted.
type Mode string

// The modes (明文, 兼容, 安全).
const (
	Plain      Mode = "plain"
	Compatible Mode = "compatible" // in clear and encrypted, in one body
	Safe       Mode = "safe"
)

// A Format is how bodies are written.
type Format string

// The formats.
const (
	XML  Format = "xml"
	JSON Format = "json"
)

// A Naming is what a mini-program's transfer that names an agent does. The
// documents do not say: they list no such element for mini-programs.
type Naming string

// The possibilities.
const (
	NamingIgnored  Naming = "ignore" // as if it were not there
	NamingHonoured Naming = "honour" // as for official accounts
	NamingFault    Naming = "fault"  // a malformed answer
)

// An Allowance is how many messages may be sent to a customer, and how long,
// after he has done something. Zero fields are WeChat's: 5 in 48 h after a
// message, 2 in 1 min after entering, 3 in 1 min after following an official
// account.
// https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/customer-message/send.html and
// https://developers.weixin.qq.com/doc/offiaccount/Customer_Service/Customer_Service_Messages.html, read 2026-11.
type Allowance struct {
	AfterMessage  int
	MessageWindow time.Duration
	AfterEnter    int
	EnterWindow   time.Duration
	AfterFollow   int
	FollowWindow  time.Duration
}

// AccountOptions describe a WeChat account as its console does.
type AccountOptions struct {
	Name       string // for people; "" = AppID
	Kind       Kind   // "" = MiniProgram
	AppID      string // wx…
	Secret     string
	OriginalID string // gh_…
	Token      string
	AESKey     string   // 43 characters; "" where nothing is encrypted
	Mode       Mode     // "" = Plain
	Format     Format   // "" = XML; official accounts know no other
	Targets    []string // callback URLs: one, or several processes that take turns
	Naming     Naming   // mini-programs only; "" = NamingIgnored
	Allowance  Allowance

	// Switchboard says that agents chat with the account, and no customers: what
	// is sent to it is relayed. Official accounts only.
	Switchboard bool

	TextNumbers    bool // MsgId and CreateTime come as text in JSON, as was seen
	ShowKfAccounts bool // the online list tells kf_account; official accounts always do
}

// An Account is a WeChat account in the Box.
type Account struct {
	box       *Box
	o         AccountOptions // Targets, Mode and AESKey change, the rest does not
	key       []byte         // of AESKey; nil without one
	next      int            // the target whose turn it is
	customers map[string]*Customer
	order     []*Customer
	agents    []*Agent
	queue     []*ticket
	sessions  []session
	media     map[string]medium // by media id
	stable    tokenLine
	basic     tokenLine
}

// AddAccount takes an account into the Box, or says what is wrong with it.
func (b *Box) AddAccount(o AccountOptions) (*Account, error) {
	o = o.withDefaults()
	o.Targets = slices.Clone(o.Targets)
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("add account %q: %w", o.Name, err)
	}
	a := &Account{box: b, o: o, customers: make(map[string]*Customer), media: make(map[string]medium)}
	if o.AESKey != "" {
		key, err := parseKey(o.AESKey)
		if err != nil {
			return nil, fmt.Errorf("add account %q: %w", o.Name, err)
		}
		a.key = key
	}
	b.mu.Lock()
	defer b.unlock()
	for _, other := range b.accounts {
		if other.o.AppID == o.AppID || other.o.OriginalID == o.OriginalID {
			return nil, fmt.Errorf("add account %q: %q has its app id or original id", o.Name, other.o.Name)
		}
	}
	b.accounts = append(b.accounts, a)
	return a, nil
}

func (o AccountOptions) withDefaults() AccountOptions {
	o.Name, o.Kind, o.Mode = cmp.Or(o.Name, o.AppID), cmp.Or(o.Kind, MiniProgram), cmp.Or(o.Mode, Plain)
	o.Format, o.Naming = cmp.Or(o.Format, XML), cmp.Or(o.Naming, NamingIgnored)
	if o.Kind == OfficialAccount {
		// https://developers.weixin.qq.com/doc/subscription/guide/product/kf/forwarding.html, read 2026-11.
		o.Naming, o.ShowKfAccounts = NamingHonoured, true
	}
	a := &o.Allowance
	a.AfterMessage, a.MessageWindow = cmp.Or(a.AfterMessage, 5), cmp.Or(a.MessageWindow, 48*time.Hour)
	a.AfterEnter, a.EnterWindow = cmp.Or(a.AfterEnter, 2), cmp.Or(a.EnterWindow, time.Minute)
	a.AfterFollow, a.FollowWindow = cmp.Or(a.AfterFollow, 3), cmp.Or(a.FollowWindow, time.Minute)
	return o
}

// check says what WeChat's console would refuse.
func (o AccountOptions) check() error {
	var errs []error
	refuse := func(bad bool, why string) {
		if bad {
			errs = append(errs, errors.New(why))
		}
	}
	refuse(o.AppID == "" || o.OriginalID == "" || o.Token == "", "app id, original id and token are needed")
	refuse(!slices.Contains([]Kind{MiniProgram, OfficialAccount}, o.Kind), "no such kind of account")
	refuse(!slices.Contains([]Mode{Plain, Compatible, Safe}, o.Mode), "no such mode")
	refuse(!slices.Contains([]Format{XML, JSON}, o.Format), "no such format")
	refuse(!slices.Contains([]Naming{NamingIgnored, NamingHonoured, NamingFault}, o.Naming), "no such naming")
	// https://developers.weixin.qq.com/doc/offiaccount/Getting_Started/message-push.html, read 2026-11.
	refuse(o.Kind == OfficialAccount && o.Format != XML, "official accounts push XML only")
	refuse(o.Kind != OfficialAccount && o.Switchboard, "only an official account can be a switchboard")
	refuse(o.Mode != Plain && o.AESKey == "", "encryption needs an EncodingAESKey")
	for _, target := range o.Targets {
		u, err := url.Parse(target)
		refuse(err != nil || u.Host == "" || !strings.HasPrefix(u.Scheme, "http"), "a target is no http URL")
	}
	return errors.Join(errs...)
}

// Name is the account's name.
func (a *Account) Name() string { return a.o.Name }

// Switchboard reports whether agents chat with the account, and no customers.
func (a *Account) Switchboard() bool { return a.o.Switchboard }

// SetTargets changes where the account pushes to.
func (a *Account) SetTargets(targets ...string) error {
	a.box.mu.Lock()
	defer a.box.unlock()
	o := a.o
	o.Targets = targets
	if err := o.check(); err != nil {
		return fmt.Errorf("set targets of %q: %w", o.Name, err)
	}
	a.o.Targets = slices.Clone(targets)
	return nil
}

// SetMode changes mode and EncodingAESKey, which takes effect with the next push.
func (a *Account) SetMode(mode Mode, aesKey string) error {
	a.box.mu.Lock()
	defer a.box.unlock()
	o := a.o
	o.Mode, o.AESKey = mode, aesKey
	if err := o.check(); err != nil {
		return fmt.Errorf("set mode of %q: %w", o.Name, err)
	}
	var key []byte
	if aesKey != "" {
		var err error
		if key, err = parseKey(aesKey); err != nil {
			return fmt.Errorf("set mode of %q: %w", o.Name, err)
		}
	}
	a.o.Mode, a.o.AESKey, a.key = mode, aesKey, key
	return nil
}

// Customer finds or makes the account's customer of an openid.
func (b *Box) Customer(a *Account, openid string) *Customer {
	b.mu.Lock()
	defer b.unlock()
	c := a.customers[openid]
	if c == nil {
		c = &Customer{account: a, openid: openid}
		a.customers[openid] = c
		a.order = append(a.order, c)
	}
	return c
}
