package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"kefud/kefu"
)

// Mark adds to a transcript what became of one of its sayings.
func (s *Store) Mark(ctx context.Context, c kefu.CustomerID, m kefu.Mark) error {
	_, err := s.run(ctx, job{
		op: "mark", place: s.keys.partition(c), script: s.scripts.mark, names: []string{s.keys.said(c)},
		args: []any{millis(s.now()), m.Ref, m.State, m.Reason, m.Keep.Milliseconds()},
	})
	return err
}

// sayingsRead is how many entries of a transcript are read at once.
const sayingsRead = 128

// Sayings gives the last relayed messages of a customer, at most limit, 0 = all
// that are kept, the oldest first.
func (s *Store) Sayings(ctx context.Context, c kefu.CustomerID, limit int) ([]kefu.Saying, error) {
	var entries []redis.XMessage // the newest first: what became of a saying comes before it
	before := "+"
	for {
		var some []redis.XMessage
		err := s.do(ctx, "sayings", s.keys.partition(c), func(ctx context.Context) error {
			var err error
			some, err = s.rdb.XRevRangeN(ctx, s.keys.said(c), before, "-", sayingsRead).Result()
			return err
		})
		if err != nil {
			return nil, err
		}
		if len(entries) > 0 && len(some) > 0 {
			some = some[1:] // which was the last of those before
		}
		entries = append(entries, some...)
		if len(some) < sayingsRead-1 || (limit > 0 && countSayings(entries) >= limit) {
			break
		}
		before = entries[len(entries)-1].ID
	}
	slices.Reverse(entries)
	out := s.sayings(c, entries)
	if limit > 0 && len(out) > limit {
		out = out[len(out)-limit:]
	}
	return out, nil
}

// countSayings tells how many sayings there are among entries of a transcript.
func countSayings(entries []redis.XMessage) int {
	said := make(map[string]bool, len(entries))
	for _, e := range entries {
		if k := field(e, "k"); k != "" {
			said[k] = true
		}
	}
	return len(said)
}

// field reads one field of an entry, as tell.lua writes it.
func field(e redis.XMessage, name string) string {
	v, _ := e.Values[name].(string)
	return v
}

// sayings puts together what was said and what became of it. A message that went
// to one agent after another was said once, to the last of them.
func (s *Store) sayings(c kefu.CustomerID, entries []redis.XMessage) []kefu.Saying {
	var out []kefu.Saying
	at := make(map[string]int, len(entries))
	for _, e := range entries {
		if ref := field(e, "r"); ref != "" {
			if i, ok := at[ref]; ok {
				out[i].State, out[i].Reason = field(e, "s"), field(e, "y")
			}
			continue
		}
		saying := s.saying(c, e)
		if i, ok := at[field(e, "k")]; ok {
			saying.ID, saying.At = out[i].ID, out[i].At
			out[i] = saying
			continue
		}
		at[field(e, "k")] = len(out)
		out = append(out, saying)
	}
	return out
}

func (s *Store) saying(c kefu.CustomerID, e redis.XMessage) kefu.Saying {
	ms, _ := strconv.ParseInt(field(e, "t"), 10, 64) // tell.lua writes nothing else
	words := s.unseal(c, field(e, "w"))
	saying := kefu.Saying{
		ID: e.ID, At: instant(ms), Direction: kefu.FromCustomer, Agent: kefu.AgentID(field(e, "a")),
		Text: words.Text, Picture: words.Media != (kefu.Media{}), State: kefu.SayingAccepted,
		Ref: field(e, "k"), Media: words.Media, Unreadable: words.Unreadable,
	}
	if field(e, "d") == "a" {
		saying.Direction = kefu.FromAgent
	}
	return saying
}

// Transcript gives everything that is kept of what was relayed of a customer.
func (s *Store) Transcript(ctx context.Context, c kefu.CustomerID) ([]kefu.Saying, error) {
	return s.Sayings(ctx, c, 0)
}

// Forget removes everything that is kept of a customer: his conversation, what
// was said and decided, what is owed to him, his seat, and his place in his
// agent's chat. Records of single pushes end by themselves within a minute.
func (s *Store) Forget(ctx context.Context, c kefu.CustomerID) error {
	conversation, err := s.Conversation(ctx, c, s.now())
	if err != nil {
		return err
	}
	p := s.keys.partition(c)
	_, err = s.run(ctx, job{
		op: "forget", place: p, script: s.scripts.forget,
		names: []string{
			s.keys.customer(c), s.keys.bucket(c), s.keys.records(c), s.keys.lanes(p), s.keys.timers(p),
			s.keys.lane(c), s.keys.said(c),
		},
		args: []any{member(c)},
	})
	return errors.Join(err, s.unbury(ctx, c), s.forgetSeats(ctx, c, conversation))
}

// unbury removes a customer's burials.
func (s *Store) unbury(ctx context.Context, c kefu.CustomerID) error {
	for p := range s.keys.partitions {
		err := s.do(ctx, "unbury", p, func(ctx context.Context) error {
			all, err := s.rdb.LRange(ctx, s.keys.buried(p), 0, -1).Result()
			if err != nil {
				return err
			}
			for _, text := range all {
				left, changed, err := without(text, c)
				if err != nil {
					return err
				}
				if !changed {
					continue
				}
				_, err = s.rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
					if left != "" {
						pipe.LInsertBefore(ctx, s.keys.buried(p), text, left)
					}
					pipe.LRem(ctx, s.keys.buried(p), 1, text)
					return nil
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// without gives a burial as it is kept without a customer, "" if nothing is left
// of it, and whether that changes it.
func without(text string, c kefu.CustomerID) (string, bool, error) {
	var g grave
	if err := json.Unmarshal([]byte(text), &g); err != nil {
		return "", false, fmt.Errorf("decode burial: %w", err)
	}
	if g.App == c.App && g.User == c.User {
		return "", true, nil
	}
	all := len(g.Lines)
	g.Lines = slices.DeleteFunc(g.Lines, func(l graveLine) bool { return l.App == c.App && l.User == c.User })
	if len(g.Lines) == all || len(g.Lines) == 0 {
		return "", len(g.Lines) != all, nil
	}
	b, err := json.Marshal(g)
	if err != nil {
		return "", false, fmt.Errorf("encode burial: %w", err)
	}
	return string(b), true, nil
}

// forgetSeats takes a customer out of the chat and the seat of his agent.
func (s *Store) forgetSeats(ctx context.Context, c kefu.CustomerID, conversation kefu.Conversation) error {
	chats, err := s.Chats(ctx)
	if err != nil {
		return err
	}
	for _, chat := range chats {
		if _, err := s.leave(ctx, kefu.Leaving{Chat: chat.ID, Customer: c, At: s.now(), Idle: time.Hour, Taken: true}, true); err != nil {
			return err
		}
	}
	return s.do(ctx, "forget_seats", s.agents(), func(ctx context.Context) error {
		pipe := s.rdb.Pipeline()
		for _, agent := range []kefu.AgentID{conversation.Serving, conversation.Owner, conversation.Holds} {
			pipe.ZRem(ctx, s.keys.seats(agent), markNumber(c))
		}
		for _, queue := range []string{"queue", "asked"} {
			pipe.ZRem(ctx, s.keys.queue(queue, c.App, conversation.Entry), markNumber(c))
		}
		_, err := pipe.Exec(ctx)
		return err
	})
}
