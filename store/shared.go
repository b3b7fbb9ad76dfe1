package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"kefud/kefu"
)

// skew is by how much two replicas' clocks may differ and still count as the same.
const skew = 3 * time.Second

// PutList shares an app's online list with all replicas, unless a newer one is
// there. Which is newer is told by their ages, not by the clocks of those who
// wrote them.
func (s *Store) PutList(ctx context.Context, app kefu.AppID, l kefu.OnlineList) error {
	agents, err := json.Marshal(l.Agents)
	if err != nil {
		return fmt.Errorf("encode list: %w", err)
	}
	ttl := listTTL - min(max(0, s.now().Sub(l.At)), listTTL-time.Millisecond)
	_, err = s.run(ctx, job{
		op: "put_list", place: s.agents(), script: s.scripts.younger,
		names: []string{s.keys.list(app)}, args: []any{stamped(l.At, string(agents)), ttl.Milliseconds(), listTTL.Milliseconds()},
	})
	return err
}

// Lists gives the online lists of apps; one that is not known is left out. Their
// times are this replica's: if the clock of the one that wrote a list was another,
// its time is reckoned from its age.
func (s *Store) Lists(ctx context.Context, apps []kefu.AppID) (map[kefu.AppID]kefu.OnlineList, error) {
	cmds, left := make([]*redis.StringCmd, len(apps)), make([]*redis.DurationCmd, len(apps))
	err := s.do(ctx, "lists", s.agents(), func(ctx context.Context) error {
		pipe := s.rdb.Pipeline()
		for i, app := range apps {
			cmds[i], left[i] = pipe.Get(ctx, s.keys.list(app)), pipe.PTTL(ctx, s.keys.list(app))
		}
		if err := exec(ctx, pipe); err != nil {
			return err
		}
		for _, cmd := range cmds {
			if err := cmd.Err(); err != nil && !errors.Is(err, redis.Nil) {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var apart, most time.Duration
	out := make(map[kefu.AppID]kefu.OnlineList, len(apps))
	for i, app := range apps {
		if cmds[i].Err() != nil {
			continue
		}
		at, text := unstamped(cmds[i].Val())
		own := s.now().Add(-max(0, listTTL-left[i].Val()))
		ahead := at.Sub(own)
		if ahead.Abs() > skew {
			at, apart = own.UTC(), ahead
		}
		if ahead.Abs() > most.Abs() {
			most = ahead
		}
		l := kefu.OnlineList{At: at}
		if err := json.Unmarshal([]byte(text), &l.Agents); err != nil {
			return nil, fmt.Errorf("decode list of %s: %w", app, err)
		}
		out[app] = l
	}
	s.meter.apart.Set(apart.Seconds())
	s.health.clocks(most)
	return out, nil
}

// Lead takes or renews for d the lead of a task that one replica at a time
// does, and reports whether holder has it now.
func (s *Store) Lead(ctx context.Context, task, holder string, d time.Duration) (bool, error) {
	reply, err := s.run(ctx, job{
		op: "lead", place: s.agents(), script: s.scripts.lead,
		names: []string{s.keys.lead(task)}, args: []any{holder, max(1, d.Milliseconds())},
	})
	return reply == int64(1), err
}

// Token gives the access token that the replicas share for an app, and whether
// there is one.
func (s *Store) Token(ctx context.Context, app kefu.AppID) (kefu.Token, bool, error) {
	var text string
	err := s.do(ctx, "token", s.agents(), func(ctx context.Context) error {
		var err error
		text, err = s.rdb.Get(ctx, s.keys.token(app)).Result()
		return err
	})
	if errors.Is(err, redis.Nil) {
		return kefu.Token{}, false, nil
	}
	if err != nil {
		return kefu.Token{}, false, err
	}
	expires, value := unstamped(text)
	return kefu.Token{Value: value, Expires: expires}, true, nil
}

// PutToken shares a token until it expires; one that has expired is not kept.
func (s *Store) PutToken(ctx context.Context, app kefu.AppID, t kefu.Token) error {
	ttl := t.Expires.Sub(s.now())
	if ttl < time.Millisecond {
		return nil
	}
	return s.do(ctx, "put_token", s.agents(), func(ctx context.Context) error {
		return s.rdb.Set(ctx, s.keys.token(app), stamped(t.Expires, t.Value), ttl).Err()
	})
}

// DropToken forgets an app's token if it is still the one given: another
// replica may have put a better one there.
func (s *Store) DropToken(ctx context.Context, app kefu.AppID, value string) error {
	_, err := s.run(ctx, job{
		op: "drop_token", place: s.agents(), script: s.scripts.drop,
		names: []string{s.keys.token(app)}, args: []any{value},
	})
	return err
}

// stamped is a value after an instant, as drop.lua reads it.
func stamped(at time.Time, value string) string {
	return strconv.FormatInt(millis(at), 10) + " " + value
}

func unstamped(text string) (time.Time, string) {
	ms, value, _ := strings.Cut(text, " ")
	n, _ := strconv.ParseInt(ms, 10, 64) // stamped wrote it
	return instant(n), value
}
