package store

import (
	"context"
	"strconv"
	"time"

	"kefud/kefu"
)

// Hear tells the store of a message in an agent's chat: one command. It renews
// what may be sent to him and finds the conversation he means. A message heard
// before comes back as Repeat with what he was told, unless whoever heard it
// never came to an end: then it is heard again, and means the conversation that
// it meant at first. One that he wrote before the selected conversation became
// that means none.
func (s *Store) Hear(ctx context.Context, h kefu.Hearing) (kefu.Heard, error) {
	p := s.keys.partition(h.Chat)
	window := h.Allowance.AfterMessageWindow
	reply, err := s.run(ctx, job{
		op: "hear", place: p, script: s.scripts.hear,
		names: []string{s.heardKey(h.Chat, h.Key), s.keys.chat(h.Chat), s.keys.labels(h.Chat), s.keys.lanes(p)},
		args: []any{
			millis(h.At), chatMember(h.Chat), h.Label, flag(h.Target), flag(h.Select), flag(h.Silent),
			h.Allowance.AfterMessage, millis(h.At.Add(window)), h.Idle.Milliseconds(), pushTTL.Milliseconds(), chatTTL.Milliseconds(),
			h.Takeover.Milliseconds(), window.Milliseconds() / chatSlack, saidBy(h),
		},
	})
	if err != nil {
		return kefu.Heard{}, err
	}
	l := asList(reply)
	if l.number(0) == 0 {
		reply := s.unseal(h.Chat, l.text(3)).Text
		return kefu.Heard{Repeat: true, First: instant(l.number(1)), Done: l.yes(2), Reply: reply}, nil
	}
	s.wakeUp(p)
	return s.heard(h, l)
}

// saidBy is the last millisecond of the second in which the message was written,
// as WeChat tells it; 0 if it does not, or by another clock than ours.
func saidBy(h kefu.Hearing) int64 {
	if h.Said.IsZero() || h.At.Sub(h.Said).Abs() > otherClock {
		return 0
	}
	return millis(h.Said.Truncate(time.Second).Add(time.Second)) - 1
}

// otherClock is so far off that WeChat's clock and ours cannot be compared.
const otherClock = time.Minute

// chatSlack is the part of an agent's window by which other replicas may think
// it shorter than it is.
const chatSlack = 48

func (s *Store) heardKey(chat kefu.CustomerID, key kefu.MessageKey) string {
	return s.keys.of("heard", chat) + ":" + string(key)
}

func (s *Store) heard(h kefu.Hearing, l list) (kefu.Heard, error) {
	got := kefu.Heard{
		First: h.At, Chat: kefu.Chat{ID: h.Chat, State: chatState(l.text(1)), Until: instant(l.number(2))},
		Announce: l.yes(3), State: selectState(l.text(4)), Lost: int(l.number(6)), LostTo: l.text(7),
	}
	target, selected := int(l.number(5)), int(l.number(8))
	for i := 9; i+5 < len(l); i += 6 {
		o := kefu.Open{
			Label: int(l.number(i)), Entry: kefu.EntryTag(l.text(i + 2)),
			Waiting: instant(l.number(i + 3)), Last: instant(l.number(i + 4)),
		}
		var err error
		if o.Customer, err = customer(l.text(i + 1)); err != nil {
			return kefu.Heard{}, err
		}
		o.Line = s.unseal(o.Customer, l.text(i+5))
		o.Selected, o.Over = o.Label == selected, h.At.Sub(o.Last) > h.Idle
		if o.Label == target {
			got.Target = o
		}
		got.Opens = append(got.Opens, o)
	}
	return got, nil
}

func selectState(word string) kefu.SelectState {
	switch word {
	case "found":
		return kefu.SelectFound
	case "many":
		return kefu.SelectMany
	case "unknown":
		return kefu.SelectUnknown
	case "lost":
		return kefu.SelectLost
	}
	return kefu.SelectNone
}

// chatState reads a state as it is written; a chat of which nothing is known is
// offline.
func chatState(word string) kefu.ChatState {
	for _, s := range []kefu.ChatState{kefu.ChatOnline, kefu.ChatBusy, kefu.ChatGone} {
		if s.String() == word {
			return s
		}
	}
	return kefu.ChatOffline
}

