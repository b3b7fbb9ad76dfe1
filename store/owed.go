package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"kefud/kefu"
)

// How much of what is owed one page looks at, whatever it shows of it.
const (
	owedBatch = 100  // burials, or lanes, that are read at once
	owedMost  = 2000 // of a page
)

// owedID names a delivery in the whole outbox: its partition, a digest of its
// recipient, and its own id, which is unique in his lane alone.
func owedID(p int, member, id string) string {
	sum := sha256.Sum256([]byte(member))
	return strconv.Itoa(p) + "." + hex.EncodeToString(sum[:4]) + "." + id
}

// A place is where a page begins: a partition, what is to be passed over in it,
// and of the first of these in turn.
type place struct{ partition, at, within int }

func (p place) String() string { return fmt.Sprintf("%d.%d.%d", p.partition, p.at, p.within) }

// placeOf reads a cursor; one that is none is the beginning.
func placeOf(cursor string) place {
	var p place
	if n, err := fmt.Sscanf(cursor, "%d.%d.%d", &p.partition, &p.at, &p.within); err != nil || n != 3 || min(p.partition, p.at, p.within) < 0 {
		return place{}
	}
	return p
}

// Owed gives a page of what is owed, or of what was buried: partition by
// partition, of waiting ones the most overdue lane first, of buried ones the
// newest. It opens no words.
func (s *Store) Owed(ctx context.Context, q kefu.OwedQuery) (kefu.OwedPage, error) {
	read := s.buriedFrom
	if q.State == kefu.OwedWaiting {
		read = s.waitingFrom
	}
	from := placeOf(q.Cursor)
	var page kefu.OwedPage
	for looked := 0; q.Limit > 0 && from.partition < s.keys.partitions; {
		if looked >= owedMost || len(page.Deliveries) >= q.Limit {
			page.Next = from.String()
			break
		}
		some, n, err := read(ctx, from)
		if err != nil {
			return kefu.OwedPage{}, err
		}
		looked += n
		next := place{partition: from.partition + 1}
		for _, o := range some {
			if q.App != "" && o.To.App != q.App {
				continue
			}
			if len(page.Deliveries) == q.Limit {
				page.Next = o.place.String()
				return page, nil
			}
			page.Deliveries = append(page.Deliveries, o.Owed)
		}
		if n == owedBatch {
			next = place{partition: from.partition, at: from.at + owedBatch}
		}
		from = next
	}
	return page, nil
}

// A placed is a delivery, and where a page begins with it.
type placed struct {
	kefu.Owed
	place place
}

// buriedFrom reads burials of one partition, and tells how many.
func (s *Store) buriedFrom(ctx context.Context, from place) ([]placed, int, error) {
	var texts []string
	err := s.do(ctx, "buried", from.partition, func(ctx context.Context) error {
		var err error
		texts, err = s.rdb.LRange(ctx, s.keys.buried(from.partition), int64(from.at), int64(from.at+owedBatch-1)).Result()
		return err
	})
	if err != nil || len(texts) == 0 {
		return nil, 0, err
	}
	out := make([]placed, len(texts))
	tills := make([]till, len(texts))
	for i, text := range texts {
		var g grave
		if err := json.Unmarshal([]byte(text), &g); err != nil {
			return nil, 0, fmt.Errorf("decode burial: %w", err)
		}
		o := kefu.Owed{
			To: kefu.CustomerID{App: g.App, User: g.User}, Kind: kindOf(g.Body), Agent: g.Agent, State: kefu.OwedBuried,
			Reason: g.Reason, Code: g.Code, Attempts: g.Attempts, At: instant(g.Body.At), Buried: instant(g.At), Until: instant(g.Body.Expires),
		}
		o.ID = owedID(from.partition, g.member(), g.ID)
		if len(g.Lines) > 0 {
			o.Kind, o.At = kindLine, writtenAt(g.ID)
		}
		tills[i] = till{to: o.To, chat: len(g.Lines) > 0}
		out[i] = placed{o, place{from.partition, from.at + i, 0}}
	}
	return out, len(texts), s.until(ctx, from.partition, out, tills)
}

const kindLine = "line"

// kindOf names what a delivery to a customer is, without its words.
func kindOf(b body) string {
	if b.Words != "" {
		return "answer"
	}
	return string(b.Notice)
}

// member is what the burial's recipient is known as among lanes.
func (g grave) member() string {
	to := kefu.CustomerID{App: g.App, User: g.User}
	if len(g.Lines) > 0 {
		return chatMember(to)
	}
	return member(to)
}

// writtenAt is when what has this id was written down: ids begin with that.
func writtenAt(id string) time.Time {
	ms, _, _ := strings.Cut(id, "-")
	n, _ := strconv.ParseInt(ms, 10, 64) // the scripts wrote it
	return instant(n)
}

