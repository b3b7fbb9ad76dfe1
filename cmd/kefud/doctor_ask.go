package main

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"kefud/config"
	"kefud/doctor"
	"kefud/kefu"
	"kefud/store"
	"kefud/wechat"
)

// demoToken is the token of the file that ships, which is no secret.
const demoToken = "demo-token"

// inspectFile tells who may read the configuration file, and which secrets stand
// in it.
func inspectFile(path string, c *config.Config) (doctor.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return doctor.File{}, err
	}
	text, err := os.ReadFile(path) //nolint:gosec // whoever asks names the file
	if err != nil {
		return doctor.File{}, err
	}
	f := doctor.File{Path: path, Mode: info.Mode()}
	look := func(key string, s config.Secret) {
		// A secret that is shorter stands in any text by chance.
		const least = 6
		if len(s) >= least && s != demoToken && strings.Contains(string(text), s.Reveal()) {
			f.Literals = append(f.Literals, key)
		}
	}
	look("redis.password", c.Redis.Password)
	look("admin.token", c.Admin.Token)
	for i := range c.Apps {
		a := &c.Apps[i]
		for _, s := range []struct {
			key   string
			value config.Secret
		}{
			{"app_secret", a.AppSecret},
			{"token", a.Token},
			{"encoding_aes_key", a.EncodingAESKey},
			{"previous_encoding_aes_key", a.PreviousEncodingAESKey},
			{"transcript.key", a.Transcript.Key},
			{"transcript.previous_key", a.Transcript.PreviousKey},
		} {
			look(string(a.Name)+"."+s.key, s.value)
		}
	}
	return f, nil
}

func newSetup(file doctor.File, c *config.Config, t *kefu.Table) *doctor.Setup {
	s := &doctor.Setup{
		File: file, Listen: c.Listen, TrustedProxies: c.TrustedProxies, ReplyBudget: c.ReplyBudget,
		FromWeChat: c.WeChat.CallbackAddresses == config.AddressesWeChat,
		APITimeout: c.WeChat.Timeout, PushMaxAge: c.PushMaxAge, AdminToken: c.Admin.Token.Reveal(),
		Embedded: len(c.Redis.Addrs) == 0, Prefix: c.Redis.KeyPrefix, Partitions: c.Redis.Partitions, Table: t,
	}
	for _, g := range c.Groups {
		s.Groups = append(s.Groups, g.Name)
	}
	for i := range c.Apps {
		a := &c.Apps[i]
		texts := make(map[string]string, len(a.Texts))
		for kind, text := range a.Texts {
			texts[string(kind)] = text
		}
		s.Apps = append(s.Apps, doctor.App{
			Name: a.Name, Official: a.Kind == config.KindOfficialAccount, Switchboard: a.Role == config.RoleSwitchboard,
			AppID: a.AppID, HasSecret: a.AppSecret != "", Token: a.Token.Reveal(),
			Key: a.EncodingAESKey.Reveal(), PreviousKey: a.PreviousEncodingAESKey.Reveal(),
			Encryption: a.Encryption, AlwaysNames: a.TransferToAgent == config.TransferAlways,
			Transcripts: [2][]byte{a.Transcript.Key.Key(), a.Transcript.PreviousKey.Key()}, Texts: texts,
		})
	}
	return s
}

// newObservers makes whom doctor asks, and what ends them.
func newObservers(c *config.Config) (doctor.Observers, func() error, error) {
	o := storeOptions(c, zerolog.Nop(), nil)
	o.Timeout = doctor.OneLimit / 2 // a slow Redis is to be found slow, not absent
	inspector, err := store.NewInspector(o)
	if err != nil {
		return doctor.Observers{}, nil, err
	}
	client, err := wechat.NewClient(wechat.ClientOptions{
		BaseURL: c.WeChat.APIBase, Timeout: c.WeChat.Timeout, Apps: (&routing{config: c}).credentials(), Logger: zerolog.Nop(),
	})
	if err != nil {
		return doctor.Observers{}, nil, errors.Join(err, inspector.Close())
	}
	return doctor.Observers{
		Store: &storeObserver{config: c, inspector: inspector}, WeChat: wechatObserver{client}, Server: serverObserver{c.Listen, c.Admin.Listen},
	}, inspector.Close, nil
}

type storeObserver struct {
	config    *config.Config
	inspector *store.Inspector
}

// Redis implements doctor.Store.
func (s *storeObserver) Redis(ctx context.Context) doctor.Redis {
	in := s.inspector.Inspect(ctx)
	r := doctor.Redis{
		Kind: in.Kind, Err: in.Err, Latency: in.Latency, Offset: in.Offset, OffsetErr: in.OffsetErr,
		Partitions: in.Partitions, Refused: in.Refused,
	}
	for _, n := range in.Nodes {
		r.Nodes = append(r.Nodes, doctor.Node(n))
	}
	return r
}

