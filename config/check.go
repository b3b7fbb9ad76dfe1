package config

import (
	"fmt"
	"slices"
	"strings"

	"kefud/kefu"
)

// A checker compares what different parts of a config say. It remembers where
// every name stands first.
type checker struct {
	*report
	c      *Config
	apps   names
	agents names
	groups names
}

// names are the paths at which names stand, and the names in their order.
type names struct {
	at    map[string]string
	order []string
}

// check reports everything that is wrong with a config that could be read.
func check(c *Config, r *report) {
	r.values(c)
	k := checker{report: r, c: c}
	k.collect()
	k.redis()
	k.admin()
	k.callers()
	for i := range c.Agents {
		k.agent(item("agents", i), &c.Agents[i])
	}
	for i := range c.Groups {
		k.group(item("groups", i), &c.Groups[i])
	}
	for i := range c.Apps {
		k.app(item("apps", i), &c.Apps[i])
	}
	k.customers()
}

func (k *checker) collect() {
	for i, a := range k.c.Apps {
		k.name(&k.apps, within(item("apps", i), "name"), string(a.Name))
	}
	for i, a := range k.c.Agents {
		k.name(&k.agents, within(item("agents", i), "id"), string(a.ID))
	}
	for i, g := range k.c.Groups {
		k.name(&k.groups, within(item("groups", i), "name"), g.Name)
	}
}

// name keeps a name that must not stand twice.
func (k *checker) name(known *names, path, name string) {
	if name == "" {
		return
	}
	if first, twice := known.at[name]; twice {
		k.add(path, fmt.Sprintf("%s stands twice, first in line %d", k.show(path, name), k.line(first)), "write another")
		return
	}
	if known.at == nil {
		known.at = map[string]string{}
	}
	known.at[name] = path
	known.order = append(known.order, name)
}

// exists reports a name that nothing has. what says what should have it.
func (k *checker) exists(known names, path, name, what string) {
	if _, ok := known.at[name]; ok {
		return
	}
	right := "add it"
	if len(known.order) > 0 {
		right = "write " + known.choice() + ", or add it"
	}
	k.add(path, fmt.Sprintf("there is no %s %s", what, k.show(path, name)), right)
}

// choice gives the names that may be written.
func (n names) choice() string {
	const most = 10
	if len(n.order) == 0 {
		return "the name of one, once there is one"
	}
	if len(n.order) == 1 {
		return n.order[0]
	}
	if len(n.order) > most {
		return "one of " + strings.Join(n.order[:most], ", ") + ", …"
	}
	return "one of " + strings.Join(n.order, ", ")
}

func (k *checker) redis() {
	r := k.c.Redis
	if r.MasterName != "" && len(r.Addrs) == 0 {
		k.add("redis.master_name", "needs the addresses of the sentinels", "write them in redis.addrs, or leave it empty")
	}
	if r.DB != 0 && r.MasterName == "" && len(r.Addrs) > 1 {
		k.add("redis.db", "a cluster has no numbered databases", "write 0")
	}
}

// admin reports an address that the server itself listens at. Port 0 is another
// one each time.
func (k *checker) admin() {
	if a := k.c.Admin.Listen; a != "" && a == k.c.Listen && !strings.HasSuffix(a, ":0") {
		k.add("admin.listen", "is the address of listen", "write another port, or leave it empty")
	}
}

// callers reports that nobody can ask WeChat for its addresses.
func (k *checker) callers() {
	asks := func(a App) bool { return a.AppSecret != "" }
	if k.c.WeChat.CallbackAddresses == AddressesWeChat && !slices.ContainsFunc(k.c.Apps, asks) {
		k.add("wechat.callback_addresses", "needs an app with app_secret, to ask WeChat with", "add app_secret to an app, or write any")
	}
}

func (k *checker) agent(path string, a *Agent) {
	if !a.AwayUntil.IsZero() && a.Presence != PresenceAway {
		k.add(within(path, "away_until"), "goes with presence: away alone", "write presence: away, or remove it")
	}
	desk := within(path, "desk")
	if a.Desk.App != "" {
		k.exists(k.apps, within(desk, "app"), string(a.Desk.App), "app")
	} else if a.Desk.Account != "" || a.Desk.OpenID != "" || a.Desk.KfID != "" {
		k.add(desk, "says who the agent is, but not at which app", "add app: "+k.apps.choice())
	}
	relay := within(path, "relay")
	if a.Relay.App != "" {
		k.switchboard(within(relay, "app"), a.Relay.App)
	} else if a.Relay.OpenID != "" {
		k.add(relay, "says who the agent is, but not at which app", "add app: the name of a switchboard")
	}
}

func (k *checker) switchboard(path string, name kefu.AppID) {
	at := slices.IndexFunc(k.c.Apps, func(a App) bool { return a.Name == name })
	if at >= 0 && k.c.Apps[at].Role == RoleSwitchboard && k.c.Apps[at].Kind == KindOfficialAccount {
		return
	}
	k.add(path, fmt.Sprintf("there is no switchboard %s", k.show(path, name)),
		"name an app with kind: official_account and role: switchboard")
}

func (k *checker) group(path string, g *Group) {
	if at, taken := k.agents.at[g.Name]; taken {
		k.add(within(path, "name"), fmt.Sprintf("is the id of the agent in line %d", k.line(at)), "write another")
	}
	seen := map[kefu.AgentID]bool{}
	for i, id := range g.Agents {
		at := item(within(path, "agents"), i)
		if seen[id] {
			k.add(at, fmt.Sprintf("%s stands twice in the group", k.show(at, id)), "keep one")
		}
		seen[id] = true
		k.exists(k.agents, at, string(id), "agent")
	}
}

// customers reports that there is nobody to serve.
func (k *checker) customers() {
	if len(k.c.Apps) == 0 {
		k.add("apps", "there is no app",
			"add one with name, token, default_entry and entries, as the config.yaml that ships does")
		return
	}
	for i := range k.c.Apps {
		if k.c.Apps[i].Role != RoleSwitchboard {
			return
		}
	}
	k.add("apps", "there are switchboards alone", "add an app with role: customers")
}