// A till asks until when a recipient may be sent something.
type till struct {
	to   kefu.CustomerID
	chat bool
}

// until fills in until when deliveries may be sent, in one round trip. An earlier
// end of their own stays.
func (s *Store) until(ctx context.Context, p int, all []placed, of []till) error {
	jobs := make([]job, len(of))
	for i, t := range of {
		jobs[i] = job{op: "owed_until", place: p, script: s.scripts.allowed}
		if t.chat {
			jobs[i].names, jobs[i].args = []string{s.keys.chat(t.to)}, []any{""}
			continue
		}
		jobs[i].names, jobs[i].args = []string{s.keys.customer(t.to), s.keys.bucket(t.to)}, []any{member(t.to)}
	}
	replies, err := s.runAll(ctx, jobs)
	if err != nil {
		return err
	}
	for i, reply := range replies {
		l, o := asList(reply), &all[i].Owed
		end := instant(max(l.number(0), l.number(1)))
		if o.Until.IsZero() || end.Before(o.Until) {
			o.Until = end
		}
		if o.State == kefu.OwedWaiting && (l.yes(2) || l.yes(3)) {
			o.Reason = "no_allowance"
		}
	}
	return nil
}

// waitingFrom reads lanes of one partition, and tells how many. A page may end
// anywhere in a lane.
func (s *Store) waitingFrom(ctx context.Context, from place) ([]placed, int, error) {
	var members []redis.Z
	p := from.partition
	err := s.do(ctx, "owed_lanes", p, func(ctx context.Context) error {
		var err error
		members, err = s.rdb.ZRangeWithScores(ctx, s.keys.lanes(p), int64(from.at), int64(from.at+owedBatch-1)).Result()
		return err
	})
	if err != nil || len(members) == 0 {
		return nil, 0, err
	}
	lanes, tills, err := s.readLanes(ctx, p, members)
	if err != nil {
		return nil, 0, err
	}
	var out []placed
	var of []till
	for i, m := range members {
		first := 0
		if i == 0 {
			first = from.within
		}
		for j, item := range lanes[i].Val() {
			if j < first {
				continue
			}
			o, err := waiting(p, tills[i], item)
			if err != nil {
				return nil, 0, err
			}
			o.Due = instant(int64(m.Score))
			out = append(out, placed{o, place{p, from.at + i, j}})
			of = append(of, tills[i])
		}
	}
	return out, len(members), s.until(ctx, p, out, of)
}

// readLanes reads the lanes of members of lanes, and tells whose they are.
func (s *Store) readLanes(ctx context.Context, p int, members []redis.Z) ([]*redis.StringSliceCmd, []till, error) {
	cmds := make([]*redis.StringSliceCmd, len(members))
	tills := make([]till, len(members))
	for i, m := range members {
		name, chat := strings.CutPrefix(fmt.Sprint(m.Member), "@")
		to, err := customer(name)
		if err != nil {
			return nil, nil, err
		}
		tills[i] = till{to: to, chat: chat}
	}
	err := s.do(ctx, "owed", p, func(ctx context.Context) error {
		pipe := s.rdb.Pipeline()
		for i, t := range tills {
			key := s.keys.lane(t.to)
			if t.chat {
				key = s.keys.chatLane(t.to)
			}
			cmds[i] = pipe.LRange(ctx, key, 0, owedMost-1)
		}
		_, err := pipe.Exec(ctx)
		return err
	})
	return cmds, tills, err
}

// waiting reads an element of a lane, without its words.
func waiting(p int, of till, item string) (kefu.Owed, error) {
	f := strings.SplitN(item, "\n", 5)
	if len(f) != 5 {
		return kefu.Owed{}, fmt.Errorf("a delivery has %d lines, not 5", len(f))
	}
	o := kefu.Owed{To: of.to, Kind: kindLine, State: kefu.OwedWaiting, At: writtenAt(f[0])}
	attempts, err := strconv.Atoi(f[1])
	if err != nil {
		return kefu.Owed{}, errors.New("a delivery's attempts are no number")
	}
	if o.Attempts = attempts; attempts > 0 {
		o.Reason = "retry"
	}
	if of.chat {
		o.ID = owedID(p, chatMember(of.to), f[0])
		return o, nil
	}
	var b body
	if err := json.Unmarshal([]byte(f[4]), &b); err != nil {
		return kefu.Owed{}, fmt.Errorf("decode delivery: %w", err)
	}
	o.ID, o.Kind, o.Agent = owedID(p, member(of.to), f[0]), kindOf(b), kefu.AgentID(f[2])
	o.At, o.Until = instant(b.At), instant(b.Expires)
	return o, nil
}
