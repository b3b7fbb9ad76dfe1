package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"kefud/kefu"
)

// reasonUnreadable is the outbox's for words that no key opens.
const reasonUnreadable = "unreadable"

// Retry puts the buried delivery that is called so by Owed back into its
// customer's lane, if it may still be sent. Of several who ask at once, one does
// it; it is never in the lane twice.
func (s *Store) Retry(ctx context.Context, id string) (kefu.Revival, error) {
	p, own, ok := s.inOutbox(id)
	if !ok {
		return kefu.Revival{Outcome: kefu.RevivalUnknown}, nil
	}
	text, g, err := s.find(ctx, p, id, own)
	switch {
	case err != nil:
		return kefu.Revival{}, err
	case text == "":
		return s.revivedBefore(ctx, p, id)
	case len(g.Lines) > 0:
		return kefu.Revival{Outcome: kefu.RevivalOfLine}, nil
	case g.Reason == reasonUnreadable:
		return kefu.Revival{Outcome: kefu.RevivalUnreadable}, nil
	}
	b, err := json.Marshal(g.Body) // its words are sealed as they were
	if err != nil {
		return kefu.Revival{}, fmt.Errorf("encode delivery: %w", err)
	}
	to := kefu.CustomerID{App: g.App, User: g.User}
	reply, err := s.run(ctx, job{
		op: "revive", place: p, script: s.scripts.revive,
		names: []string{
			s.keys.buried(p), s.keys.lane(to), s.keys.lanes(p), s.keys.customer(to), s.keys.revived(p, id),
			s.keys.bucket(to),
		},
		args: []any{
			millis(s.now()), text, member(to), g.ID,
			strings.Join([]string{g.ID, "0", string(g.Agent), string(g.Entry), string(b)}, "\n"),
			g.Body.Expires, laneTTL.Milliseconds(), revivedTTL.Milliseconds(),
		},
	})
	if err != nil {
		return kefu.Revival{}, err
	}
	l := asList(reply)
	if l.number(0) == 1 {
		return s.revivedBefore(ctx, p, id) // somebody else was faster
	}
	r := kefu.Revival{Until: instant(l.number(1)), Outcome: map[int64]kefu.RevivalOutcome{
		0: kefu.Revived, 2: kefu.RevivalOver, 3: kefu.RevivalExpired, 4: kefu.RevivalForgotten,
	}[l.number(0)]}
	if r.Outcome == kefu.Revived {
		s.wakeUp(p)
	}
	return r, nil
}

// inOutbox takes an id of owedID apart: the partition, and the delivery's own id.
func (s *Store) inOutbox(id string) (int, string, bool) {
	parts := strings.Split(id, ".")
	if len(parts) != 3 || parts[2] == "" {
		return 0, "", false
	}
	p, err := strconv.Atoi(parts[0])
	return p, parts[2], err == nil && p >= 0 && p < s.keys.partitions
}

// find gives a burial as it stands in its list, "" if there is none.
func (s *Store) find(ctx context.Context, p int, id, own string) (string, grave, error) {
	const some = 500
	mark, err := json.Marshal(own)
	if err != nil {
		return "", grave{}, fmt.Errorf("look for burial: %w", err)
	}
	for from := int64(0); from < buriedKept; from += some {
		var texts []string
		err := s.do(ctx, "buried", p, func(ctx context.Context) error {
			var err error
			texts, err = s.rdb.LRange(ctx, s.keys.buried(p), from, from+some-1).Result()
			return err
		})
		if err != nil {
			return "", grave{}, err
		}
		for _, text := range texts {
			if !strings.Contains(text, string(mark)) { // which spares decoding the others
				continue
			}
			var g grave
			if err := json.Unmarshal([]byte(text), &g); err != nil {
				return "", grave{}, fmt.Errorf("decode burial: %w", err)
			}
			if g.ID == own && owedID(p, g.member(), own) == id {
				return text, g, nil
			}
		}
		if len(texts) < some {
			break
		}
	}
	return "", grave{}, nil
}

func (s *Store) revivedBefore(ctx context.Context, p int, id string) (kefu.Revival, error) {
	err := s.do(ctx, "revived", p, func(ctx context.Context) error {
		return s.rdb.Get(ctx, s.keys.revived(p, id)).Err()
	})
	switch {
	case errors.Is(err, redis.Nil):
		return kefu.Revival{Outcome: kefu.RevivalUnknown}, nil
	case err != nil:
		return kefu.Revival{}, err
	}
	return kefu.Revival{Outcome: kefu.RevivedBefore}, nil
}