// Reply ends the hearing of a message: one command.
func (s *Store) Reply(ctx context.Context, h kefu.Hearsay) error {
	told, err := s.seal(h.Chat, kefu.Words{Text: h.Reply}) // it may repeat what customers said
	if err != nil {
		return err
	}
	label, whose := "", ""
	if h.Label > 0 {
		label, whose = strconv.Itoa(h.Label), member(h.Customer)
	}
	_, err = s.run(ctx, job{
		op: "reply", place: s.keys.partition(h.Chat), script: s.scripts.reply,
		names: []string{s.heardKey(h.Chat, h.Key), s.keys.labels(h.Chat), s.keys.chat(h.Chat)},
		args:  []any{millis(h.First), pushTTL.Milliseconds(), told, label, whose, millis(h.At)},
	})
	return err
}

// Unheard forgets that a message was heard, so that its repeat is heard anew.
func (s *Store) Unheard(ctx context.Context, chat kefu.CustomerID, key kefu.MessageKey) error {
	return s.do(ctx, "unheard", s.keys.partition(chat), func(ctx context.Context) error {
		return s.rdb.Del(ctx, s.heardKey(chat, key)).Err()
	})
}

// HeardReply reads what an agent was told in answer to a message, and whether
// he was.
func (s *Store) HeardReply(ctx context.Context, chat kefu.CustomerID, key kefu.MessageKey) (string, bool, error) {
	var text string
	err := s.do(ctx, "heard", s.keys.partition(chat), func(ctx context.Context) error {
		var err error
		text, err = s.rdb.Get(ctx, s.heardKey(chat, key)).Result()
		return err
	})
	if isNil(err) {
		return "", false, nil
	}
	_, reply, done := cutLine(text)
	return s.unseal(chat, reply).Text, done, err
}

// Leave takes a conversation out of an agent's chat, with what he has not had of
// it: one command. What is on its way to him may still reach him; if it does
// not, it is not sent again.
func (s *Store) Leave(ctx context.Context, l kefu.Leaving) (kefu.Left, error) {
	return s.leave(ctx, l, false)
}

// leave also takes kefud's own notes on the conversation, if they are to go.
func (s *Store) leave(ctx context.Context, l kefu.Leaving, notes bool) (kefu.Left, error) {
	p := s.keys.partition(l.Chat)
	reply, err := s.run(ctx, job{
		op: "leave", place: p, script: s.scripts.leave,
		names: []string{s.keys.chat(l.Chat), s.keys.labels(l.Chat), s.keys.chatLane(l.Chat), s.keys.gone(l.Chat)},
		args: []any{
			millis(l.At), member(l.Customer), flag(l.Taken), l.To, flag(l.Missed), l.Idle.Milliseconds(), flag(notes),
			chatTTL.Milliseconds(), flag(l.Keeps), flag(l.Brought),
		},
	})
	if err != nil {
		return kefu.Left{}, err
	}
	r := asList(reply)
	return kefu.Left{
		Label: int(r.number(0)), Misses: int(r.number(1)), Only: int(r.number(2)), WasHis: r.yes(3), Dropped: int(r.number(4)),
	}, nil
}

// SetState keeps what an agent has said of himself, and gives his chat as it is
// then.
func (s *Store) SetState(ctx context.Context, chat kefu.CustomerID, state kefu.ChatState) (kefu.Chat, error) {
	var until string
	err := s.do(ctx, "set_state", s.keys.partition(chat), func(ctx context.Context) error {
		pipe := s.rdb.Pipeline()
		pipe.HSet(ctx, s.keys.chat(chat), "st", state.String(), "ms", 0)
		pipe.PExpire(ctx, s.keys.chat(chat), chatTTL)
		got := pipe.HGet(ctx, s.keys.chat(chat), "mu")
		_, err := pipe.Exec(ctx)
		if isNil(err) {
			return nil // he has never written
		}
		until = got.Val()
		return err
	})
	ms, _ := strconv.ParseInt(until, 10, 64) // "" = he has never written
	return kefu.Chat{ID: chat, State: state, Until: instant(ms)}, err
}

// Shut keeps that nothing can be sent to a chat before the agent writes.
func (s *Store) Shut(ctx context.Context, chat kefu.CustomerID) error {
	return s.do(ctx, "shut", s.keys.partition(chat), func(ctx context.Context) error {
		pipe := s.rdb.Pipeline()
		pipe.HSet(ctx, s.keys.chat(chat), "mn", 0, "mu", 0, "pu", 0)
		pipe.PExpire(ctx, s.keys.chat(chat), chatTTL)
		_, err := pipe.Exec(ctx)
		return err
	})
}
