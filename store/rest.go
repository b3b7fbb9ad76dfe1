package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// restBuckets of a partition: with 16 of these, 64 of a million customers are in
	// each bucket. One that is fuller takes a little longer to look into, and none
	// takes more than rested.lua says, which is 7.8 million customers in 16
	// partitions. Who finds no room stays as he is: many more need more partitions.
	restBuckets = 1024

	// restRound is how long it takes to look into every bucket. So much later than
	// he might, a customer rests, and so much longer than he must be, he is
	// remembered, at most.
	restRound = 10 * time.Minute
	restBeat  = 5 * time.Second // a waking up costs more than what is done then
	restBeats = int(restRound / restBeat)
	restLead  = 10 * time.Second // of the replica that does it for all

	// What is done at once, and what at most in one round trip: a round trip costs
	// more than what is asked there, but who is found awake takes memory meanwhile.
	restAtOnce = restBuckets/restBeats + 1 // buckets of each partition: those of a beat
	restAsks   = 512                       // whether a bucket is there
	restWalks  = 32                        // through a bucket
	restJobs   = 128                       // for one customer
)

// Rest lets everybody rest who may as of now (Options.Now), forgets those whose
// time is over, and tells how many rest from now on. A customer rests when his
// conversation is over, nothing is owed to him, and he waits for nobody: then he
// is kept in about 50 bytes instead of a hash of his own. Nobody who asks for him
// sees a difference.
//
// Run does the same all the time, bucket by bucket. It may be called meanwhile,
// and by several.
func (s *Store) Rest(ctx context.Context) (int, error) { return s.restAll(ctx, s.now()) }

// restAll is Rest that forgets those whose time was over at an instant.
func (s *Store) restAll(ctx context.Context, over time.Time) (int, error) {
	rested := 0
	for from := 0; from < s.keys.buckets; from += restAtOnce {
		n, err := s.restIn(ctx, from, min(from+restAtOnce, s.keys.buckets), over)
		if rested += n; err != nil {
			return rested, err
		}
	}
	return rested, nil
}

// restIn does the work of restAll in the buckets of a range of numbers, one of each
// in each partition, the last number excluded. After an error it goes on with what
// goes to Redis apart from what failed.
func (s *Store) restIn(ctx context.Context, from, to int, over time.Time) (int, error) {
	now := millis(s.now())
	buckets, err := s.filled(ctx, from, to)
	rested, failed := 0, []error{err}
	for some := range slices.Chunk(buckets, restWalks) {
		n, err := s.walk(ctx, some, now, over)
		rested, failed = rested+n, append(failed, err)
	}
	return rested, errors.Join(failed...)
}

// filled gives the buckets of a range in which somebody is.
func (s *Store) filled(ctx context.Context, from, to int) ([]string, error) {
	all := make([]string, 0, (to-from)*s.keys.partitions)
	for bucket := from; bucket < to; bucket++ {
		for p := range s.keys.partitions {
			all = append(all, s.keys.rest(p, bucket))
		}
	}
	var out []string
	for some := range slices.Chunk(all, restAsks) {
		there := make([]*redis.IntCmd, len(some))
		err := s.do(ctx, "buckets", s.everywhere(), func(ctx context.Context) error {
			_, err := s.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
				for i, bucket := range some {
					there[i] = pipe.Exists(ctx, bucket)
				}
				return nil
			})
			return err
		})
		if err != nil {
			return out, err // of a Redis that does not answer, the rest need not be asked
		}
		for i, bucket := range some {
			if there[i].Val() == 1 {
				out = append(out, bucket)
			}
		}
	}
	return out, nil
}

// walk lets everybody rest whom it finds in some buckets.
func (s *Store) walk(ctx context.Context, buckets []string, now int64, over time.Time) (int, error) {
	walks := make([]job, len(buckets))
	for i, bucket := range buckets {
		walks[i] = job{op: "walk", place: s.agents(), script: s.scripts.walk, names: []string{bucket}, args: []any{millis(over)}}
	}
	replies, err := s.runAll(ctx, walks)
	if err != nil {
		return 0, err
	}
	jobs, err := s.restJobs(replies, now)
	if err != nil {
		return 0, err
	}
	rested := 0
	for some := range slices.Chunk(jobs, restJobs) {
		replies, err := s.runAll(ctx, some)
		if err != nil {
			return rested, err
		}
		for _, reply := range replies {
			n, _ := reply.(int64) // rest.lua returns nothing else
			rested += int(n)
		}
	}
	return rested, nil
}

// restJobs asks for everybody to rest whom walk.lua found awake.
func (s *Store) restJobs(walks []any, now int64) ([]job, error) {
	var jobs []job
	for _, reply := range walks {
		found := asList(reply)
		for i := 1; i < len(found); i++ {
			m := found.text(i)
			c, err := customer(m)
			if err != nil {
				return nil, fmt.Errorf("read bucket: %w", err)
			}
			jobs = append(jobs, job{
				op: "rest", place: s.agents(), script: s.scripts.rest,
				names: []string{s.keys.customer(c), s.keys.bucket(c), s.keys.lane(c), s.keys.timers(s.keys.partition(c))},
				args:  []any{m, now},
			})
		}
	}
	return jobs, nil
}

// A rester lets customers rest, one replica for all.
type rester struct {
	*Store
	holder string
}

func newRester(s *Store) rester { return rester{Store: s, holder: rand.Text()} }

func (r *rester) run(ctx context.Context) {
	ticks := time.NewTicker(restBeat)
	defer ticks.Stop()
	last := r.beat() - 1
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
			now := r.beat()
			r.some(ctx, max(last, now-int64(restBeats))+1, now)
			last = now
		}
	}
}

// beat counts what restBeat is long, since 1970: the clock tells whose turn it is, so
// that a replica that takes over goes on where the one before was.
func (r *rester) beat() int64 { return r.now().UnixNano() / int64(restBeat) }

// some does the work of the buckets whose turn it is in these beats. What fails is
// counted with the calls to Redis, and done in the next round.
func (r *rester) some(ctx context.Context, first, last int64) {
	leads, err := r.Lead(ctx, "rest", r.holder, restLead)
	if err != nil || !leads {
		return
	}
	for beat := first; beat <= last; beat++ {
		from, to := turns(r.keys.buckets, beat)
		_, _ = r.restIn(ctx, from, to, r.now())
	}
}

// turns gives the buckets whose turn it is in a beat, the last one excluded. Each has
// its turn once a round.
func turns(buckets int, beat int64) (from, to int) { //nolint:nonamedreturns // two of one kind
	of := int(beat % int64(restBeats))
	return of * buckets / restBeats, (of + 1) * buckets / restBeats
}
