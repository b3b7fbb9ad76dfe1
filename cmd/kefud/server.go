package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log" //nolint:depguard // Go's HTTP server has no other way to say something
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"kefud/config"
	"kefud/handler"
	"kefud/kefu"
	"kefud/outbox"
	"kefud/presence"
	"kefud/relay"
	"kefud/router"
	"kefud/store"
	"kefud/wechat"
)

// A server is the whole of kefud serve. Every goroutine belongs to run.
type server struct {
	log      zerolog.Logger
	now      func() time.Time
	routing  atomic.Pointer[routing]
	store    *store.Store
	client   *wechat.Client
	board    *presence.Board
	outbox   *outbox.Outbox
	callers  *wechat.Callers // nil = pushes are let in from everywhere
	router   *router.Router
	relay    *relay.Relay
	http     *http.Server
	crowd    *handler.Crowd
	admin    *adminPort // nil = administration is at the address of everything else
	registry *prometheus.Registry
	reached  atomic.Bool // the store has answered at least once
	stopping atomic.Bool
}

// newServer builds everything and starts nothing. A store that does not answer
// is no error: customers are then served by the plain transfer.
func newServer(ctx context.Context, c *config.Config, log zerolog.Logger) (*server, error) {
	return newServerBy(ctx, c, log, time.Now)
}

