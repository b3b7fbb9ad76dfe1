package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"kefud/kefu"
)

// Receive tells the store of a push: one command. A push seen before comes back
// as Repeat with its First and Answer, undecided while another is at it. Else
// the customer is brought to his entry, and the conversation is Kept if its
// agent can go on with it; then Answer stands, and a greeting given with r is
// owed.
func (s *Store) Receive(ctx context.Context, r kefu.Receipt) (kefu.Received, error) {
	x, _ := receiveCalls.Get().(*receiveCall) // nothing else is in it
	j, err := s.receipt(&r, x)
	if err != nil {
		return kefu.Received{}, err
	}
	reply, err := s.run(ctx, j)
	if err != nil {
		return kefu.Received{}, err // x may still be written to Redis
	}
	clear(x.args[:]) // what a customer has said is not kept in memory
	clear(x.room[:])
	receiveCalls.Put(x)
	text, _ := reply.(string)
	if record, repeated := strings.CutPrefix(text, "="); repeated {
		return parsePush(record), nil
	}
	answer, text, _ := strings.Cut(text, "\n")
	refreshes, text, _ := strings.Cut(text, "\n")
	owed, text, _ := strings.Cut(text, "\n")
	var v view
	if owed == quick {
		v = parseKept(text)
	} else {
		v = parseView(text)
	}
	got := kefu.Received{Conversation: v.conversation(), First: r.At, Answer: parseAnswer(answer), Turn: v.turn()}
	got.Kept = got.Answer.Decided()
	if refreshes == "1" {
		s.refresher.ask(&refresh{customer: r.Customer, agent: got.Serving, at: r.At, idle: r.Idle, version: got.Version})
	}
	if owed != "0" && owed != quick {
		s.wakeUp(j.place)
	}
	return got, nil
}

// quick stands in the place of deliveries in what kept.lua returns, which writes none.
const quick = "q"

// A receiveCall is what receive.lua is called with, in one piece of memory, which is used
// again once that was answered: there is one for every push.
type receiveCall struct {
	names           [6]string
	args            [10]any // an enter event has more
	room            [19]any // for the command, names and args
	at, until, idle int64
	reach, last     string
	text            []byte // for keys.visit
}

var receiveCalls = sync.Pool{New: func() any { return new(receiveCall) }}

// receipt makes the call of receive.lua in x.
func (s *Store) receipt(r *kefu.Receipt, x *receiveCall) (job, error) {
	allowed, window := r.Allowance.AfterMessage, r.Allowance.AfterMessageWindow
	if r.Enter {
		allowed, window = r.Allowance.AfterEnter, r.Allowance.AfterEnterWindow
	}
	v, text := s.keys.visit(x.text, r)
	x.text = text
	x.at, x.until, x.idle = millis(r.At), millis(r.At.Add(window)), r.Idle.Milliseconds()
	x.reach, x.last = string(r.Reach), v.last
	j := job{op: "receive", place: v.partition, script: s.scripts.receive, room: x.room[:0]}
	j.names = append(x.names[:0], v.push, v.customer, v.bucket, v.lanes)
	j.args = append(x.args[:0], &x.at, &x.idle, &x.reach, allowed, &x.until, &x.last)
	var greeting []any
	if r.Greeting != nil {
		var err error
		if greeting, err = s.deliveryArgs(r.Customer, *r.Greeting); err != nil {
			return job{}, err
		}
	}
	switch {
	case r.Enter:
		if greeting == nil {
			greeting = []any{"", "", "", "", ""}
		}
		j.names = append(j.names, s.keys.lane(r.Customer))
		j.args = append(j.args, "e", string(r.Ask.Entry), r.AskSticky.Milliseconds(), string(r.Ask.Agent), r.Ask.Group,
			greeting[0], greeting[1], greeting[3], greeting[4])
	case r.Reach.Relays():
		words, err := s.seal(r.Customer, r.Words)
		if err != nil {
			return job{}, err
		}
		j.names = append(j.names, s.keys.said(r.Customer), s.keys.timers(v.partition))
		j.args = append(j.args, "w", words, kefu.FromCustomer.Ref(r.Key), r.Keep.Milliseconds())
	}
	return j, nil
}

