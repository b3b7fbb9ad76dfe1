package presence

import (
	"context"
	"fmt"
	"time"

	"kefud/kefu"
)

// chatsLast is how long what is known of agents' chats is believed when the
// store does not tell anew.
const chatsLast = 45 * time.Second

// chats is what is known of agents' own chats.
type chats struct {
	at    time.Time // when they were read
	turn  uint64    // of the board's knowledge
	known map[kefu.AgentID]kefu.Chat
}

// readChats reads the chats of all agents, if there is a switchboard at all.
func (b *Board) readChats(ctx context.Context) error {
	if !hasSwitchboard(b.table()) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, storeWithin)
	defer cancel()
	at := b.now()
	b.mu.Lock()
	kept := b.kept
	b.mu.Unlock()
	all, err := b.store.Chats(ctx)
	if err != nil {
		return fmt.Errorf("read agents' chats: %w", err)
	}
	known := make(map[kefu.AgentID]kefu.Chat, len(all))
	for _, c := range all {
		known[c.Agent] = c
	}
	b.learn(func(time.Time) bool {
		if b.kept != kept {
			return false // something newer was kept meanwhile; the next reading has it
		}
		b.chats = chats{at: at, turn: b.turn + 1, known: known}
		return true
	})
	return nil
}

// Knows reports whether agents' chats have been read, and so lately that what they
// say is believed.
func (b *Board) Knows(at time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.chats.known != nil && at.Before(b.chats.at.Add(chatsLast))
}

func hasSwitchboard(t *kefu.Table) bool {
	for i := range t.Apps {
		if t.Apps[i].Switchboard {
			return true
		}
	}
	return false
}

// Keep takes what this replica has just learned of an agent's chat, and need not
// be told by the store.
func (b *Board) Keep(c kefu.Chat) {
	b.learn(func(now time.Time) bool {
		known := make(map[kefu.AgentID]kefu.Chat, len(b.chats.known)+1)
		for agent, chat := range b.chats.known {
			if chat.ID != c.ID { // it is nobody else's any more
				known[agent] = chat
			}
		}
		known[c.Agent] = c
		at := b.chats.at
		if at.IsZero() {
			at = now
		}
		b.chats = chats{at: at, turn: b.turn + 1, known: known}
		b.kept++
		return true
	})
}

// Chat gives an agent's own chat, as the configuration has it and as far as it
// is known; the zero Chat if he has none.
func (b *Board) Chat(agent kefu.AgentID) kefu.Chat {
	b.mu.Lock()
	known := b.chats.known
	b.mu.Unlock()
	table := b.table()
	c := chatOf(table.Agent(agent), known)
	if owner := givenTo(table, c.ID); owner != "" && owner != agent {
		return kefu.Chat{}
	}
	return c
}

// givenTo tells to whom the configuration gives a chat; "" if it leaves that to
// codes.
func givenTo(table *kefu.Table, chat kefu.CustomerID) kefu.AgentID {
	if chat.User == "" {
		return ""
	}
	for i := range table.Agents {
		if a := &table.Agents[i]; a.Relay.App == chat.App && a.Relay.User == chat.User {
			return a.ID
		}
	}
	return ""
}

// AgentOf tells whose chat it is; "" if nobody's that is known of.
func (b *Board) AgentOf(chat kefu.CustomerID) kefu.AgentID {
	b.mu.Lock()
	known := b.chats.known
	b.mu.Unlock()
	table := b.table()
	if agent := givenTo(table, chat); agent != "" {
		return agent
	}
	for agent, c := range known {
		if c.ID == chat && chatOf(table.Agent(agent), known).ID == chat {
			return agent
		}
	}
	return ""
}

// chatOf is the chat that counts for an agent: the one that the configuration
// names or, if it names none, the one that is bound to him. The configuration may
// give that one to another, whose it is then.
func chatOf(a *kefu.Agent, known map[kefu.AgentID]kefu.Chat) kefu.Chat {
	if a == nil || a.Relay.App == "" {
		return kefu.Chat{}
	}
	c := known[a.ID]
	given := kefu.CustomerID{App: a.Relay.App, User: a.Relay.User}
	if given.User != "" && c.ID != given {
		return kefu.Chat{Agent: a.ID, ID: given}
	}
	if c.ID.App != a.Relay.App {
		return kefu.Chat{}
	}
	return c
}

// chat gives the standing of an agent who is reached in his own chat, and reports
// whether that says all there is. He stands at every app that customers write to.
func (c *builder) chat(a *kefu.Agent) (kefu.Standing, bool) {
	chat := chatOf(a, c.chats.known)
	if owner, ok := c.plan.given[chat.ID]; chat.ID.User == "" || c.chats.at.IsZero() || ok && owner != a.ID {
		return kefu.Standing{}, false
	}
	ends := c.chats.at.Add(chatsLast)
	c.changesAt(ends)
	if !c.now.Before(ends) {
		return kefu.Standing{}, false
	}
	c.changesAt(chat.Until)
	said := c.manual(a.Manual)
	s := kefu.Standing{Presence: kefu.PresenceOnline, Relayed: true, Account: a.Desk.Account}
	switch {
	case said == kefu.PresenceAway:
		s.Presence, s.Relayed = said, false
	case chat.Open(c.now):
		s.Paused = a.Manual.State == kefu.ManualPaused || chat.State == kefu.ChatBusy
		s.Leaving = chat.State == kefu.ChatOffline
	case a.Desk.App != "":
		return kefu.Standing{}, false
	default:
		s.Presence, s.Relayed = kefu.PresenceOffline, false
	}
	return s, true
}
