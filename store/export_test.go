package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"kefud/kefu"
)

// For the tests of package store_test.

// Commands counts the commands that a Store sends from now on; pipelines count
// as one.
func (s *Store) Commands(count func(name string)) {
	s.rdb.AddHook(counting{count})
}

type counting struct{ count func(string) }

func (c counting) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c counting) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.count(cmd.Name())
		return next(ctx, cmd)
	}
}

func (c counting) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.count("pipeline")
		return next(ctx, cmds)
	}
}

// Client is the Store's own way to Redis.
func (s *Store) Client() redis.UniversalClient { return s.rdb }

// Keys names keys for tests that look at or damage them.
func (s *Store) CustomerKey(c kefu.CustomerID) string                { return s.keys.customer(c) }
func (s *Store) PushKey(c kefu.CustomerID, m kefu.MessageKey) string { return s.keys.push(c, m) }
func (s *Store) LaneKey(c kefu.CustomerID) string                    { return s.keys.lane(c) }
func (s *Store) SeatsKey(a kefu.AgentID) string                      { return s.keys.seats(a) }
func (s *Store) LayoutKey() string                                   { return s.keys.layout() }
func (s *Store) KnownKey() string                                    { return s.keys.known() }
func (s *Store) ChatKey(c kefu.CustomerID) string                    { return s.keys.chat(c) }
func (s *Store) LabelsKey(c kefu.CustomerID) string                  { return s.keys.labels(c) }
func (s *Store) ChatLaneKey(c kefu.CustomerID) string                { return s.keys.chatLane(c) }
func (s *Store) ChatsKey() string                                    { return s.keys.chats() }
func (s *Store) SaidKey(c kefu.CustomerID) string                    { return s.keys.said(c) }
func (s *Store) TimersKey(partition int) string                      { return s.keys.timers(partition) }

func (s *Store) RecordsKey(c kefu.CustomerID) string { return s.keys.records(c) }
func (s *Store) BucketKey(c kefu.CustomerID) string  { return s.keys.bucket(c) }

func (s *Store) BuriedKey(partition int) string { return s.keys.buried(partition) }

// Refresh does at once what waits for the background, and tells how much that was.
func (s *Store) Refresh(ctx context.Context) int {
	select {
	case f := <-s.refresher.asked:
		some := s.refresher.more(f)
		s.refresher.all(ctx, some)
		return len(some)
	default:
		return 0
	}
}

// Buckets lets a partition have that many buckets.
func (s *Store) Buckets(n int) { s.keys.buckets = n }

// RestBeat does what Run does in a beat, and tells how long that is.
func (s *Store) RestBeat(ctx context.Context) time.Duration {
	now := s.rester.beat()
	s.rester.some(ctx, now, now)
	return restBeat
}

// RestTurns gives the buckets whose turn it is in a beat, and how many beats there are.
func RestTurns(buckets int, beat int64) (from, to, beats int) { //nolint:nonamedreturns // three of one kind
	from, to = turns(buckets, beat)
	return from, to, restBeats
}

// RestOnly is Rest that forgets nobody.
func (s *Store) RestOnly(ctx context.Context) (int, error) { return s.restAll(ctx, time.Time{}) }

// EncodeRecord and DecodeRecord are how records are kept.
func EncodeRecord(r *kefu.Record) string            { return encodeRecord(r) }
func DecodeRecord(text string) (kefu.Record, error) { return decodeRecord(text) }

// Sources are the scripts.
var Sources = sources

// Limits the tests hold on to.
const (
	RecordsKept = recordsKept
	BuriedKept  = buriedKept
	LadderStep  = ladderStep
	SayingsRead = sayingsRead
)

// SeatFor is how long a seat lasts.
func SeatFor(idle time.Duration) time.Duration { return seatFor(idle) }

// Vacate does at once what GiveUp leaves for the background.
func (s *Store) Vacate(ctx context.Context, r kefu.SeatRequest) error { return s.leaver.vacate(ctx, r) }

// LeaveAtOnce lets GiveUp wait for nothing. Call it before Run.
func (s *Store) LeaveAtOnce() { s.leaver.delay = 0 }

// Partition tells in which partition a customer's deliveries are.
func (s *Store) Partition(c kefu.CustomerID) int { return s.keys.partition(c) }

// ErrRefused says that a call was not made at all.
var ErrRefused = errRefused

// Thorough has Receive do without the quick way of kept.lua.
func (s *Store) Thorough() {
	const call = "local quick, fresh = kept()"
	s.scripts.receive = newProgram(strings.Replace(joined(receiveFiles...), call, "local quick, fresh", 1))
}

// VisitKeys are the keys of a push and the last argument of its call as they are made
// together, and each by itself.
func (s *Store) VisitKeys(r kefu.Receipt) ([]string, []string) {
	c := r.Customer
	v, _ := s.keys.visit(nil, &r)
	p := s.keys.partition(c)
	last := fmt.Sprintf("%s\n%d\n%s", r.Default, r.DefaultSticky.Milliseconds(), member(c))
	return []string{v.push, v.customer, v.lanes, v.bucket, v.last, s.keys.in(v.partition, "")},
		[]string{s.keys.push(c, r.Key), s.keys.customer(c), s.keys.lanes(p), s.keys.bucket(c), last, s.keys.in(p, "")}
}

// Visit makes a push's keys in room.
func (s *Store) Visit(room []byte, r kefu.Receipt) []byte {
	_, room = s.keys.visit(room, &r)
	return room
}

// Script is the text of files of folder lua.
func Script(files ...string) string { return joined(files...) }
