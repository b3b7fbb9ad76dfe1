package kefu

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// An Agent is a human who answers.
type Agent struct {
	ID       AgentID
	Name     string // as customers may see it
	Capacity int    // conversations at once; 0 = no limit
	Desk     Desk
	Relay    Relay
	Manual   Manual
}

// A Desk is where an agent sits at WeChat's own desk. Any one of the three ids
// identifies him in WeChat's online list; Account alone can be named in a transfer.
type Desk struct {
	App     AppID
	Account string // kf_account, "kf2001@gh_1a2b3c"
	User    string // kf_openid
	ID      string // kf_id
}

// A Relay is the agent's own WeChat chat with a switchboard account. User is
// his openid there, "" until bound.
type Relay struct {
	App  AppID
	User string
}

// A ManualState is an operator's word on an agent's presence.
type ManualState uint8

// What an operator may say of an agent.
const (
	ManualAuto   ManualState = iota // nothing: WeChat's online list decides
	ManualOnline                    // present, whatever the list says
	ManualPaused                    // takes no new conversation until this is lifted
	ManualAway                      // absent until an instant
)

// Manual is what an operator says of an agent's presence. Until matters for
// ManualAway only; zero means until it is lifted.
type Manual struct {
	State ManualState
	Until time.Time
}

// A Step is one rung of an entry's ladder: one agent, or the agents of a
// group. Wait is how long a customer who can be kept waiting is kept for this
// step before later ones open to him.
type Step struct {
	Group  string // "" if the step names a single agent
	Agents []AgentID
	Wait   time.Duration
}

// An Entry is a contact button: its tag and the ladder of agents behind it.
type Entry struct {
	Tag           EntryTag
	Name          string
	Steps         []Step
	Sticky        time.Duration // how long an owner is remembered after the customer's last push; 0 = none
	AnswerTimeout time.Duration // relay: the agent answers within this or the next is tried; 0 = never
	Link          string        // what the mini-program is told to open for this entry; "" = nothing
}

// Allows reports whether the entry's ladder names the agent.
func (e *Entry) Allows(agent AgentID) bool {
	for _, s := range e.Steps {
		if slices.Contains(s.Agents, agent) {
			return true
		}
	}
	return false
}

// AllowsGroup reports whether a step of the entry is the named group.
func (e *Entry) AllowsGroup(group string) bool {
	for _, s := range e.Steps {
		if s.Group != "" && s.Group == group {
			return true
		}
	}
	return false
}

// Allowance is how many messages WeChat lets us send after something the
// customer did, and for how long.
//
// WeChat, "客服消息下发条数限制",
// https://developers.weixin.qq.com/miniprogram/introduction/custom, read 2026-11:
// 5 in 48 h after a message, 2 in 1 min after entering; the two do not add up.
type Allowance struct {
	AfterMessage       int
	AfterMessageWindow time.Duration
	AfterEnter         int
	AfterEnterWindow   time.Duration
}

// An App is one WeChat account that pushes to us, as the router sees it.
type App struct {
	ID          AppID
	Switchboard bool          // agents chat here, customers do not
	NamesAgents bool          // a transfer may name the agent
	Mute        bool          // has no credential: its API cannot be called, nothing is sent and no online list is had
	Idle        time.Duration // a conversation without a push for this long is over
	Allowance   Allowance
	Notices     Notices
	Texts       Texts         // what a switchboard says to agents
	Transcript  time.Duration // for how long relayed messages are kept; 0 = no longer than a handover may need them
	Default     EntryTag
	Entries     []Entry // in the order of the config, which decides between prefixes of equal length

	byTag map[EntryTag]*Entry
}

// Entry finds an entry by its configured tag; nil if there is none.
func (a *App) Entry(tag EntryTag) *Entry { return a.byTag[tag] }

// Match finds the entry for a tag as a customer's client sent it: the entry of
// exactly that tag, else the longest prefix entry ("order:*") it begins with;
// nil if there is none.
func (a *App) Match(tag string) *Entry {
	if e := a.byTag[EntryTag(tag)]; e != nil {
		return e
	}
	var best *Entry
	for i := range a.Entries {
		e := &a.Entries[i]
		prefix, ok := strings.CutSuffix(string(e.Tag), "*")
		if ok && strings.HasPrefix(tag, prefix) && (best == nil || len(e.Tag) > len(best.Tag)) {
			best = e
		}
	}
	return best
}

// A Table is the whole routing configuration: apps, their entries, the agents.
// It is immutable; a reload makes another.
type Table struct {
	Apps   []App
	Agents []Agent

	apps   map[AppID]*App
	agents map[AgentID]*Agent
}

// NewTable indexes apps and agents, which it keeps. It returns an error if two
// share a name or a ladder names somebody who does not exist; a config that was
// checked never does.
func NewTable(apps []App, agents []Agent) (*Table, error) {
	t := &Table{
		Apps: apps, Agents: agents,
		apps: make(map[AppID]*App, len(apps)), agents: make(map[AgentID]*Agent, len(agents)),
	}
	for i := range agents {
		if t.agents[agents[i].ID] != nil {
			return nil, fmt.Errorf("agent %q stands twice", agents[i].ID)
		}
		t.agents[agents[i].ID] = &agents[i]
	}
	for i := range apps {
		if t.apps[apps[i].ID] != nil {
			return nil, fmt.Errorf("app %q stands twice", apps[i].ID)
		}
		if err := t.index(&apps[i]); err != nil {
			return nil, fmt.Errorf("app %q: %w", apps[i].ID, err)
		}
	}
	return t, nil
}

func (t *Table) index(a *App) error {
	t.apps[a.ID] = a
	a.byTag = make(map[EntryTag]*Entry, len(a.Entries))
	for i := range a.Entries {
		e := &a.Entries[i]
		if a.byTag[e.Tag] != nil {
			return fmt.Errorf("entry %q stands twice", e.Tag)
		}
		a.byTag[e.Tag] = e
		for _, s := range e.Steps {
			for _, id := range s.Agents {
				if t.agents[id] == nil {
					return fmt.Errorf("entry %q: no agent %q", e.Tag, id)
				}
			}
		}
	}
	if len(a.Entries) > 0 && a.byTag[a.Default] == nil {
		return fmt.Errorf("no default entry %q", a.Default)
	}
	return nil
}

// App finds an app by its name; nil if there is none.
func (t *Table) App(id AppID) *App { return t.apps[id] }

// Agent finds an agent by his id; nil if there is none, as when he has left
// the company and the config.
func (t *Table) Agent(id AgentID) *Agent { return t.agents[id] }
