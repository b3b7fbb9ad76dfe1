package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"kefud/kefu"
)

// State is what the server keeps of agents.
type State struct {
	Chats   []Chat
	LastNew map[kefu.AgentID]time.Time // when he was last given a customer; for a month. nil = nobody can tell
}

// A Chat is an agent's chat with a switchboard that is bound to him.
type Chat struct {
	Agent kefu.AgentID
	App   kefu.AppID
	State kefu.ChatState
	Until time.Time // from then on nothing can be sent to him, unless he writes
}

// checkAgents looks whether every agent can be reached.
func checkAgents(s *Setup, f *Facts) []Finding {
	var found []Finding
	for i := range s.Table.Agents {
		agent := &s.Table.Agents[i]
		t := about("agent %s", agent.ID)
		t.used(s.Table, agent)
		var chat, desk topic
		if agent.Relay.App != "" {
			chat.subject = t.subject
			chat.chat(agent, f)
		}
		if agent.Desk.App != "" {
			desk.subject = t.subject
			desk.desk(s, agent, f)
		}
		// Of two ways one is enough.
		if agent.Relay.App != "" && agent.Desk.App != "" && min(Worst(chat.found), Worst(desk.found)) < Fail {
			soften(chat.found)
			soften(desk.found)
		}
		t.found = slices.Concat(t.found, chat.found, desk.found)
		if agent.Relay.App == "" && agent.Desk == (kefu.Desk{}) {
			t.add(Warn, "agent.way", "he has neither a desk nor a relay: he is never known to be there", "give him desk: {app: …, account: …} or relay: {app: …}")
		}
		found = append(found, t.found...)
	}
	return found
}

// soften makes warnings of what fails.
func soften(found []Finding) {
	for i := range found {
		found[i].Level = min(found[i].Level, Warn)
	}
}

func (t *topic) used(table *kefu.Table, agent *kefu.Agent) {
	for i := range table.Apps {
		for j := range table.Apps[i].Entries {
			if table.Apps[i].Entries[j].Allows(agent.ID) {
				return
			}
		}
	}
	t.add(Warn, "agent.used", "no entry names him: no customer is ever given to him", "add {agent: "+string(agent.ID)+"} to an entry's steps, or remove him")
}

// chat looks at an agent's own WeChat chat.
func (t *topic) chat(agent *kefu.Agent, f *Facts) {
	const id = "agent.chat"
	invite := "kefud agents invite " + string(agent.ID) + ", and have him send the code to the switchboard"
	if f.StateErr != nil {
		t.add(Unchecked, id, "not checked: whether his chat is bound ("+f.StateErr.Error()+")", "start the server, or Redis, and ask again")
		return
	}
	at := slices.IndexFunc(f.State.Chats, func(c Chat) bool { return c.Agent == agent.ID && c.App == agent.Relay.App })
	if at < 0 && agent.Relay.User != "" {
		t.add(Warn, id, "his chat is bound by the configuration, but he has not written to the switchboard: nothing can be sent to him yet", "have him send 上线 to the switchboard")
		return
	}
	if at < 0 {
		t.add(Fail, id, "no chat is bound to him: nothing can be carried to him", invite)
		return
	}
	c := f.State.Chats[at]
	switch {
	case c.State == kefu.ChatGone:
		t.add(Fail, id, "he has unfollowed the switchboard: nothing can be sent to him", "have him follow it again and send 上线")
	case !f.Now.Before(c.Until):
		t.add(Warn, id, "his window is over: WeChat takes nothing for him until he writes", "have him send anything to the switchboard, such as 上线")
	case c.State != kefu.ChatOnline:
		t.ok(id, "his chat is bound; he is %s now", c.State)
	default:
		t.ok(id, "his chat is bound, he is online, and can be sent something until %s", c.Until.Local().Format(time.DateTime))
	}
}

// desk holds an agent's ids against what WeChat's lists return.
func (t *topic) desk(s *Setup, agent *kefu.Agent, f *Facts) {
	const id = "agent.desk"
	app := s.app(agent.Desk.App)
	account, asked := f.Accounts[agent.Desk.App]
	switch {
	case agent.Desk.Account == "" && agent.Desk.User == "" && agent.Desk.ID == "":
		t.add(Warn, id, "his desk has none of the three ids: he is never known to be there", "write desk.account, desk.openid or desk.kf_id")
		return
	case app == nil || !asked || account.Token != nil:
		t.add(Unchecked, id, "not checked: the API of app "+string(agent.Desk.App)+" cannot be used", "see the findings on that app")
		return
	case account.Staff != nil && account.Online != nil:
		t.add(Unchecked, id, "not checked: WeChat gives no list of agents", "see the findings on app "+string(app.Name))
		return
	}
	member, known := findMember(agent.Desk, account)
	if !known {
		t.absent(app, account)
		return
	}
	t.seen(agent, member, account, f)
}

