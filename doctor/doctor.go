// Package doctor says whether a deployment would work: it holds what was
// observed of the configuration, Redis, WeChat and the server against what kefud
// needs, and tells for everything that is wrong what to type or where to click.
//
// Examine gathers, through interfaces of its own, and Check judges. Check is a
// pure function of what was gathered, so that every finding can be tested
// without a Redis or a WeChat. Nothing here changes anything.
package doctor

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"kefud/kefu"
)

// How long an examination may take.
const (
	OneLimit = 5 * time.Second  // one question to Redis, WeChat or the server
	AllLimit = 30 * time.Second // all of them
)

// A Level says how bad a finding is.
type Level uint8

// The levels.
const (
	OK        Level = iota
	Unchecked       // it could not be found out, or not from here
	Warn            // it works, but not as well or as safely as it could
	Fail            // it will not work
)

var levelNames = [...]string{"ok", "unchecked", "warn", "FAIL"}

// String gives the level as machines read it.
func (l Level) String() string { return levelNames[min(int(l), len(levelNames)-1)] }

// MarshalText implements encoding.TextMarshaler.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// A Finding is one line of the report. It holds no secret and no whole openid.
type Finding struct {
	ID      string `json:"id"`      // which check; stable
	Subject string `json:"subject"` // what it is about: "config", "redis", "app shop", "agent wang", …
	Level   Level  `json:"level"`
	Text    string `json:"text"`         // what is so
	Do      string `json:"do,omitempty"` // what to type, or where to click
}

// Worst gives the highest level of findings.
func Worst(findings []Finding) Level {
	worst := OK
	for _, f := range findings {
		worst = max(worst, f.Level)
	}
	return worst
}

// A topic makes the findings of one subject.
type topic struct {
	subject string
	found   []Finding
}

func about(format string, args ...any) *topic { return &topic{subject: fmt.Sprintf(format, args...)} }

func (t *topic) add(l Level, id, text, do string) {
	t.found = append(t.found, Finding{ID: id, Subject: t.subject, Level: l, Text: text, Do: do})
}

func (t *topic) ok(id, format string, args ...any) { t.add(OK, id, fmt.Sprintf(format, args...), "") }

// A Store answers for Redis.
type Store interface {
	Redis(ctx context.Context) Redis
	// State gives what the server keeps; of an embedded store only a running
	// server can tell.
	State(ctx context.Context) (State, error)
}

// A WeChat answers for WeChat's API.
type WeChat interface {
	// Clock tells how far WeChat's clock is ahead of ours.
	Clock(ctx context.Context) (time.Duration, error)
	Account(ctx context.Context, app kefu.AppID) Account
}

// A Server answers for the server that runs with this configuration, if one does.
type Server interface {
	Ready(ctx context.Context) (Readiness, error)
}

// Observers are whom an examination asks.
type Observers struct {
	Store  Store
	WeChat WeChat
	Server Server
	Now    func() time.Time // nil = time.Now
}

// Facts are what was observed.
type Facts struct {
	Now      time.Time
	Redis    Redis // not of an embedded store
	State    State
	StateErr error
	Clock    time.Duration
	ClockErr error
	Accounts map[kefu.AppID]Account // of apps that have an app_secret
	Ready    Readiness
	ReadyErr error
	Push     *Push // a sample; nil = none was given
}

// Examine asks everybody at the same time, within AllLimit, and judges what they
// say. Push is the sample's verdict, nil if none was given.
func Examine(ctx context.Context, s *Setup, o Observers, push *Push) []Finding {
	ctx, cancel := context.WithTimeout(ctx, AllLimit)
	defer cancel()
	if o.Now == nil {
		o.Now = time.Now
	}
	f := Facts{Push: push, Accounts: map[kefu.AppID]Account{}}
	var wg sync.WaitGroup
	var mu sync.Mutex
	ask := func(question func(context.Context)) {
		wg.Go(func() {
			within, cancel := context.WithTimeout(ctx, OneLimit)
			defer cancel()
			question(within)
		})
	}
	if !s.Embedded {
		ask(func(ctx context.Context) { f.Redis = o.Store.Redis(ctx) })
	}
	ask(func(ctx context.Context) { f.State, f.StateErr = o.Store.State(ctx) })
	ask(func(ctx context.Context) { f.Clock, f.ClockErr = o.WeChat.Clock(ctx) })
	ask(func(ctx context.Context) { f.Ready, f.ReadyErr = o.Server.Ready(ctx) })
	for i := range s.Apps {
		app := s.Apps[i].Name
		if !s.Apps[i].HasSecret {
			continue
		}
		wg.Go(func() { // several questions, each with its own limit
			a := o.WeChat.Account(ctx, app)
			mu.Lock()
			defer mu.Unlock()
			f.Accounts[app] = a
		})
	}
	wg.Wait()
	f.Now = o.Now()
	return Check(s, &f)
}

// Check judges what was observed. Its findings stand in the order in which they
// are worth reading: what is nearest to the machine first.
func Check(s *Setup, f *Facts) []Finding {
	found := slices.Concat(
		checkFile(&s.File), checkAdmin(s), checkShared(s),
		checkListen(s), checkReady(f), checkStore(s, f), checkClocks(s, f),
	)
	for i := range s.Apps {
		a := &s.Apps[i]
		found = append(found, slices.Concat(checkSecrets(a), checkAccount(a, f), checkArrival(s, a, f), checkEntries(s, a))...)
	}
	found = append(found, slices.Concat(checkAgents(s, f), checkGroups(s))...)
	return append(found, checkPush(s, f.Push)...)
}

// Tally counts findings by level.
func Tally(findings []Finding) map[Level]int {
	n := map[Level]int{}
	for _, f := range findings {
		n[f.Level]++
	}
	return n
}

// round makes a duration fit for reading.
func round(d time.Duration) time.Duration {
	if d < 10*time.Second && d > -10*time.Second {
		return d.Round(max(time.Microsecond, min(100*time.Millisecond, cmp.Or(d.Abs()/20, 1).Round(time.Microsecond))))
	}
	return d.Round(time.Second)
}
