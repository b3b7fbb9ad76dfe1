package store

import (
	"context"
	"crypto/rand"
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
	restJobs  = 128              // in one round trip
	restLead  = 10 * time.Second // of the replica that does it for all
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
	for bucket := range s.keys.buckets {
		n, err := s.restBucket(ctx, bucket, over)
		if rested += n; err != nil {
			return rested, err
		}
	}
	return rested, nil
}

// restBucket does the work of restAll in the buckets of a number, one of each
// partition.
func (s *Store) restBucket(ctx context.Context, bucket int, over time.Time) (int, error) {
	now := millis(s.now())
	there := make([]*redis.IntCmd, s.keys.partitions)
	err := s.do(ctx, "buckets", s.agents(), func(ctx context.Context) error {
		_, err := s.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for p := range there {
				there[p] = pipe.Exists(ctx, s.keys.rest(p, bucket))
			}
			return nil
		})
		return err
	})
	if err != nil {
		return 0, err
	}
	var walks []job
	for p, cmd := range there {
		if cmd.Val() == 1 {
			walks = append(walks, job{
				op: "walk", place: s.agents(), script: s.scripts.walk,
				names: []string{s.keys.rest(p, bucket)}, args: []any{millis(over)},
			})
		}
	}
	replies, err := s.runMany(ctx, walks)
	if err != nil {
		return 0, err
	}
	jobs, err := s.restJobs(replies, now)
	if err != nil {
		return 0, err
	}
	rested := 0
	replies, err = s.runMany(ctx, jobs)
	for _, reply := range replies {
		n, _ := reply.(int64) // rest.lua returns nothing else
		rested += int(n)
	}
	return rested, err
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

// runMany runs jobs of one kind in as many round trips as it takes, and gives the
// replies there were before an error.
func (s *Store) runMany(ctx context.Context, jobs []job) ([]any, error) {
	var out []any
	for some := range slices.Chunk(jobs, restJobs) {
		replies, err := s.runAll(ctx, some)
		if err != nil {
			return out, err
		}
		out = append(out, replies...)
	}
	return out, nil
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
		for bucket := from; bucket < to; bucket++ {
			_, _ = r.restBucket(ctx, bucket, r.now())
		}
	}
}

// turns gives the buckets whose turn it is in a beat, the last one excluded. Each has
// its turn once a round.
func turns(buckets int, beat int64) (from, to int) { //nolint:nonamedreturns // two of one kind
	of := int(beat % int64(restBeats))
	return of * buckets / restBeats, (of + 1) * buckets / restBeats
}
