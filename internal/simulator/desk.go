package simulator

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// WeChat's desk (客服工具, 客服小助手). Its rules:
// https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/customer-message/trans.html, read 2026-11.

// A deskState is where a customer stands at the desk.
type deskState uint8

const (
	deskNone   deskState = iota // not there
	deskQueued                  // waits for any agent; his messages still come to the URL
	deskStuck                   // attached to an agent who has not taken him; they still come to the URL
	deskServed                  // in a session; his messages go straight to the agent
)

// A ticket is a customer's place in the queue.
type ticket struct {
	customer *Customer
	ripe     bool // the accept delay is over
}

// A session is one that was begun; it is over if its customer has moved on.
type session struct {
	customer *Customer
	since    time.Time
}

// transfer brings a customer's message to the desk, to the agent of a
// kf_account if one is named and that counts for the account. Locked.
func (c *Customer) transfer(p *Push, kfAccount string) {
	a := c.account
	a.expire()
	c.waiting = append(c.waiting, p)
	p.fate = FateQueued
	agent := a.named(kfAccount)
	switch {
	case c.desk == deskServed: // taken while the push was on its way
		c.handOver()
	case c.desk == deskStuck: // "nobody else serves him": so until his agent takes him
		p.fate, p.agent = FateStranded, c.agent
	case agent != nil:
		a.leaveQueue(c)
		a.attach(c, agent)
	case c.desk == deskNone:
		a.enqueue(c)
	}
}

// named finds the agent that a transfer designates; nil if it designates
// nobody. What an account that does not exist does is not documented; it was
// reported that the designation is then as if it were not there.
// https://github.com/JeffreySu/WeiXinMPSDK/issues/1152, read 2026-11.
func (a *Account) named(kfAccount string) *Agent {
	if kfAccount == "" || a.o.Naming != NamingHonoured {
		return nil
	}
	for _, agent := range a.agents {
		if agent.o.KfAccount == kfAccount {
			return agent
		}
	}
	return nil
}

// attach gives a customer to an agent. An agent who is offline, full or takes
// nobody by himself still gets him, no other agent is told, and nobody else
// serves him.
// https://developers.weixin.qq.com/doc/subscription/guide/product/kf/forwarding.html, read 2026-11.
func (a *Account) attach(c *Customer, agent *Agent) {
	why := agent.unable()
	if why == "" {
		agent.take(c)
		return
	}
	c.desk, c.agent, c.since = deskStuck, agent, a.box.opts.Now()
	agent.stuck = append(agent.stuck, c)
	for _, p := range c.waiting {
		p.fate, p.agent = FateStranded, agent
	}
	// How long he stays attached is not documented: as long as a session.
	a.sessions = append(a.sessions, session{customer: c, since: c.since})
	a.box.emit(Event{Kind: Stuck, Account: a.o.Name, Customer: c.openid, Agent: agent.o.Nick, Text: why})
}

// enqueue lets a customer wait for any agent.
func (a *Account) enqueue(c *Customer) {
	b := a.box
	t := &ticket{customer: c, ripe: b.opts.AcceptDelay <= 0}
	c.desk = deskQueued
	a.queue = append(a.queue, t)
	b.emit(Event{Kind: Queued, Account: a.o.Name, Customer: c.openid, Text: fmt.Sprintf("place %d", len(a.queue))})
	if t.ripe {
		a.serve()
		return
	}
	if b.closed {
		return
	}
	ctx, leave := b.register(context.Background())
	go func() {
		defer leave()
		if wait(ctx, b.opts.AcceptDelay) != nil {
			return
		}
		b.mu.Lock()
		defer b.unlock()
		t.ripe = true
		a.expire()
		a.serve()
	}()
}

func (a *Account) leaveQueue(c *Customer) {
	a.queue = slices.DeleteFunc(a.queue, func(t *ticket) bool { return t.customer == c })
}

// serve lets agents who can take who waits: first those attached to them, then
// the queue in its order, each customer going to the least busy agent. Locked.
func (a *Account) serve() {
	for _, agent := range a.agents {
		for len(agent.stuck) > 0 && agent.unable() == "" {
			agent.take(agent.stuck[0])
		}
	}
	for {
		next := slices.IndexFunc(a.queue, func(t *ticket) bool { return t.ripe })
		agent := a.leastBusy()
		if next < 0 || agent == nil {
			return
		}
		agent.take(a.queue[next].customer)
	}
}

func (a *Account) leastBusy() *Agent {
	var best *Agent
	for _, agent := range a.agents {
		if agent.unable() == "" && (best == nil || len(agent.serving) < len(best.serving)) {
			best = agent
		}
	}
	return best
}

// handOver gives the agent who serves whatever waits. Locked.
func (c *Customer) handOver() {
	for _, p := range c.waiting {
		p.fate, p.agent = FateAgent, c.agent
	}
	c.waiting = nil
}

// depart takes a customer away from the desk, wherever he stands. Locked.
func (c *Customer) depart() {
	switch c.desk {
	case deskQueued:
		c.account.leaveQueue(c)
	case deskStuck:
		c.agent.stuck = slices.DeleteFunc(c.agent.stuck, func(o *Customer) bool { return o == c })
	case deskServed:
		delete(c.agent.serving, c)
	case deskNone:
	}
	c.desk, c.agent, c.since = deskNone, nil, time.Time{}
}

// expire ends the sessions that have lasted too long: the 30 minutes are those
// of the session, whether anybody wrote in it or not. Locked.
func (a *Account) expire() {
	now := a.box.opts.Now()
	over := 0
	for ; over < len(a.sessions) && now.Sub(a.sessions[over].since) >= a.box.opts.DeskTimeout; over++ {
		s := a.sessions[over]
		c := s.customer
		if (c.desk != deskServed && c.desk != deskStuck) || !c.since.Equal(s.since) {
			continue
		}
		a.box.emit(Event{Kind: Ended, Account: a.o.Name, Customer: c.openid, Agent: c.agent.o.Nick, Text: "timeout"})
		c.waiting = nil // of one who was stranded; it stays so
		c.depart()
	}
	if over > 0 {
		a.sessions = slices.Clone(a.sessions[over:])
		a.serve()
	}
}

// Waiting lists who waits in the queue, the first in line first.
func (a *Account) Waiting() []*Customer {
	a.box.mu.Lock()
	defer a.box.settled()
	a.expire()
	var waiting []*Customer
	for _, t := range a.queue {
		waiting = append(waiting, t.customer)
	}
	return waiting
}
