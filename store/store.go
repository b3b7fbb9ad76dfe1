// Package store keeps in Redis what kefud must not forget: conversations, the
// seats of agents, the answers to pushes, what is owed to customers, and the
// little that replicas share. It decides nothing but who wins a race, and that
// in scripts that Redis runs as one step (folder lua).
//
// The same code and scripts run on a server, a cluster, behind sentinels, and on
// the embedded store, which lives in the process and ends with it.
//
// A Store never waits long: a command that Redis does not answer within Timeout
// is an error, and after several of those in a row further calls fail at once,
// but for one now and then that finds out whether Redis is back.
package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"kefud/internal/budget"
	"kefud/kefu"
)

// Defaults and limits of Options.
const (
	DefaultPrefix     = "kefud"
	DefaultPartitions = 16
	DefaultTimeout    = time.Second
	maxPartitions     = 4096
)

// Options say where Redis is and how to use it. The zero value is an embedded
// store.
type Options struct {
	Addrs      []string // host:port; none: embedded; one: a server; several: a cluster
	MasterName string   // with it, Addrs are sentinels
	Username   string
	Password   string
	DB         int // not on a cluster
	TLS        bool

	Prefix     string        // of every key; "" = DefaultPrefix
	Partitions int           // fixed when a prefix is first used; 0 = DefaultPartitions
	Timeout    time.Duration // one call; 0 = DefaultTimeout

	// Keys give the keys that seal what people say at an app: the present one, 32
	// bytes, nil to keep it as it is, and the one before, nil if there is none.
	// nil = nothing is sealed.
	Keys func(kefu.AppID) (present, previous []byte)

	Logger     zerolog.Logger
	Registerer prometheus.Registerer // nil = no metrics
	Now        func() time.Time      // for work that no request asks for; nil = time.Now
}

// A Store keeps what kefud knows. It is safe for concurrent use.
type Store struct {
	rdb       redis.UniversalClient
	joint     *joint
	closeRest func() // the embedded server
	embedded  bool
	sentinel  bool // the master is found by sentinels
	timeout   time.Duration
	clock     *budget.Clock // of the ends of calls
	now       func() time.Time
	keys      keys
	scripts   scripts
	scores    *scores
	breakers  []*breaker
	layout    atomic.Pointer[layout]
	health    health
	refresher refresher
	leaver    leaver
	rester    rester
	wake      chan int
	meter     *meter
	secrets   *strings.Replacer
	sealing   func(kefu.AppID) (present, previous []byte)
}

// Open makes a Store. Wrong options are an error, and so are metrics that are
// registered already. Redis that cannot be reached is not: calls fail until it
// can be.
func Open(ctx context.Context, o Options) (*Store, error) {
	s, err := newStore(o)
	if err != nil {
		return nil, err
	}
	s.look(ctx)
	return s, nil
}

// newStore makes a Store that has not yet asked Redis anything.
func newStore(o Options) (*Store, error) {
	o = withDefaults(o)
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	m, err := newMeter(o.Registerer)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	s := &Store{
		embedded: len(o.Addrs) == 0,
		sentinel: o.MasterName != "",
		timeout:  o.Timeout,
		clock:    budget.NewClock(),
		now:      o.Now,
		keys:     keys{prefix: o.Prefix, partitions: o.Partitions, buckets: restBuckets},
		scripts:  newScripts(),
		scores:   newScores(),
		wake:     make(chan int, 4*o.Partitions),
		meter:    m,
		secrets:  secrets(o),
		sealing:  o.Keys,
	}
	s.rdb, s.closeRest = connect(o)
	if s.joint, err = newJoint(s.rdb, s.embedded); err != nil {
		_ = s.Close()
		return nil, fmt.Errorf("open store: %w", err)
	}
	s.breakers = newBreakers(s.rdb, o.Partitions)
	s.refresher = refresher{Store: s, asked: make(chan *refresh, refreshRoom)}
	s.leaver = leaver{Store: s, asked: make(chan *leaving, giveUpRoom), delay: giveUpDelay}
	s.rester = newRester(s)
	s.health.start(o.Logger, time.Now())
	return s, nil
}

func withDefaults(o Options) Options {
	if o.Prefix == "" {
		o.Prefix = DefaultPrefix
	}
	if o.Partitions == 0 {
		o.Partitions = DefaultPartitions
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// check finds every mistake in the options. It repeats no address that is
// wrong: a URL in its place may hold a password.
func (o Options) check() error {
	var errs []error
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	for i, a := range o.Addrs {
		host, port, err := net.SplitHostPort(a)
		wrong(err != nil || host == "" || port == "" || strings.ContainsAny(a, "@/ "), "address %d is not host:port", i+1)
	}
	cluster := len(o.Addrs) > 1 && o.MasterName == ""
	wrong(cluster && o.DB != 0, "a cluster has no database %d, only 0", o.DB)
	wrong(o.DB < 0, "database %d is below 0", o.DB)
	wrong(o.MasterName != "" && len(o.Addrs) == 0, "a master name needs the addresses of its sentinels")
	wrong(!regexp.MustCompile(`^[A-Za-z0-9_.:-]+$`).MatchString(o.Prefix), "prefix %q has other characters than letters, digits and _.:-", o.Prefix)
	wrong(o.Partitions < 1 || o.Partitions > maxPartitions, "partitions %d are not within 1 and %d", o.Partitions, maxPartitions)
	wrong(o.Timeout < time.Millisecond, "timeout %s is below a millisecond", o.Timeout)
	return errors.Join(errs...)
}

// Run does the Store's background work until ctx ends: it looks again and
// again whether Redis is there, refreshes seats, gives up those that were taken for
// nothing, and lets customers rest. Without it a Store works, but conversations
// lose their seats.
func (s *Store) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { s.watch(ctx); return nil })
	g.Go(func() error { s.refresher.run(ctx); return nil })
	g.Go(func() error { s.leaver.run(ctx); return nil })
	g.Go(func() error { s.rester.run(ctx); return nil })
	return g.Wait()
}

// Close ends all connections; an embedded store forgets everything. Calls in
// flight fail.
func (s *Store) Close() error {
	err := s.rdb.Close()
	s.closeRest()
	if err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}

// Partitions is how many parts the outbox has; they are numbered from 0.
func (s *Store) Partitions() int { return s.keys.partitions }

// Wake gives the numbers of partitions in which this process has just written a
// delivery. A reader who is late misses some.
func (s *Store) Wake() <-chan int { return s.wake }

func (s *Store) wakeUp(partition int) {
	select {
	case s.wake <- partition:
	default: // whoever reads has enough to do
	}
}
