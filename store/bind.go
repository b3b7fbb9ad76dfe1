package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"kefud/kefu"
)

// How many wrong codes are heard in ten minutes: from one chat, and in all. A
// code is one of 31^6.
const (
	guessesOfOne = 5
	guessesOfAll = 100
)

func isNil(err error) bool { return errors.Is(err, redis.Nil) }

func cutLine(text string) (string, string, bool) { return strings.Cut(text, "\n") }

func (k keys) invites(app kefu.AppID) string { return k.agents("invites:" + string(app)) }
func (k keys) guesses(c kefu.CustomerID) string {
	if c.User == "" {
		return k.agents("guesses:" + string(c.App))
	}
	return k.agents("guesses:" + string(c.App) + ":" + c.User)
}

// Invite lets whoever sends the code bind his chat to the agent. The agent's
// former invitation is void.
func (s *Store) Invite(ctx context.Context, i kefu.Invitation) error {
	return s.do(ctx, "invite", s.agents(), func(ctx context.Context) error {
		pipe := s.rdb.Pipeline()
		pipe.HSet(ctx, s.keys.invites(i.App), string(i.Agent), i.Code+" "+strconv.FormatInt(millis(i.At.Add(i.For)), 10))
		pipe.PExpire(ctx, s.keys.invites(i.App), max(i.For, inviteTTL)) // others may last longer than this one
		_, err := pipe.Exec(ctx)
		return err
	})
}

// Invited reports whether a text is the code of an invitation to a switchboard,
// be it used up or too old: it is no word to anybody else.
func (s *Store) Invited(ctx context.Context, app kefu.AppID, text string) (bool, error) {
	var all []string
	err := s.do(ctx, "invited", s.agents(), func(ctx context.Context) error {
		var err error
		all, err = s.rdb.HVals(ctx, s.keys.invites(app)).Result()
		return err
	})
	return slices.ContainsFunc(all, func(invite string) bool {
		code, _, _ := strings.Cut(invite, " ")
		return code == text
	}), err
}

// Bind makes a chat the agent's who was invited by the code: he is online then.
// Until is when WeChat stops taking something for him.
func (s *Store) Bind(ctx context.Context, chat kefu.CustomerID, code string, at, until time.Time) (kefu.Bound, error) {
	reply, err := s.run(ctx, job{
		op: "bind", place: s.agents(), script: s.scripts.bind,
		names: []string{
			s.keys.invites(chat.App), s.keys.guesses(chat), s.keys.guesses(kefu.CustomerID{App: chat.App}), s.keys.chats(), s.keys.owners(),
		},
		args: []any{millis(at), code, member(chat), guessesOfOne, guessesOfAll, guessTTL.Milliseconds(), millis(until)},
	})
	if err != nil {
		return kefu.Bound{}, err
	}
	l := asList(reply)
	b := kefu.Bound{State: kefu.BindState(l.number(0)), Agent: kefu.AgentID(l.text(1))} //nolint:gosec // 0 to 3
	if b.State == kefu.BindDone {
		_, err = s.SetState(ctx, chat, kefu.ChatOnline)
	}
	return b, err
}

// Whose tells which agent a chat is bound to; "" for none.
func (s *Store) Whose(ctx context.Context, chat kefu.CustomerID) (kefu.AgentID, error) {
	var agent string
	err := s.do(ctx, "whose", s.agents(), func(ctx context.Context) error {
		var err error
		agent, err = s.rdb.HGet(ctx, s.keys.owners(), member(chat)).Result()
		return err
	})
	if isNil(err) {
		return "", nil
	}
	return kefu.AgentID(agent), err
}

// Announce tells all replicas of an agent's chat. Given says that the
// configuration names the chat as his; else it has to be bound to him.
func (s *Store) Announce(ctx context.Context, c kefu.Chat, given bool) error {
	_, err := s.run(ctx, job{
		op: "announce", place: s.agents(), script: s.scripts.announce, names: []string{s.keys.chats(), s.keys.owners()},
		args: []any{string(c.Agent), member(c.ID), c.State.String(), millis(c.Until), flag(given)},
	})
	return err
}

// Unbind takes an agent's chat from him, and reports whether he had one. Whoever
// waits for an answer in it is overdue, so that he is brought to somebody else.
func (s *Store) Unbind(ctx context.Context, agent kefu.AgentID) (bool, error) {
	reply, err := s.run(ctx, job{
		op: "unbind", place: s.agents(), script: s.scripts.unbind, names: []string{s.keys.chats(), s.keys.owners()}, args: []any{string(agent)},
	})
	if err != nil || reply == "" {
		return false, err
	}
	name, _ := reply.(string) // unbind.lua returns nothing else
	chat, err := customer(name)
	if err != nil {
		return true, fmt.Errorf("read the chat of %s: %w", agent, err)
	}
	opens, err := s.Opens(ctx, chat, s.now(), 0)
	for _, o := range opens {
		if !o.Waiting.IsZero() {
			_, failed := s.Hurry(ctx, o.Customer, agent)
			err = errors.Join(err, failed)
		}
	}
	return true, err
}

// Chats gives the chats of all agents, as they were last announced, by agent.
func (s *Store) Chats(ctx context.Context) ([]kefu.Chat, error) {
	var fields map[string]string
	err := s.do(ctx, "chats", s.agents(), func(ctx context.Context) error {
		var err error
		fields, err = s.rdb.HGetAll(ctx, s.keys.chats()).Result()
		return err
	})
	if err != nil {
		return nil, err
	}
	out := make([]kefu.Chat, 0, len(fields))
	for agent, text := range fields {
		const parts = 4
		f := strings.Fields(text)
		if len(f) != parts {
			return nil, fmt.Errorf("chat of %s has %d parts, not %d", agent, len(f), parts)
		}
		ms, err := strconv.ParseInt(f[3], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("chat of %s: its time is no number", agent)
		}
		out = append(out, kefu.Chat{
			Agent: kefu.AgentID(agent), ID: kefu.CustomerID{App: kefu.AppID(f[0]), User: f[1]}, State: chatState(f[2]), Until: instant(ms),
		})
	}
	slices.SortFunc(out, func(a, b kefu.Chat) int { return strings.Compare(string(a.Agent), string(b.Agent)) })
	return out, nil
}