// Lookup reads the record of one push and changes nothing: Repeat, First and
// Answer, or the zero Received if the push is not remembered.
func (s *Store) Lookup(ctx context.Context, c kefu.CustomerID, key kefu.MessageKey) (kefu.Received, error) {
	var record string
	err := s.do(ctx, "lookup", s.keys.partition(c), func(ctx context.Context) error {
		var err error
		record, err = s.rdb.Get(ctx, s.keys.push(c, key)).Result()
		return err
	})
	if errors.Is(err, redis.Nil) {
		return kefu.Received{}, nil
	}
	if err != nil {
		return kefu.Received{}, err
	}
	return parsePush(record), nil
}

// Settle ends the work on a push: one command. It is not applied if the push
// was decided before, unless it replaces that answer, nor if the conversation
// has changed since its Version, or the customer has been answered. Serving nobody leaves the stand-in's mark as it
// was: whoever comes next is still the same borrowing.
func (s *Store) Settle(ctx context.Context, st kefu.Settlement) (kefu.Settled, error) {
	words, err := s.seal(st.Customer, st.Words)
	if err != nil {
		return kefu.Settled{}, err
	}
	p := s.keys.partition(st.Customer)
	j := job{op: "settle", place: p, script: s.scripts.settle}
	j.names = []string{
		s.keys.push(st.Customer, st.Key), s.keys.customer(st.Customer),
		s.keys.lane(st.Customer), s.keys.lanes(p), s.keys.records(st.Customer), s.keys.said(st.Customer), s.keys.timers(p),
		s.keys.bucket(st.Customer),
	}
	j.args = []any{
		millis(st.At), st.Idle.Milliseconds(), member(st.Customer), st.Version, string(st.Entry), st.Sticky.Milliseconds(), string(st.Agent),
		string(st.Owner), orNone(int64(st.Borrowed)), formatAnswer(st.Answer), flag(st.Replace),
		encodeRecord(st.Record), orNone(st.AnswerWithin.Milliseconds()), formatAgents(st.Missed), words, kefu.FromCustomer.Ref(st.Key), st.Keep.Milliseconds(), millis(st.Waits),
	}
	for _, d := range st.Deliveries {
		more, err := s.deliveryArgs(st.Customer, d)
		if err != nil {
			return kefu.Settled{}, err
		}
		j.args = append(j.args, more...)
	}
	reply, err := s.run(ctx, j)
	if err != nil {
		return kefu.Settled{}, err
	}
	return s.settled(p, asList(reply)), nil
}

func (s *Store) settled(p int, l list) kefu.Settled {
	switch l.number(0) {
	case 0:
		return kefu.Settled{Answer: parseAnswer(l.text(1))}
	case 1, 3:
		return kefu.Settled{Now: conversation(l.text(1)), Met: l.number(0) == 3}
	}
	if l.number(1) > 0 {
		s.wakeUp(p)
	}
	return kefu.Settled{Applied: true}
}

// Conversation tells of a customer's conversation at an instant, and changes
// nothing.
func (s *Store) Conversation(ctx context.Context, c kefu.CustomerID, at time.Time) (kefu.Conversation, error) {
	reply, err := s.run(ctx, job{
		op: "conversation", place: s.keys.partition(c), script: s.scripts.history,
		names: []string{s.keys.customer(c), s.keys.records(c), s.keys.bucket(c)}, args: []any{millis(at), member(c), 0, 0},
	})
	if err != nil {
		return kefu.Conversation{}, err
	}
	v := parseView(asList(reply).text(1))
	got := v.conversation()
	got.Turns = v.turn()
	return got, nil
}

// History tells what is known of a customer, as of now.
func (s *Store) History(ctx context.Context, c kefu.CustomerID) (kefu.History, error) {
	reply, err := s.run(ctx, job{
		op: "history", place: s.keys.partition(c), script: s.scripts.history,
		names: []string{s.keys.customer(c), s.keys.records(c), s.keys.bucket(c)},
		args:  []any{millis(s.now()), member(c), recordsKept, recordTTL.Milliseconds()},
	})
	if err != nil {
		return kefu.History{}, err
	}
	l := asList(reply)
	h := kefu.History{Conversation: conversation(l.text(1)), LastPush: instant(l.number(0))}
	for i := range asList(l.at(2)) {
		r, err := decodeRecord(asList(l.at(2)).text(i))
		if err != nil {
			return kefu.History{}, fmt.Errorf("decode record: %w", err)
		}
		h.Records = append(h.Records, r)
	}
	h.Found = !h.LastPush.IsZero() || len(h.Records) > 0
	return h, nil
}
