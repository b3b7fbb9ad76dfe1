// Package simulator is a WeChat in a box: virtual customers who tap contact
// buttons and write, the signed pushes that follow, WeChat's own desk with its
// agents, agents who chat with a switchboard from their own WeChat, and the API
// that a server calls. It judges every answer it gets as strictly as WeChat's
// documents allow, and keeps account of which human each message reached.
//
// It shares no code with the server it plays against, so that each checks the
// other. Facts about WeChat carry the address they were read at; where the
// documents are silent, the comment says what is assumed.
package simulator

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// ErrClosed is what a closed Box answers with.
var ErrClosed = errors.New("the simulator is closed")

// FaultLine is what WeChat shows a customer when the server's answer to his
// message is missing or malformed.
// Message push, https://mp.weixin.qq.com/debug/minigame/dev/framework/server-ability/message-push.html, read 2026-11.
const FaultLine = "该小程序客服暂时无法提供服务，请稍后再试"

// What WeChat does unless Options say otherwise.
const (
	// 5 s without an answer: the connection is cut, and the push is sent again.
	// "总共重试三次" leaves open whether that is 3 or 4 pushes; 3 were counted in
	// the field: https://blog.csdn.net/weixin_42343756/article/details/119318795, read 2026-11.
	defaultReplyLimit = 5 * time.Second
	defaultRepushes   = 2
	// A session that the agent has not closed for 30 minutes ends by itself.
	// https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/customer-message/trans.html, read 2026-11.
	defaultDeskTimeout = 30 * time.Minute
	// https://developers.weixin.qq.com/doc/channels/API/leagueheadsupplier/getStableAccessToken.html, read 2026-11.
	defaultTokenLife = 2 * time.Hour
	// Not WeChat's: how far off a CreateTime or TimeStamp of an answer may be.
	defaultClockTolerance = 10 * time.Minute
)

// Options set a Box up. The zero Options are WeChat as it is.
type Options struct {
	Now            func() time.Time // the platform's clock; nil = time.Now. Waiting is always in real time
	ReplyLimit     time.Duration    // an answer is awaited so long; 0 = 5 s
	Repushes       int              // pushes after the first; 0 = 2, negative = none
	DeskTimeout    time.Duration    // a session ends by itself after it; 0 = 30 min
	AcceptDelay    time.Duration    // before an agent takes somebody from the queue; 0 = at once
	TokenLife      time.Duration    // of access tokens; 0 = 2 h
	ClockTolerance time.Duration    // between our clock and the times in answers; 0 = 10 min
	PushesFrom     []string         // what getcallbackip names, addresses and ranges; nil = 127.0.0.0/8 and ::1

	Transport http.RoundTripper // for pushes; nil = one of its own
	OnEvent   func(Event)       // told of everything, one event after the other; may call the Box. nil = nobody
	Logger    zerolog.Logger    // broken rules are logged as warnings; the zero Logger is silent
	Seed      uint64            // of everything random but message ids, which are never the same again
}

// A Box is a simulated WeChat. All methods of a Box and of what it hands out
// may be called from several goroutines at once.
type Box struct {
	opts   Options
	client *http.Client
	work   sync.WaitGroup

	mu       sync.Mutex // guards everything below, and all state of accounts, customers, agents and pushes
	rng      *rand.Rand
	accounts []*Account
	tokens   map[string]*token
	breaks   []*apiBreak
	pushings []*pushBreak
	calls    map[string]map[int]int
	hits     map[string]int // calls by path, those without an answer too
	faults   []Fault
	broken   int // rules broken in all, kept in faults or not
	lastID   int64
	closed   bool
	cancels  map[int64]context.CancelFunc // of everything that waits
	servers  []*http.Server
	addrs    []string // of servers
	index    index    // of what chats may come to hold
	events   []Event
	stirred  bool          // something has changed since changed was last closed
	telling  bool          // somebody is passing events on
	changed  chan struct{} // closed at the next change; nil = nobody waits
}