// State implements doctor.Store.
func (s *storeObserver) State(ctx context.Context) (doctor.State, error) {
	if len(s.config.Redis.Addrs) == 0 {
		return s.ask(ctx)
	}
	var out doctor.State
	chats, err := s.inspector.Chats(ctx)
	if err != nil {
		return out, err
	}
	for _, c := range chats {
		out.Chats = append(out.Chats, doctor.Chat{Agent: c.Agent, App: c.ID.App, State: c.State, Until: c.Until})
	}
	agents := make([]kefu.AgentID, 0, len(s.config.Agents))
	for i := range s.config.Agents {
		agents = append(agents, s.config.Agents[i].ID)
	}
	out.LastNew, err = s.inspector.LastNew(ctx, agents)
	return out, err
}

// ask asks the server in which the store is embedded.
func (s *storeObserver) ask(ctx context.Context) (doctor.State, error) {
	client, err := newAdminClient(s.config, "")
	if err != nil {
		return doctor.State{}, err
	}
	all, err := client.agents(ctx)
	if err != nil {
		return doctor.State{}, err
	}
	var out doctor.State
	for _, a := range all {
		if a.State == "" {
			continue // no chat of his is known
		}
		out.Chats = append(out.Chats, doctor.Chat{Agent: a.ID, App: a.Switchboard, State: stateNamed(a.State), Until: a.Until})
	}
	return out, nil
}

func stateNamed(name string) kefu.ChatState {
	for _, s := range []kefu.ChatState{kefu.ChatOnline, kefu.ChatBusy, kefu.ChatGone} {
		if s.String() == name {
			return s
		}
	}
	return kefu.ChatOffline
}

type wechatObserver struct{ client *wechat.Client }

// Clock implements doctor.WeChat.
func (w wechatObserver) Clock(ctx context.Context) (time.Duration, error) { return w.client.Clock(ctx) }

// Account implements doctor.WeChat. Without a token nothing else is asked; with
// one, everything at the same time.
func (w wechatObserver) Account(ctx context.Context, app kefu.AppID) doctor.Account {
	var a doctor.Account
	within, cancel := context.WithTimeout(ctx, doctor.OneLimit)
	defer cancel()
	expires, err := w.client.FetchToken(within, app)
	if a.Token = refusalOf(err); a.Token != nil {
		return a
	}
	a.TokenLife = time.Until(expires)
	within, cancel = context.WithTimeout(ctx, doctor.OneLimit)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() {
		ranges, err := w.client.CallbackAddresses(within, app)
		a.Addresses, a.Callback = len(ranges), refusalOf(err)
	})
	wg.Go(func() {
		members, err := w.client.Staff(within, app)
		a.Members, a.Staff = members, refusalOf(err)
	})
	wg.Go(func() {
		rows, err := w.client.OnlineRows(within, app)
		a.Online = refusalOf(err)
		for _, r := range rows {
			a.Seen = append(a.Seen, doctor.Seen{IDs: r.Listed, Online: r.Online})
		}
	})
	wg.Wait()
	return a
}

func refusalOf(err error) *doctor.Refusal {
	if err == nil {
		return nil
	}
	e := (*wechat.APIError)(nil)
	if !errors.As(err, &e) {
		return &doctor.Refusal{Reason: err.Error()}
	}
	return &doctor.Refusal{Code: e.Code, Reason: e.Reason(), Msg: e.Msg}
}

// diagnose holds a captured push against an app, and a signature that is not the
// app's against the others.
func diagnose(r *routing, app kefu.AppID, s doctor.Sample) *doctor.Push {
	p := &doctor.Push{App: app}
	codec := r.codecs[app]
	if codec == nil {
		return p
	}
	q := wechat.Query{
		Signature: s.Query.Get("signature"), MessageSignature: s.Query.Get("msg_signature"), Timestamp: s.Query.Get("timestamp"),
		Nonce: s.Query.Get("nonce"), EncryptType: s.Query.Get("encrypt_type"), Echo: s.Query.Get("echostr"),
	}
	d := codec.Diagnose(q, s.Body)
	p.Signed, p.Mode, p.Sealed, p.Age, p.Accepted = d.Signed, string(d.Mode), d.Sealed, d.Age, d.Err == nil
	p.Echo = q.Echo != "" && len(s.Body) == 0
	p.Format = map[bool]string{true: "JSON", false: "XML"}[d.JSON]
	p.OpenedBy = [...]string{"", "present", "previous"}[d.Key]
	for i := range r.config.Apps {
		other := &r.config.Apps[i]
		if other.Name == app && other.OriginalID != "" && d.Receiver != "" && d.Receiver != other.OriginalID {
			p.Elsewhere = d.Receiver
		}
		if !d.Signed && other.Name != app && r.codecs[other.Name].VerifyURL(q) == nil {
			p.SignedFor = other.Name
		}
	}
	return p
}
