package simulator

import "slices"

// A Fate is what has become of a customer's message.
type Fate string

// The fates. Whoever is queued will be seen by WeChat's desk.
const (
	FatePending  Fate = "pending"  // not sent, or on its way
	FateAgent    Fate = "agent"    // an agent at the desk has it
	FateRelayed  Fate = "relayed"  // the server took it, and an agent's own chat has it
	FateQueued   Fate = "queued"   // it waits at the desk for any agent
	FateStranded Fate = "stranded" // it waits for one agent, who cannot take it; nobody else sees it
	FateLost     Fate = "lost"     // the server took it, and nobody has it yet
	FateFault    Fate = "fault"    // no answer or a malformed one: the customer saw the FaultLine
	FateNone     Fate = "none"     // none is due: an event, an agent's words, or a type that the server need not know
)

// A Reach tells which human has a message.
type Reach struct {
	Push  int64 // Push.ID
	Type  string
	Text  string
	Fate  Fate
	Agent string // nick; FateAgent and FateStranded. FateRelayed: the name of the chat that had it first
}

// owed reports whether the message must reach a human: a customer's of the
// types that the documents list must.
// https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/customer-message/receive.html, read 2026-11.
func (p *Push) owed() bool {
	return !p.customer.account.o.Switchboard && slices.Contains([]string{"text", "image", "miniprogrampage"}, p.kind)
}

// current is the push's fate as of now: a chat may have had the message before
// the server answered, or get it long after. Locked.
func (p *Push) current() Fate {
	switch {
	case p.fate == "":
		return FatePending
	case p.fate == FateLost && len(p.chats) > 0:
		return FateRelayed
	}
	return p.fate
}

// reach tells where the message is. Locked.
func (p *Push) reach() Reach {
	r := Reach{Push: p.id, Type: p.kind, Text: p.fields.text("Content"), Fate: p.current()}
	switch {
	case r.Fate == FateRelayed:
		r.Agent = p.chats[0].chatName()
	case p.agent != nil:
		r.Agent = p.agent.o.Nick
	}
	return r
}

// Chats lists the names of the agents' own chats that have the message, whatever
// its fate, in the order in which they got it.
func (p *Push) Chats() []string {
	b := p.customer.account.box
	b.mu.Lock()
	defer b.mu.Unlock()
	var names []string
	for _, c := range p.chats {
		names = append(names, c.chatName())
	}
	return names
}