// newServerBy is newServer by a clock.
func newServerBy(ctx context.Context, c *config.Config, log zerolog.Logger, now func() time.Time) (*server, error) {
	r, err := newRouting(c, now)
	if err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	s := &server{log: log, now: now, registry: registry}
	s.routing.Store(r)
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	options := storeOptions(c, log, registry)
	options.Now = now
	options.Keys = func(app kefu.AppID) ([]byte, []byte) { return s.routing.Load().transcriptKeys(app) }
	s.store, err = store.Open(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	s.reached.Store(s.store.Health().OK)
	if err := s.assemble(c, registry); err != nil {
		return nil, errors.Join(err, s.store.Close())
	}
	return s, nil
}

func storeOptions(c *config.Config, log zerolog.Logger, registry prometheus.Registerer) store.Options {
	return store.Options{
		Addrs: c.Redis.Addrs, MasterName: c.Redis.MasterName,
		Username: c.Redis.Username, Password: c.Redis.Password.Reveal(), DB: c.Redis.DB, TLS: c.Redis.TLS,
		Prefix: c.Redis.KeyPrefix, Partitions: c.Redis.Partitions, Logger: log, Registerer: registry,
		Keys: newTranscriptKeys(c).of,
	}
}

// assemble builds what stands on the store.
func (s *server) assemble(c *config.Config, registry *prometheus.Registry) error {
	table := func() *kefu.Table { return s.routing.Load().table }
	var err error
	s.client, err = wechat.NewClient(wechat.ClientOptions{
		BaseURL: c.WeChat.APIBase, Timeout: c.WeChat.Timeout, Apps: s.routing.Load().credentials(),
		Tokens: s.store, Media: s.store, Now: s.now, Logger: s.log, Registerer: registry,
	})
	if err != nil {
		return fmt.Errorf("build API client: %w", err)
	}
	s.board = presence.New(presence.Options{
		Table: table, Settings: func(app kefu.AppID) presence.Settings { return s.routing.Load().presence(app) },
		Lister: s.client, Store: s.store, Holder: rand.Text(), Now: s.now, Logger: s.log, Registerer: registry,
	})
	// The relay forwards for the router and tells the outbox what to send at once;
	// they ask it in turn, so that it reaches them when they are there.
	s.relay = relay.New(relay.Options{
		Store: s.store, Board: s.board, Table: table, Typist: s.client, Budget: c.ReplyBudget,
		Deliver: func(ctx context.Context, l kefu.Lane) kefu.Verdict { return s.outbox.Deliver(ctx, l) },
		Move:    func(ctx context.Context, m kefu.Move) (kefu.Moved, error) { return s.router.Move(ctx, m) },
		Now:     s.now, Logger: s.log, Registerer: registry,
	})
	s.outbox = outbox.New(outbox.Options{
		Queue: s.store, Backlog: s.store.Backlog, Sender: s.client, Witness: s.relay, Table: table, Now: s.now, Logger: s.log, Registerer: registry,
	})
	s.router = router.New(router.Options{
		Store: s.store, Seats: s.store, Board: s.board, Table: table, Relay: s.relay, Now: s.now, Budget: c.ReplyBudget,
	})
	h, err := handler.New(handler.Options{
		Codec:  func(app kefu.AppID) *wechat.Codec { return s.routing.Load().codecs[app] },
		Link:   func(tag string) (string, bool) { return s.routing.Load().link(tag) },
		Router: &front{customers: s.router, agents: s.relay, table: table},
		Token:  func() string { return s.routing.Load().config.Admin.Token.Reveal() },
		Ready:  s.ready, Stopping: s.stopping.Load, Historian: s.store, Office: s.store, Archive: s.store, Outbox: s.store, Table: table, NewCode: relay.NewCode,
		Budget: c.ReplyBudget, TrustedProxies: c.TrustedProxies, AdminApart: c.Admin.Listen != "", Allows: s.admit(c, registry),
		Logger: s.log, Registerer: registry, Gatherer: registry, Now: s.now,
	})
	if err != nil {
		return fmt.Errorf("build HTTP handler: %w", err)
	}
	s.http = handler.NewServer(c.Listen, h)
	s.http.ErrorLog = s.httpLog()
	s.crowd = handler.NewCrowd(mostConnections(descriptors()), s.log, registry)
	s.crowd.Attend(s.http)
	if s.admin = newAdminPort(c.Admin.Listen, h.Admin()); s.admin != nil {
		s.admin.http.ErrorLog = s.httpLog()
	}
	return nil
}

const (
	// enoughConnections is as many as anybody needs; a quiet one takes 30 KiB.
	enoughConnections = 16384
	// otherFiles are left for Redis, WeChat's API and the rest, if there are so many.
	otherFiles = 512
)

// mostConnections is how many of a process's descriptors may be connections of
// whoever asks something; 0 descriptors = nobody knows how many there are.
func mostConnections(descriptors uint64) int {
	if descriptors == 0 || descriptors >= enoughConnections+otherFiles {
		return enoughConnections
	}
	return int(max(descriptors/2, descriptors-min(descriptors, otherFiles)))
}

// An httpLog takes the lines of Go's HTTP server, which would go to stderr past the
// log, and wait for it.
type httpLog struct{ log zerolog.Logger }

func (s *server) httpLog() *log.Logger { return log.New(&httpLog{log: s.log}, "", 0) }

// Write takes one line. It may hold what somebody sent, and so is for debugging only.
func (l *httpLog) Write(line []byte) (int, error) {
	l.log.Debug().Str("said", strings.TrimSpace(string(line))).Msg("HTTP server")
	return len(line), nil
}

// run serves on the listener until ctx ends, then stops in order: HTTP, the
// workers, the store. A worker that ends early ends the server.
func (s *server) run(ctx context.Context, l net.Listener) error {
	if err := s.admin.listen(ctx); err != nil {
		return errors.Join(err, l.Close(), s.store.Close())
	}
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	l = s.crowd.Listen(l)
	var g errgroup.Group
	failed := make(chan struct{})
	var failedOnce atomic.Bool
	goWork := func(name string, f func(context.Context) error) {
		g.Go(func() error {
			err := f(work)
			if s.stopping.Load() {
				return nil
			}
			if failedOnce.CompareAndSwap(false, true) {
				close(failed)
			}
			return fmt.Errorf("%s ended: %w", name, errors.Join(err, errEarly))
		})
	}
	goWork("store", s.store.Run)
	goWork("presence", s.board.Run)
	goWork("outbox", s.outbox.Run)
	goWork("relay", s.relay.Run)
	if s.callers != nil {
		goWork("callers", s.callers.Run)
	}
	served := make(chan struct{})
	goWork("http", func(context.Context) error {
		defer close(served)
		return s.http.Serve(l)
	})
	if s.admin != nil {
		goWork("admin", func(context.Context) error { return s.admin.serve() })
	}
	s.warnOfMute()
	s.log.Info().Str("listen", l.Addr().String()).Func(s.admin.note).Str("version", version).Bool("embedded_store", s.store.Health().Embedded).Msg("serving")

	select {
	case <-ctx.Done():
	case <-failed:
	}
	s.stopping.Store(true)
	s.log.Info().Msg("stopping")
	until := time.Now().Add(stopTime)
	s.linger(failed)
	return errors.Join(s.drain(work, l, served, until), s.rest(&g, stopWork, until))
}

// warnOfMute names the apps whose API cannot be called, at the start and with
// every reload.
func (s *server) warnOfMute() {
	for i := range s.routing.Load().table.Apps {
		if app := &s.routing.Load().table.Apps[i]; app.Mute {
			s.log.Warn().Str("app", string(app.ID)).Msg("no app_secret: nobody is known to be online, no notice is sent, WeChat's desk gets every customer")
		}
	}
}

var errEarly = errors.New("before it was told to")

// reload takes over a new configuration, except for what needs a new process. All
// that takes time is done before the swap: whoever asks meanwhile does not wait.
func (s *server) reload(c *config.Config) error {
	begin := time.Now()
	r, err := newRouting(c, s.now)
	if err != nil {
		return err
	}
	s.board.Prepare(r.table)
	old := s.routing.Swap(r)
	s.client.SetApps(r.credentials())
	s.warnOfMute()
	took := milliseconds(time.Since(begin))
	if keys := needRestart(old.config, c); len(keys) > 0 {
		s.log.Warn().Strs("keys", keys).Float64("took_ms", took).Msg("config reloaded, but these keys take effect with the next start")
		return nil
	}
	s.log.Info().Int("apps", len(c.Apps)).Int("agents", len(c.Agents)).Float64("took_ms", took).Msg("config reloaded")
	return nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