// absent is the finding on an agent whom the account's list does not have.
func (t *topic) absent(app *App, account Account) {
	const id = "agent.desk"
	if account.Staff != nil {
		t.add(Unchecked, id, "not checked: WeChat lists only who is online, and he is not now", "ask again while he is online")
		return
	}
	if len(account.Members) == 0 {
		t.add(Fail, id, "nobody is at this app's desk", "add him in "+app.menuDesk()+"-「客服人员」")
		return
	}
	t.add(Fail, id, "no agent at this app's desk has his ids; there are "+list(account.Members),
		"write one of these in desk, or add him in "+app.menuDesk()+"-「客服人员」")
}

// seen tells whether the online list will show him, and whether it does.
func (t *topic) seen(agent *kefu.Agent, member kefu.Listed, account Account, f *Facts) {
	const id = "agent.desk"
	if account.Online != nil {
		t.add(Unchecked, id, "he is at the desk; not checked: whether he is online", "see the findings on the app")
		return
	}
	for _, row := range account.Seen {
		if !same(agent.Desk, row.IDs) {
			if meets(member, row.IDs) {
				t.add(Fail, id, "the online list does not carry the id by which he is configured, so that he is never known to be there; it has "+list([]kefu.Listed{row.IDs}),
					"write desk."+better(row.IDs))
				return
			}
			continue
		}
		if row.Online {
			t.ok(id, "he is at the desk, and online now")
			return
		}
	}
	last, given := f.State.LastNew[agent.ID]
	switch {
	case given:
		t.ok(id, "he is at the desk, not online now; he was last given a customer at %s", last.Local().Format(time.DateTime))
	case f.State.LastNew != nil:
		t.add(Warn, id, "he is at the desk, but not online now, and within a month was given no customer", "have him sign in to the web client (网页端客服): WeChat does not say whether it lists who is only in 客服小助手")
	default:
		t.ok(id, "he is at the desk, not seen online now")
	}
}

func (s *Setup) app(name kefu.AppID) *App {
	at := slices.IndexFunc(s.Apps, func(a App) bool { return a.Name == name })
	if at < 0 {
		return nil
	}
	return &s.Apps[at]
}

// findMember gives the ids of the agent of a desk, as the account has them.
func findMember(d kefu.Desk, account Account) (kefu.Listed, bool) {
	for _, m := range account.Members {
		if same(d, m) {
			return m, true
		}
	}
	for _, row := range account.Seen {
		if same(d, row.IDs) {
			return row.IDs, true
		}
	}
	return kefu.Listed{}, false
}

// same reports whether a desk is meant by the ids.
func same(d kefu.Desk, l kefu.Listed) bool {
	return meets(kefu.Listed{Account: d.Account, User: d.User, ID: d.ID}, l)
}

func meets(a, b kefu.Listed) bool {
	return a.Account != "" && a.Account == b.Account || a.User != "" && a.User == b.User || a.ID != "" && a.ID == b.ID
}

// list names agents by what may be shown of their ids.
func list(members []kefu.Listed) string {
	const most = 8
	var all []string
	for _, m := range members[:min(len(members), most)] {
		var ids []string
		for _, id := range []struct{ name, value string }{{"account", m.Account}, {"kf_id", m.ID}, {"openid", kefu.Shorten(m.User)}} {
			if id.value != "" {
				ids = append(ids, id.name+" "+id.value)
			}
		}
		all = append(all, strings.Join(ids, " = "))
	}
	if n := len(members) - most; n > 0 {
		all = append(all, fmt.Sprintf("and %d more", n))
	}
	return strings.Join(all, "; ")
}

// better names the id of a row that is best to configure. An openid is not shown.
func better(l kefu.Listed) string {
	switch {
	case l.ID != "":
		return "kf_id: " + l.ID
	case l.Account != "":
		return "account: " + l.Account
	}
	return "openid: the kf_openid of getkflist"
}