// New makes a Box without accounts.
func New(o Options) *Box {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&o.ReplyLimit, defaultReplyLimit)
	def(&o.DeskTimeout, defaultDeskTimeout)
	def(&o.TokenLife, defaultTokenLife)
	def(&o.ClockTolerance, defaultClockTolerance)
	if o.Repushes == 0 {
		o.Repushes = defaultRepushes
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Transport == nil {
		o.Transport = &http.Transport{MaxIdleConns: 1024, MaxIdleConnsPerHost: 512, IdleConnTimeout: time.Minute, DisableCompression: true}
	}
	return &Box{
		opts: o,
		client: &http.Client{
			Transport:     o.Transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		rng:     rand.New(rand.NewPCG(o.Seed, 0)), //nolint:gosec // a run must be repeatable; nothing here is secret
		tokens:  make(map[string]*token),
		calls:   make(map[string]map[int]int),
		hits:    make(map[string]int),
		cancels: make(map[int64]context.CancelFunc),
		// 64 bits, as documented, over 2^53, so that a float64 would spoil it, and new in every run.
		lastID: o.Now().UnixMilli() << 20,
	}
}

// Start serves the API on an address, "" being any free port of the loopback
// interface, and returns its base URL. It serves until Close.
func (b *Box) Start(ctx context.Context, addr string) (string, error) {
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return "", fmt.Errorf("listen for API calls: %w", err)
	}
	server := &http.Server{Handler: b.Handler(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: time.Minute}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return "", errors.Join(ErrClosed, l.Close())
	}
	b.servers, b.addrs = append(b.servers, server), append(b.addrs, l.Addr().String())
	b.work.Go(func() {
		// Serve ends with ErrServerClosed at Close, and there is no other way to end it.
		_ = server.Serve(l)
	})
	return "http://" + l.Addr().String(), nil
}

// Close cuts whatever is under way and waits for its end. The account stays readable.
func (b *Box) Close() {
	b.mu.Lock()
	b.closed = true
	for _, cancel := range b.cancels {
		cancel()
	}
	servers := b.servers
	b.servers = nil
	b.mu.Unlock()
	for _, s := range servers {
		_ = s.Close() // it reports only that a listener was closed before
	}
	b.work.Wait()
	b.client.CloseIdleConnections()
}

// Await returns when the condition holds, trying it at every change in the Box,
// or with the context's error.
func (b *Box) Await(ctx context.Context, holds func() bool) error {
	for {
		b.mu.Lock()
		if b.changed == nil {
			b.changed = make(chan struct{})
		}
		changed := b.changed
		b.mu.Unlock()
		if holds() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("await: %w", ctx.Err())
		}
	}
}

// enter registers something that waits. Close cuts the context it returns, and
// waits until leave is called.
func (b *Box) enter(ctx context.Context) (context.Context, func(), error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, nil, ErrClosed
	}
	ctx, leave := b.register(ctx)
	return ctx, leave, nil
}

// register is enter for an open Box. Locked; leave is not.
func (b *Box) register(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	b.lastID++
	id := b.lastID
	b.cancels[id] = cancel
	b.work.Add(1)
	return ctx, func() {
		cancel()
		b.mu.Lock()
		delete(b.cancels, id)
		b.mu.Unlock()
		b.work.Done()
	}
}

// unlock ends a change of state: it wakes who waits for one and passes on the
// events that the change caused.
func (b *Box) unlock() {
	b.stirred = true
	b.settled()
}

// settled ends a look at the state, by which sessions may have been found to be
// over. Events are passed on in order, without the lock; while somebody else
// does that, they are left to him.
func (b *Box) settled() {
	defer b.mu.Unlock()
	if b.stirred && b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
	b.stirred = false
	if b.telling {
		return
	}
	b.telling = true
	for len(b.events) > 0 {
		events := b.events
		b.events = nil
		b.mu.Unlock()
		for _, e := range events {
			b.opts.OnEvent(e)
		}
		b.mu.Lock()
	}
	b.telling = false
}

// text makes n random characters of an alphabet. Locked.
func (b *Box) text(alphabet string, n int) string {
	s := make([]byte, n)
	for i := range s {
		s[i] = alphabet[b.rng.IntN(len(alphabet))]
	}
	return string(s)
}

const (
	digits  = "0123456789"
	letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
)

// wait waits, or returns the context's error.
func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
