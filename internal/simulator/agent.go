package simulator

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// AgentOptions describe an agent at WeChat's desk.
type AgentOptions struct {
	KfAccount string // prefix@account
	KfID      int64
	KfOpenID  string
	Nick      string // "" = KfAccount
	Online    bool
	Status    int  // what the online list says of him while he is there; 0 = 1, the web client
	Capacity  int  // sessions at once; 0 = no limit
	Manual    bool // takes nobody by himself; Take does it
}

// An Agent is a human at the desk of one account.
type Agent struct {
	account *Account
	o       AgentOptions
	online  bool
	serving map[*Customer]struct{}
	stuck   []*Customer // attached and not taken, in their order
}

// maxAgents is how many one account may have.
// https://developers.weixin.qq.com/miniprogram/introduction/custom.html, read 2026-11.
const maxAgents = 100

// AddAgent gives the account's desk one more agent.
func (a *Account) AddAgent(o AgentOptions) (*Agent, error) {
	if o.Nick == "" {
		o.Nick = o.KfAccount
	}
	if o.Status == 0 {
		o.Status = 1
	}
	a.box.mu.Lock()
	defer a.box.unlock()
	if len(a.agents) >= maxAgents {
		return nil, fmt.Errorf("add agent: %q has %d already", a.o.Name, maxAgents)
	}
	if o.KfAccount == "" {
		return nil, errors.New("add agent: no kf_account")
	}
	for _, other := range a.agents {
		if other.o.KfAccount == o.KfAccount {
			return nil, fmt.Errorf("add agent %q: it is there already", o.KfAccount)
		}
	}
	agent := &Agent{account: a, o: o, online: o.Online, serving: make(map[*Customer]struct{})}
	a.agents = append(a.agents, agent)
	a.serve()
	return agent, nil
}

// Nick is the agent's name.
func (g *Agent) Nick() string { return g.o.Nick }

// SetOnline makes the agent come or go. His sessions stay his.
func (g *Agent) SetOnline(online bool) {
	b := g.account.box
	b.mu.Lock()
	defer b.unlock()
	if g.online == online {
		return
	}
	g.online = online
	e := Event{Kind: Offline, Account: g.account.o.Name, Agent: g.o.Nick}
	if online {
		e.Kind = Online
	}
	b.emit(e)
	g.account.expire()
	g.account.serve()
}

// Serving lists whom the agent serves, in no order.
func (g *Agent) Serving() []*Customer {
	g.account.box.mu.Lock()
	defer g.account.box.settled()
	g.account.expire()
	return slices.Collect(maps.Keys(g.serving))
}

// Take lets the agent take a customer who waits in the queue or is attached to
// him, and reports whether that was so. It goes beyond his capacity.
func (g *Agent) Take(c *Customer) bool {
	b := g.account.box
	b.mu.Lock()
	defer b.unlock()
	g.account.expire()
	waits := c.account == g.account && (c.desk == deskQueued || (c.desk == deskStuck && c.agent == g))
	if !waits || !g.online {
		return false
	}
	g.take(c)
	return true
}

// Close ends the agent's session with a customer, and reports whether there was one.
func (g *Agent) Close(c *Customer) bool {
	b := g.account.box
	b.mu.Lock()
	defer b.unlock()
	g.account.expire()
	if c.desk != deskServed || c.agent != g {
		return false
	}
	b.emit(Event{Kind: Ended, Account: g.account.o.Name, Customer: c.openid, Agent: g.o.Nick, Text: "closed"})
	c.depart()
	g.account.serve()
	return true
}

// Say writes to a customer whom the agent serves, and reports whether he does.
func (g *Agent) Say(c *Customer, text string) bool {
	b := g.account.box
	b.mu.Lock()
	defer b.unlock()
	g.account.expire()
	if c.desk != deskServed || c.agent != g {
		return false
	}
	c.receive(Received{From: FromDesk, Type: "text", Text: text})
	return true
}

// unable says why the agent takes nobody now; "" if he does. Locked.
func (g *Agent) unable() string {
	switch {
	case !g.online:
		return "is offline"
	case g.o.Manual:
		return "accepts by hand"
	case g.o.Capacity > 0 && len(g.serving) >= g.o.Capacity:
		return "is full"
	}
	return ""
}

// take begins a session. Locked.
func (g *Agent) take(c *Customer) {
	a := g.account
	c.depart()
	c.desk, c.agent, c.since = deskServed, g, a.box.opts.Now()
	g.serving[c] = struct{}{}
	a.sessions = append(a.sessions, session{customer: c, since: c.since})
	c.handOver()
	a.box.emit(Event{Kind: Taken, Account: a.o.Name, Customer: c.openid, Agent: g.o.Nick})
}
